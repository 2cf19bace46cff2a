"""What is folded away: computed, built and sent only while it is open, and all of it at once for printing.

    fold("The numbers: every source", "numbers_sources", lambda: widgets.table(numbers(), hide_index=True))

Opening one draws that part of the page alone. `draw` stays with the session until the page is drawn again, so give it
arrays and tables, never a trace. The label says what is inside, as a closed fold holds nothing that could be found.
The link names the folds that do not stand as they began, so whoever opens it finds the same tables open.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import streamlit as st
from streamlit.elements.lib.mutable_expander_container import ExpanderContainer

from ui import link, words
from ui.drawing import controls
from ui.param import Earlier, Param

WORDS = words.beside(__file__)
MOST = 20  # folds that a link names


def _names(raw: str, _: Earlier) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for name in raw.split(",") if name))
    if len(names) > MOST or not all(re.fullmatch("[a-z0-9_]{1,40}", name) for name in names):
        raise ValueError(f"it names at most {MOST} folds of the page")
    return names


FOLDS = Param("folds", (), _names, ",".join, in_caption=False)  # those that do not stand as they began
EVERY = "every_fold_open"  # in the session: whether all stand open, for printing and for finding in the page
_BY_SWITCH = "folds_opened_by_switch"
_BEGINNING = "folds_begin_open"  # in the session: page → fold → whether it begins open


@st.fragment
def fold(label: str, key: str, draw: Callable[[], object], *, expanded: bool = False) -> None:
    """A fold that calls `draw` while it is open; `expanded` says how it begins."""
    place = folded(label, key, expanded=expanded)
    if place.open:
        with place:
            draw()


def folded(label: str, key: str, icon: str | None = None, *, expanded: bool = False) -> ExpanderContainer:
    """The fold alone, for what can't be drawn apart from its page: its `open` says whether to fill it."""
    state = link.current()
    turned = False
    if state is not None:
        turned = key in state[FOLDS.name]
        st.session_state.setdefault(_BEGINNING, {}).setdefault(state.page, {})[key] = expanded
    st.session_state.setdefault(key, expanded != turned)
    if st.session_state.get(EVERY) and not st.session_state.get(key):
        st.session_state[key] = True
        st.session_state.setdefault(_BY_SWITCH, set()).add(key)
    place: ExpanderContainer = st.expander(label, key=key, on_change="rerun", icon=icon)
    if state is not None and key not in st.session_state.get(_BY_SWITCH, ()):
        _tell(state, key, turned=place.open != expanded)
    return place


def _tell(state: link.LinkState, key: str, *, turned: bool) -> None:
    """Have the link say how a fold stands."""
    others = tuple(name for name in state[FOLDS.name] if name != key)
    names = (*others, key) if turned else others
    if set(names) != set(state[FOLDS.name]) and len(names) <= MOST:
        link.settle(state, FOLDS.name, names)


def follow(state: link.LinkState) -> None:
    """Have the folds of a page stand as a link says that was just opened."""
    if FOLDS.name in state.opened:
        for key, expanded in st.session_state.get(_BEGINNING, {}).get(state.page, {}).items():
            st.session_state[key] = expanded != (key in state[FOLDS.name])


def switch() -> None:
    """Open every fold of every page, or close those that this has opened; the page is drawn again."""
    why = WORDS.text("folds.why")
    is_on = bool(st.session_state.get(EVERY))
    controls.menu_toggle("Print with tables", "print_with_tables", on=is_on, turn=_turn, says=why)


def _turn(is_on: bool) -> None:
    st.session_state[EVERY] = is_on
    if not is_on:
        for key in st.session_state.pop(_BY_SWITCH, ()):
            st.session_state[key] = False
