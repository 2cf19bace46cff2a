"""What is folded away: computed, built and sent only while it is open, and all of it at once for printing.

    fold("The numbers: every source", "numbers_sources", lambda: st.dataframe(numbers(), hide_index=True))

Opening one draws that part of the page alone. `draw` stays with the session until the page is drawn again, so give it
arrays and tables, never a trace. The label says what is inside, as a closed fold holds nothing that could be found.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.elements.lib.mutable_expander_container import ExpanderContainer

from ui.drawing import controls

EVERY = "every_fold_open"  # in the session: whether all stand open, for printing and for finding in the page
_BY_SWITCH = "folds_opened_by_switch"


@st.fragment
def fold(label: str, key: str, draw: Callable[[], object], *, expanded: bool = False) -> None:
    """A fold that calls `draw` while it is open; `expanded` says how it begins."""
    st.session_state.setdefault(key, expanded)
    place = folded(label, key)
    if place.open:
        with place:
            draw()


def folded(label: str, key: str, icon: str | None = None) -> ExpanderContainer:
    """The fold alone, for what can't be drawn apart from its page: its `open` says whether to fill it."""
    if st.session_state.get(EVERY) and not st.session_state.get(key):
        st.session_state[key] = True
        st.session_state.setdefault(_BY_SWITCH, set()).add(key)
    place: ExpanderContainer = st.expander(label, key=key, on_change="rerun", icon=icon)
    return place


def switch() -> None:
    """Open every fold of every page, or close those that this has opened; the page is drawn again."""
    why = "Opens every table and everything else that is folded away, for printing and for searching in the page."
    is_on = bool(st.session_state.get(EVERY))
    controls.menu_toggle("Print with tables", "print_with_tables", on=is_on, turn=_turn, says=why)


def _turn(is_on: bool) -> None:
    st.session_state[EVERY] = is_on
    if not is_on:
        for key in st.session_state.pop(_BY_SWITCH, ()):
            st.session_state[key] = False
