"""The sentence that a visitor chose, kept where a link of ours shows another one: the page says so and offers it back.

`remember` is told of every sentence that is typed or taken from the examples; one that a link brought is not the
visitor's own. Nothing is said where the page shows the visitor's sentence, or has no place for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape

import streamlit as st

from ui import words
from ui.param import Earlier

WORDS = words.beside(__file__)
_OWN = "own_sentence"  # in the session: {"text": …, "model": …, "second_text": …}
_PARTS = {
    "second_text": "",
    "frame": "own",
    "turns": "",
}  # what belongs to a sentence, and what it is where there is none
LONGEST = 70  # characters of it that are shown


def remember() -> None:
    """For callbacks: what stands in the sentence and model boxes is the visitor's choice."""
    own = dict(st.session_state.get(_OWN) or {})
    own |= {name: st.session_state[name] for name in ("text", "model") if name in st.session_state}
    own |= {name: st.session_state.get(name, usual) for name, usual in _PARTS.items()}
    if str(own.get("text", "")).strip():
        st.session_state[_OWN] = own


def offer(state: Earlier, take: Callable[[Mapping[str, str]], None]) -> None:
    """Say that a link put another sentence in the place of the visitor's, or that the box was emptied, and offer it;
    `take` is told what was the visitor's, by the names of parameters."""
    own = st.session_state.get(_OWN)
    if not own or "text" not in state or own["text"] == state["text"]:
        return
    text = str(own["text"])
    shown = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    emptied = not str(state["text"]).strip()
    said = WORDS.text("own.empty", text=shown) if emptied else WORDS.text("own.says", text=shown)
    with st.container(key="own_sentence", horizontal=True, gap="small", vertical_alignment="center"):
        st.html(f'<div class="hl-note" role="status">{escape(said)}</div>', width="content")
        st.button(WORDS.text("own.back"), key="own_back", on_click=take, args=(own,))
