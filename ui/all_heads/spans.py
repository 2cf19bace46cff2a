"""Phrases of the sentence that are read as one query and one key: the link's `spans`, and what is done to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from attn_core.views.arrangement import Span, spans_in_link
from ui import words
from ui.param import Param, pairs

WORDS = words.beside(__file__)
MOST = 20  # phrases in a link


def _spans(raw: str, _: Mapping[str, object]) -> tuple[Span, ...]:
    """ "2-4_8-9": positions of the first and the last token of each."""
    found = tuple(sorted(pairs(raw, "-", MOST, WORDS.text("spans.bad"))))
    if any(first >= last for first, last in found) or any(a[1] >= b[0] for a, b in zip(found, found[1:], strict=False)):
        raise ValueError(WORDS.text("spans.bad"))
    return found


SPANS = Param("spans", (), _spans, spans_in_link, label="Phrases", part_of="text")


def join(first: int, last: int) -> None:
    """Callback: what stands from one token to another is one; a phrase that reaches into it is part of it."""
    met = [span for span in _now() if span[0] <= last and first <= span[1]]
    others = [span for span in _now() if span not in met]
    if first < last and len(others) < MOST:
        joined = min([first, *(span[0] for span in met)]), max([last, *(span[1] for span in met)])
        _put([*others, joined])


def take_apart(span: Span) -> None:
    """Callback: a phrase is its words again."""
    _put([each for each in _now() if each != span])


def _now() -> tuple[Span, ...]:
    found: tuple[Span, ...] = st.session_state[SPANS.name]
    return found


def _put(spans: Sequence[Span]) -> None:
    st.session_state[SPANS.name] = tuple(sorted(spans))
    st.session_state["key"] = None
