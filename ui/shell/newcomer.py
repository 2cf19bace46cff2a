"""Who has not been here: one line that says what this is, three ways in, and the cookie that remembers a visit.

The ways in are shown to whoever opens the bare front page for the first time, and stay where they are, so that nothing
moves under the mouse, until one of them is taken. The page About has them for good. The cookie holds a 1 and nothing
else, and is written by the visitor's own browser.
"""

from __future__ import annotations

import streamlit as st

from attn_core.figures import scripts
from ui import words
from ui.drawing.component import component
from ui.shell.menu import go

WORDS = words.beside(__file__, "newcomer.toml")
COOKIE = "headlight_been_here"
_NEW = "is_newcomer"  # in the session; missing before its first page
_TO_REMEMBER = "newcomer_to_remember"
_remember = component("remember_visit", scripts.asset("app/remember_visit.js"))


def arrive(page: str, *, is_bare: bool) -> None:
    """Note whether this visitor is new here, and forget it once another page was opened."""
    state = st.session_state
    if _NEW not in state:
        state[_NEW] = page == "all_heads" and is_bare and st.context.cookies.get(COOKIE) != "1"
    elif state[_NEW] and page != "all_heads":
        explore()
    if state.pop(_TO_REMEMBER, False):
        _remember(key="remember_visit", data={"name": COOKIE})


def explore() -> None:
    """Callback: one of the ways was taken; they are not shown again."""
    st.session_state[_NEW], st.session_state[_TO_REMEMBER] = False, True


def welcome() -> None:
    """What this is, in one line; and for a newcomer the ways in."""
    st.html(f'<div class="hl-tagline">{WORDS.html("tagline")}</div>')
    if st.session_state[_NEW]:
        with st.container(key="ways_in", horizontal=True, gap="small"):
            go("lesson", WORDS.text("ways.lesson"))
            st.button(WORDS.text("ways.explore"), on_click=explore, key="explore")
            go("teachers_kit", WORDS.text("ways.class"))


def ways_in() -> None:
    """The ways in, for the page that has them for good."""
    with st.container(key="ways_in", horizontal=True, gap="small"):
        go("lesson", WORDS.text("ways.lesson"))
        go("all_heads", WORDS.text("ways.explore"))
        go("teachers_kit", WORDS.text("ways.class"))
