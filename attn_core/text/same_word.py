"""The same word in another sentence: *creature* of "a blue creature" in "a blue creature at night".

kept = word_at(before, 4)
find_word(after, kept)                # its position there, or None
"""

from __future__ import annotations

from typing import NamedTuple

from attn_core.text.tokens import Tokens
from attn_core.text.whole_words import units


class WordPlace(NamedTuple):
    """A word as it is read, which of its occurrences it is, and which of the word's pieces; all counted from 0."""

    word: str
    occurrence: int
    piece: int


def word_at(tokens: Tokens, position: int) -> WordPlace:
    """The word that a token is part of; it has the same name whatever the tokenizer."""
    groups = units(tokens.words)
    own = next(i for i, group in enumerate(groups) if position in group)
    names = _names(tokens)
    return WordPlace(names[own], names[:own].count(names[own]), groups[own].index(position))


def find_word(tokens: Tokens, place: WordPlace) -> int | None:
    """The position of a word's occurrence, or of its last one where there are fewer; None where it does not occur."""
    found = [group for group, name in zip(units(tokens.words), _names(tokens), strict=True) if name == place.word]
    if not found:
        return None
    pieces = found[min(place.occurrence, len(found) - 1)]
    return pieces[min(place.piece, len(pieces) - 1)]


def _names(tokens: Tokens) -> list[str]:
    return [label.lower() for label in tokens.word_labels]
