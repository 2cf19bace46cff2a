"""The cards of Word senses, each with its title and the line that explains it."""

from __future__ import annotations

from contextlib import AbstractContextManager

import streamlit as st

from ui import words
from ui.drawing import widgets

WORDS = words.beside(__file__)
Card = AbstractContextManager[None]


def reading() -> Card:
    """While the sentences are read."""
    return st.spinner(WORDS.text("board.reading"))


def apart() -> Card:
    return widgets.card("apart", WORDS.html("apart.title"), WORDS.html("apart.hint"))


def paths() -> Card:
    return widgets.card("paths", WORDS.html("paths.title"), WORDS.html("paths.hint"))


def separation() -> Card:
    return widgets.card("separation", WORDS.html("separation.title"), WORDS.html("separation.hint"))
