"""A session's values one by one: Streamlit copies all of them for every box that it draws, only to look at one.

`st.selectbox` and `st.text_input` ask whether their own value is None, and ask it of `SessionState.filtered_state`, a
new dictionary of everything that the session holds: about forty values, 0.3 ms a box. Given here is a mapping that
looks a value up when it is asked for. `tests/pages/test_state_lookup.py` fails when a later version asks elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streamlit.runtime.state.session_state import SessionState

_copy_of_all = vars(SessionState)["filtered_state"]  # the property itself


class StateByKey(Mapping[str, object]):
    """What a session holds under the keys of its widgets and its own, each looked up when it is asked for."""

    def __init__(self, state: SessionState) -> None:
        self._state = state

    def __getitem__(self, key: str) -> object:
        return self._state[key]

    def __contains__(self, key: object) -> bool:
        return key in self._state

    def __iter__(self) -> Iterator[str]:
        return iter(_copy_of_all.fget(self._state))

    def __len__(self) -> int:
        return len(_copy_of_all.fget(self._state))


def look_up_one_by_one() -> None:
    """From now on, and in every session of this process, a box looks at its own value alone."""
    SessionState.filtered_state = property(StateByKey)  # type: ignore[assignment, method-assign]
