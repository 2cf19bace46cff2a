"""The word that is followed: chosen once for a sentence, carried to other pages, kept while the sentence holds it.

A link says which (`query`), or "auto". Then it is the word that was followed before, as long as the sentence holds it,
else the page's most salient one; the link says so where the two differ, so that it opens on what was seen. A link that
brings another sentence begins afresh: it opens on what its sender saw.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attn_core.text.same_word import WordPlace, find_word, word_at
from attn_core.text.tokens import Tokens
from ui.link import LinkState, settle

_FOLLOWED = "followed_words"  # the word of each side of a translation, and of a single sentence
_KEPT = "kept_query"  # the position that was kept for the visitor, and not chosen


def followed_word(state: LinkState, tokens: Tokens, salient: Callable[[], int], side: str = "") -> int:
    """The position of the followed word. `salient` gives the default, `side` says which of two sentences it is in."""
    if state.opened & {"text", "source", "target"}:
        start_afresh()
    words: dict[str, WordPlace] = st.session_state.setdefault(_FOLLOWED, {})
    position: int | None = state["query"]
    if position is None or position >= len(tokens):
        usual = salient()
        before = find_word(tokens, words[side]) if side in words else None
        position = usual if before is None else before
        if position != usual and state["query"] is None:
            settle(state, "query", position)
            st.session_state[_KEPT] = position
    words[side] = word_at(tokens, position)
    return position


def chosen_word(state: LinkState, tokens: Tokens) -> int | None:
    """The position that a visitor or a link has chosen; None where the word is a default, or not in the sentence."""
    position: int | None = state["query"]
    if position is None or position >= len(tokens) or position == st.session_state.get(_KEPT):
        return None
    return position


def start_afresh() -> None:
    """For callbacks: another sentence begins, of which no word is followed yet."""
    st.session_state.pop(_FOLLOWED, None)
