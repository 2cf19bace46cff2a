"""Rules of one's own: "from a pronoun to the noun before it", as cells of any sentence.

    PaintedRule.parse("it = he she it they -> label:NOUN PROPN, nearest before")
    PaintedRule.parse("/[A-Z].*/ -> *, -2..-1")

Words on the left ask, words on the right answer (see `word_sets`); after the comma stands where the answer lies, in
words: anywhere, before, nearest before, after, nearest after, or a distance such as -1 or -3..-1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attn_core.heads.quantities import Quantity, StreamReading
from attn_core.heads.sink import Bools, Floats
from attn_core.study.word_sets import Matching, WordSet

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens

PLACES = ("anywhere", "before", "nearest before", "after", "nearest after")
LONGEST_RULE = 1_000
_DISTANCE = re.compile(r"(-?\d{1,4})(?:\.\.(-?\d{1,4}))?")
_RULE = re.compile(
    r"(?:(?P<name>[\w .-]{1,40}?)\s*=\s*)?(?P<queries>.+?)\s*->\s*(?P<keys>/.+/|[^,]+?)(?:,(?P<where>[^,]*))?"
)


@dataclass(frozen=True)
class PaintedRule:
    """From some words to some others: `where` is one of `PLACES`, or a distance in words as it is written.

    Its measure is the share of the weight outside the sink that lies on its cells, of the words that have such a cell.
    """

    name: str
    queries: WordSet
    keys: WordSet
    where: str = "anywhere"

    @classmethod
    def parse(cls, text: str) -> PaintedRule:
        """A rule as it is written on the command line. ValueError says what is wrong.

        >>> str(PaintedRule.parse("he she -> *, nearest before"))
        'he she -> *, nearest before'
        """
        if len(text) > LONGEST_RULE:
            raise ValueError(f"a rule has at most {LONGEST_RULE:,} characters")
        found = _RULE.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no rule; write one like: he she it -> label:NOUN, nearest before")
        queries, keys = WordSet.parse(found["queries"]), WordSet.parse(found["keys"])
        where = (found["where"] or "anywhere").strip()
        return cls(found["name"] or _written(queries, keys, where), queries, keys, where)

    def __post_init__(self) -> None:
        if self.where not in PLACES and not _DISTANCE.fullmatch(self.where):
            raise ValueError(
                f"{self.where!r} is no place; it can be {', '.join(PLACES)}, or a distance like -1 or -3..-1"
            )

    def __str__(self) -> str:
        said = _written(self.queries, self.keys, self.where)
        return said if said == self.name else f"{self.name} = {said}"

    def word_cells(self, asks: Sequence[bool], answers: Sequence[bool]) -> Bools:
        """The cells between words, bool [query word, key word], given which words are in each set."""
        ahead = np.arange(len(answers))[None, :] - np.arange(len(asks))[:, None]  # [query word, key word]
        cells: Bools = np.array(asks, dtype=bool)[:, None] & np.array(answers, dtype=bool)[None, :] & self._at(ahead)
        if self.where == "nearest before":
            cells &= ahead == np.where(cells, ahead, -len(answers)).max(axis=1, keepdims=True)
        elif self.where == "nearest after":
            cells &= ahead == np.where(cells, ahead, len(answers)).min(axis=1, keepdims=True)
        return cells

    def _at(self, ahead: np.ndarray) -> Bools:
        distance = _DISTANCE.fullmatch(self.where)
        if distance:
            low, high = int(distance[1]), int(distance[2] or distance[1])
            return (ahead >= min(low, high)) & (ahead <= max(low, high))
        if self.where == "anywhere":
            return np.ones(ahead.shape, dtype=bool)
        return ahead < 0 if self.where.endswith("before") else ahead > 0


def _written(queries: WordSet, keys: WordSet, where: str) -> str:
    return f"{queries} -> {keys}, {where}"


class RuleReader:
    """A rule in one sentence: its cells are found once, for all layers of a stream.

    `labels` has one label a word of the text, or is empty.
    """

    def __init__(self, rule: PaintedRule, labels: Sequence[str], matching: Matching) -> None:
        self.rule, self.labels, self.matching = rule, labels, matching
        self._cells: dict[str, Bools | None] = {}

    def quantity(self) -> Quantity:
        return Quantity(self.rule.name, self.share)

    def share(self, reading: StreamReading, layer: int) -> Floats | None:
        """The share of each head's weight that follows the rule, [head]; None where no word has a cell of it."""
        name = reading.stream.name
        if name not in self._cells:
            self._cells[name] = self._found(reading)
        cells = self._cells[name]
        return None if cells is None else reading.score_of(layer, cells.__getitem__).share

    def _found(self, reading: StreamReading) -> Bools | None:
        if not reading.context.same_sequence and self.rule.where != "anywhere":
            return None  # between two sentences no word stands before another
        queries, keys = reading.stream.tokens, reading.stream.key_tokens
        cells = self.rule.word_cells(self._members(self.rule.queries, queries), self._members(self.rule.keys, keys))
        if not cells.any():
            return None
        of_tokens: Bools = cells[np.ix_(_word_of(queries), _word_of(keys))]  # [query word, key word] → [query, key]
        return of_tokens & _said(queries)[:, None] & _said(keys)[None, :]

    def _members(self, chosen: WordSet, tokens: Tokens) -> list[bool]:
        words = spoken_words(tokens)
        return chosen.members(words, labels_of_words(words, tokens.text, self.labels), self.matching) or [False]


def _said(tokens: Tokens) -> Bools:
    """Which tokens are part of a word, bool [token]."""
    return np.array([word is not None for word in tokens.words])


def _word_of(tokens: Tokens) -> np.ndarray:
    """Each token's word, [token]; 0 for specials, which `_said` leaves out."""
    return np.array([word or 0 for word in tokens.words])


def spoken_words(tokens: Tokens) -> list[str]:
    """The words of a sentence without its special tokens, by their numbers in `tokens.words`."""
    first: list[int | None] = []
    for i, word in enumerate(tokens.words):
        if i == 0 or word is None or word != tokens.words[i - 1]:
            first.append(word)
    return [label for word, label in zip(first, tokens.word_labels, strict=True) if word is not None]


def labels_of_words(words: Sequence[str], text: str, labels: Sequence[str]) -> list[str] | None:
    """A label for each of a model's words: there are as many as it has words, or as the text has between its blanks.

    A model takes marks as words of their own; each then has the label of the piece of text that it stands in. None
    where the labels fit neither.

    >>> labels_of_words(["it", "sleeps", "."], "It sleeps.", ["PRON", "VERB"])
    ['PRON', 'VERB', 'VERB']
    """
    if not labels or len(labels) == len(words):
        return list(labels) or None
    pieces = text.split()
    if len(labels) != len(pieces):
        return None
    ends = np.cumsum([len(piece) for piece in pieces])
    starts = np.cumsum([0, *(len(word) for word in words)])
    if starts[-1] != ends[-1]:
        return None
    return [labels[int(np.searchsorted(ends, start, side="right"))] for start in starts[:-1]]
