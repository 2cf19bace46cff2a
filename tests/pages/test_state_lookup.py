"""A box looks at its own value alone, whatever else the session holds."""

import pytest
from page_driver import checked, open_page
from streamlit.runtime.state.session_state import SessionState
from streamlit.testing.v1 import AppTest

from ui import state_lookup


def boxes() -> None:
    import streamlit as st

    from ui.state_lookup import look_up_one_by_one

    look_up_one_by_one()
    st.session_state.setdefault("emptied", None)
    for i in range(100):
        st.session_state[f"own_{i}"] = i
    st.selectbox("emptied", ["a", "b"], key="emptied")
    st.selectbox("full", ["a", "b"], key="full")
    st.text_input("typed", "said", key="typed")
    st.text(sum(1 for _ in st.session_state))


def copies(monkeypatch: pytest.MonkeyPatch) -> list[SessionState]:
    """The sessions of which Streamlit has copied every value."""
    copied: list[SessionState] = []
    own = state_lookup._copy_of_all.fget

    def noted(state: SessionState) -> dict[str, object]:
        copied.append(state)
        return own(state)

    monkeypatch.setattr(state_lookup, "_copy_of_all", property(noted))
    return copied


def test_a_box_looks_at_its_own_value_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = copies(monkeypatch)
    page = checked(AppTest.from_function(boxes).run())
    assert [box.value for box in page.selectbox] == [None, "a"]
    assert page.text_input[0].value == "said"
    assert page.text[0].value == "103"
    assert len(copied) == 1, "the one that asks for every key itself"


def test_the_front_page_copies_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = copies(monkeypatch)
    page = open_page("all_heads")
    assert page.selectbox and not copied
