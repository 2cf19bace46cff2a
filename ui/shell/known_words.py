"""The words that a small model has met, for whoever wonders what to type, and what the mark behind a word means."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from attn_core.models.cards import card_of
from attn_core.models.catalogue import CATALOGUE
from attn_core.models.entry import Entry
from attn_core.text.tokens import Tokens
from attn_core.text.unknown_words import MARK, as_typed, falls_apart, is_unknown
from ui import words
from ui.drawing import widgets
from ui.words import how_many

WORDS = words.beside(__file__)
MULTILINGUAL = "e5-multilingual"


def popover(model_name: str) -> None:
    """A button that opens the vocabulary of a shipped model; nothing for any other."""
    groups = card_of(model_name).known_words
    if not groups:
        return
    with st.popover("Words it knows"):
        for kind, known in groups.items():
            listed = " · ".join(escape(word) for word in known)
            st.html(f'<div class="hl-hint"><b>{escape(kind)}</b><br>{listed}</div>')


def explain_language(entry: Entry, tokens: Tokens) -> None:
    """A line about a text that a model of one language splits into many pieces a word, and a model that reads it."""
    if entry.language and falls_apart(tokens):
        way = WORDS.text("language.many", "here" if MULTILINGUAL in CATALOGUE else "elsewhere")
        widgets.note(f"{WORDS.text('language.learnt', title=entry.title, language=entry.language)} {way}")


def explain_head(left_aside: str) -> None:
    """A line that names the head of a model's own that cannot be read, where there is one."""
    if left_aside:
        widgets.note(WORDS.text("head_left_aside", head=left_aside))


def explain_doubled(tokens: Tokens) -> None:
    """A line where a special token was typed that the model puts there by itself: then it is read twice."""
    if tokens.doubled:
        n, typed = how_many(len(tokens.doubled)), " and ".join(tokens.doubled)
        chat = tokens.frame == "chat"
        widgets.note(WORDS.text("doubled_in_chat", n, tokens=typed) if chat else WORDS.text("doubled", n, tokens=typed))


def explain_no_chat(title: str) -> None:
    """A line where a chat was asked for, and the model has no template for one."""
    widgets.note(WORDS.text("chat.none", title=title))


def explain_marks(model_name: str, labels: Sequence[str]) -> None:
    """A line about the words that a shipped model has not met, if there are any."""
    unknown: dict[str, str] = {}  # each as it was typed first
    for label in labels:
        if is_unknown(label):
            unknown.setdefault(label.lower(), as_typed(label))
    stand_ins = card_of(model_name).stand_ins
    if unknown and stand_ins:
        said = WORDS.text("unknown_words", how_many(len(unknown)), words=", ".join(unknown.values()), mark=MARK)
        shared = WORDS.text("stand_ins.shared", n=len(stand_ins)) if len(unknown) > len(stand_ins) else ""
        widgets.note(f"{said} {shared}".strip())
