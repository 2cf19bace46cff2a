"""The cards of Parameters, each with its title and the line that explains it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ui import words
from ui.drawing import widgets
from ui.parameters.counts import ModelCounts

WORDS = words.beside(__file__)
Card = AbstractContextManager[None]


def boxes() -> Card:
    return widgets.card("boxes", WORDS.html("boxes.title"), WORDS.html("boxes.hint"))


def lesson(counts: ModelCounts) -> Card:
    return widgets.card("lesson", WORDS.html("lesson.title"), WORDS.html("lesson.hint", title=counts.table.title))


def shares() -> Card:
    return widgets.card("shares", WORDS.html("shares.title"), WORDS.html("shares.hint"))


def thin() -> Card:
    return widgets.card("thin", WORDS.html("thin.title"))


def growth() -> Card:
    return widgets.card("growth", WORDS.html("growth.title"), WORDS.html("growth.hint"))


def costs() -> Card:
    return widgets.card("costs", WORDS.html("costs.title"), WORDS.html("costs.hint"))


def table() -> Card:
    return widgets.card("table", WORDS.html("table.title"), WORDS.html("table.hint"))
