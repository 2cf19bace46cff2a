"""The cards of the ΔE page, each with its title and the line that explains it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ui import words
from ui.delta_e.token import TokenUpdate
from ui.drawing import markup, widgets

WORDS = words.beside(__file__)
Card = AbstractContextManager[None]


def layer(update: TokenUpdate) -> Card:
    return widgets.card("layer", WORDS.html("layer.title", layer=update.layer), WORDS.html("layer.hint"))


def parts(update: TokenUpdate) -> Card:
    title = WORDS.html("parts.title", word=markup.query(update.name), layer=update.layer)
    return widgets.card("parts", title, WORDS.html("parts.hint"))


def sources(update: TokenUpdate) -> Card:
    return widgets.card("from", WORDS.html("from.title", head=update.viewed.name), WORDS.html("from.hint"))


def writes() -> Card:
    return widgets.card("writes", WORDS.html("writes.title"), WORDS.html("writes.hint"))


def arrows() -> Card:
    return widgets.card("arrows", WORDS.html("arrows.title"), WORDS.html("arrows.hint"))


def numbers() -> Card:
    return widgets.card("numbers", WORDS.html("numbers.title"), WORDS.html("numbers.hint"))
