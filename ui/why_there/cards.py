"""The cards of the page Why there?, each with its title and the line that explains it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ui import words
from ui.drawing import markup, widgets
from ui.why_there.score import AskedScore

WORDS = words.beside(__file__)
Card = AbstractContextManager[None]


def next_click() -> Card:
    return widgets.card("next", WORDS.html("next.title"), WORDS.html("next.hint"))


def brought(asked: AskedScore) -> Card:
    query, key = markup.query(asked.word("q")), markup.key(asked.word("k"))
    title = WORDS.html("brought.title", head=asked.viewed.name, key=key, query=query)
    return widgets.card("brought", title, WORDS.html("brought.hint", key=key))


def taken_out() -> Card:
    return widgets.card("taken", WORDS.html("taken.title"), WORDS.html("taken.hint"))
