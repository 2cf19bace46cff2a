"""A word and its meanings: what each pair shares, layer by layer. No Streamlit.

comparison.cosines, comparison.baselines         # [pair, layer + 1]
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from attn_core.residual import geometry, senses
from attn_core.residual.senses import Array
from attn_core.text.decoding import visible
from attn_core.text.numbers import two_digits
from attn_core.tolerances import SAME_DIRECTION
from attn_core.views.snippets import residual as snippets
from ui import words
from ui.drawing.markup import query
from ui.param import choice
from ui.server import shared

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace
    from ui.page import Page
    from ui.server.handles import ModelHandle, TraceHandle

WORDS = words.beside(__file__)
MOST = 6  # sentences on the board
PAIR = choice("sense_pair", [f"{a}-{b}" for a, b in senses.pairs(MOST)], label="Pair")  # of the board's sentences
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


def _read(trace: TraceHandle, pieces: tuple[int, ...]) -> senses.Occurrence:
    return shared.memoize(trace, senses.read, pieces)


def _input_embedding(trace: Trace, model: ModelHandle, pieces: tuple[int, ...]) -> senses.InputEmbedding:
    return senses.input_embedding(model.hf, trace, pieces)


@dataclass(frozen=True, eq=False)
class Meaning:
    """One occurrence on the board, and its baseline in another sentence of the same sense, if there is one."""

    letter: str
    sentence: str
    trace: TraceHandle
    pieces: tuple[int, ...]
    twin: tuple[TraceHandle, tuple[int, ...]] | None = None

    @property
    def occurrence(self) -> senses.Occurrence:
        return _read(self.trace, self.pieces)

    def read(self) -> None:
        """Do the work now, while the page says that it reads."""
        _ = self.occurrence, self.baseline

    @property
    def baseline(self) -> senses.Occurrence | None:
        return None if self.twin is None else _read(*self.twin)


@dataclass(frozen=True, eq=False)
class SenseComparison:
    """Everything that the page shows: a word and its meanings, two at least."""

    page: Page
    word: str
    meanings: tuple[Meaning, ...]

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        return senses.pairs(len(self.meanings))

    @cached_property
    def cosines(self) -> Array:
        """[pair, layer + 1]."""
        return senses.cosines_by_layer([meaning.occurrence.route for meaning in self.meanings])

    @cached_property
    def baselines(self) -> Array:
        """Cosines of pairs of one sense, [pair, layer + 1]; may be empty."""
        twins = [(m.occurrence.route, m.baseline.route) for m in self.meanings if m.baseline is not None]
        return np.array([geometry.cosine(a, b) for a, b in twins])

    @cached_property
    def inputs(self) -> list[senses.InputSimilarity]:
        """What each pair shares before the first layer."""
        model = self.page.model()
        parts = [shared.memoize(m.trace, _input_embedding, model, m.pieces) for m in self.meanings]
        return [senses.input_similarity(parts[a], parts[b]) for a, b in self.pairs]

    @property
    def pair(self) -> tuple[int, int]:
        """The two meanings that are compared head by head, as the link says."""
        a, b = (int(i) for i in self.page.state[PAIR.name].split("-"))
        return (a, b) if b < len(self.meanings) else (0, 1)

    def offer_pictures(self) -> None:
        """The page's end: its pictures, and the lines of Python that read the same sentences."""
        read = {meaning.letter: (meaning.sentence, meaning.pieces) for meaning in self.meanings}
        a, b = (self.meanings[i].letter for i in self.pair)
        lines = snippets.senses(self.page.model_name, self.word, read, (a, b))
        sentences = [f"{letter}: {sentence}" for letter, (sentence, _) in read.items()]
        self.page.offer_pictures(f"word {self.word}", sentences=sentences, lines=lines)

    def headline(self) -> Markup:
        """Where they begin, where they end, pair by pair."""
        n, tokens = len(self.meanings), [pair.token for pair in self.inputs]
        least, most = two_digits(min(tokens)), two_digits(max(tokens))
        begin = least if least == most else WORDS.text("lead.least", cosine=least)
        ends = [f"{self.name_of(pair, '–')} {two_digits(end)}" for pair, end in zip(self.pairs, self.ends, strict=True)]
        ends_said = ", ".join(ends) if n <= 3 else WORDS.text("lead.least", cosine=two_digits(min(self.ends)))
        cosines = WORDS.html("lead.cosines", first=begin, ends=ends_said)
        word = query(word_as_read(self.word))
        if min(tokens) < 1 - SAME_DIRECTION:
            return WORDS.html("lead.many_tokens", word=word, cosines=cosines)
        return WORDS.html("lead.one_token", word=word, n=NUMBERS[n], cosines=cosines)

    def under_headline(self) -> Markup:
        """What two sentences of one sense show, for comparison."""
        if not len(self.baselines):
            return WORDS.html("lead.no_baseline")
        return WORDS.html("lead.baseline", cosine=two_digits(float(self.baselines[:, -1].mean())))

    @property
    def ends(self) -> list[float]:
        """The cosine of each pair after the last layer."""
        return [float(cosine) for cosine in self.cosines[:, -1]]

    def name_of(self, pair: tuple[int, int], between: str = " and ") -> str:
        """A pair as it is read: "A and B"."""
        return between.join(self.meanings[i].letter for i in pair)


def word_as_read(word: str) -> str:
    """What was typed as a word, which may be several, as plain text."""
    return " ".join(visible(part) for part in word.split())
