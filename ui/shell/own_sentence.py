"""The sentence that a visitor chose, kept where a link of ours shows another one: the page says so and offers it back.

`remember` is told of every sentence that is typed or taken from the examples; one that a link brought is not the
visitor's own. Nothing is said where the page shows the visitor's sentence, or has no place for one.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import streamlit as st

from ui import words
from ui.param import Earlier

WORDS = words.beside(__file__)
_OWN = "own_sentence"  # in the session: {"text": …, "model": …, "second": …}
LONGEST = 70  # characters of it that are shown


def remember() -> None:
    """For callbacks: what stands in the sentence and model boxes is the visitor's choice."""
    own = dict(st.session_state.get(_OWN) or {})
    own |= {name: st.session_state[name] for name in ("text", "model") if name in st.session_state}
    own["second"] = st.session_state.get("second_text", "")
    if str(own.get("text", "")).strip():
        st.session_state[_OWN] = own


def offer(state: Earlier, take: Callable[[str, str, str], None]) -> None:
    """Say that a link put another sentence in the place of the visitor's, or that the box was emptied, and offer it;
    `take(text, model, second)` is told."""
    own = st.session_state.get(_OWN)
    if not own or "text" not in state or own["text"] == state["text"]:
        return
    text = str(own["text"])
    shown = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    emptied = not str(state["text"]).strip()
    said = WORDS.text("own.empty", text=shown) if emptied else WORDS.text("own.says", text=shown)
    with st.container(key="own_sentence", horizontal=True, gap="small", vertical_alignment="center"):
        st.html(f'<div class="hl-note" role="status">{escape(said)}</div>', width="content")
        pair = text, str(own["model"]), str(own["second"])
        st.button(WORDS.text("own.back"), key="own_back", on_click=take, args=pair)
