"""A word and its meanings: the sentences of the board, read, with what each pair shares layer by layer.

comparison = sense_reading.of(page)         # None, and a sentence that says why, where fewer than two can be compared
comparison.cosines, comparison.baselines         # [pair, layer + 1]
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st

from attn_core.residual import geometry, senses
from attn_core.text.decoding import visible
from attn_core.text.numbers import MINUS
from attn_core.views import snippets as recipes
from attn_core.views.headlines import Sentence
from ui.drawing import widgets
from ui.page import parity, provenance
from ui.param import choice
from ui.server import shared
from ui.shell import known_words
from ui.word_senses import board
from ui.word_senses.board import LETTERS

if TYPE_CHECKING:
    from ui.page import Page

PAIRS = [f"{a}-{b}" for a, b in senses.pairs(board.MOST)]
PARAMS = [choice("pair", PAIRS)]
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


@dataclass(frozen=True, eq=False)
class Meaning:
    """One occurrence on the board, and its baseline in another sentence of the same sense, if there is one."""

    letter: str
    sentence: str
    trace: Any
    pieces: tuple[int, ...]
    twin: tuple[Any, tuple[int, ...]] | None = None

    @property
    def occurrence(self) -> senses.Occurrence:
        return _read(self.trace, self.pieces)

    def read(self) -> None:
        """Do the work now, while the page says that it reads."""
        _ = self.occurrence, self.baseline

    @property
    def baseline(self) -> senses.Occurrence | None:
        return None if self.twin is None else _read(*self.twin)


def _read(trace: Any, pieces: tuple[int, ...]) -> senses.Occurrence:
    what = ("occurrence", pieces)
    return shared.memoize(trace, what, lambda: senses.read(trace, pieces), size=lambda found: found.nbytes)


@dataclass(frozen=True, eq=False)
class SenseComparison:
    """Everything that the page shows: a word and its meanings, two at least."""

    page: Page
    word: str
    meanings: tuple[Meaning, ...]

    @property
    def theme(self) -> Literal["light", "dark"]:
        return "dark" if st.context.theme.type == "dark" else "light"

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        return senses.pairs(len(self.meanings))

    @cached_property
    def cosines(self) -> Any:
        """[pair, layer + 1]."""
        return senses.cosines_by_layer([meaning.occurrence.route for meaning in self.meanings])

    @cached_property
    def baselines(self) -> Any:
        """Cosines of pairs of one sense, [pair, layer + 1]; may be empty."""
        twins = [(m.occurrence.route, m.baseline.route) for m in self.meanings if m.baseline is not None]
        return np.array([geometry.cosine(a, b) for a, b in twins])

    @cached_property
    def doors(self) -> list[senses.InputSimilarity]:
        """What each pair shares before the first layer."""
        model = self.page.model().hf
        parts = [
            shared.memoize(m.trace, ("door", m.pieces), partial(senses.input_embedding, model, m.trace, m.pieces))
            for m in self.meanings
        ]
        return [senses.input_similarity(parts[a], parts[b]) for a, b in self.pairs]

    @property
    def pair(self) -> tuple[int, int]:
        """The two meanings that are compared head by head; the two that end furthest apart, until somebody chooses."""
        a, b = (int(i) for i in st.session_state["pair"].split("-"))
        return (a, b) if b < len(self.meanings) else (0, 1)

    def offer_pictures(self) -> None:
        """The page's end: its pictures, and the lines of Python that read the same sentences."""
        told = {meaning.letter: (meaning.sentence, meaning.pieces) for meaning in self.meanings}
        a, b = (self.meanings[i].letter for i in self.pair)
        lines = recipes.senses(self.page.model_name, self.word, told, (a, b))
        sentences = [f"{letter}: {sentence}" for letter, (sentence, _) in told.items()]
        self.page.offer_pictures(f"word {self.word}", sentences=sentences, lines=lines)

    def headline(self) -> Sentence:
        """Where they begin, where they end."""
        n = len(self.meanings)
        said: Sentence = [
            ("One embedding of ", ""),
            (word_as_read(self.word), "query"),
            (f", {NUMBERS[n]} meanings: ", ""),
        ]
        least = min(door.token for door in self.doors)
        if least < 1 - 1e-6:
            said = [("These ", ""), (word_as_read(self.word), "query"), (" are not the same token: ", "")]
        ends = [two_digits(cosine) for cosine in self.cosines[:, -1]]
        told = ends[0] if len(ends) == 1 else ", ".join(ends[:-1]) + " and " + ends[-1]
        told = told if n <= 3 else f"{two_digits(self.cosines[:, -1].min())} at the least"
        return [*said, (f"cosine {two_digits(least)} at the door, {told} at the end.", "")]

    def badges(self) -> str:
        """Live, and the worst parity of all sentences."""
        checks = [shared.memoize(m.trace, "parity", m.trace.check) for m in self.meanings]
        return provenance("live") + parity(max(checks, key=max))


def of(page: Page) -> SenseComparison | None:
    """Find the word in every sentence of the board; None, and a note that says why, where fewer than two have it."""
    if page.model().kind == "encoder-decoder":
        widgets.problem(
            "This page follows a word through one stack, and this model has two.",
            "Choose another model here. ΔE, Compare and Find heads show this one, stream by stream.",
        )
        return None
    word, meanings, labels = page.state["word"].strip(), [], []
    if not word:
        widgets.problem("There is no word here yet.", "Type one that all sentences share.")
        return None
    for i, row in enumerate(page.state["board"]):
        if not row.sentence.strip():
            continue
        found = _find(page, row.sentence, word)
        if found is None:
            tokens = page.trace(row.sentence).tokens
            where = f" in its first {len(tokens)} tokens, all that this model reads" if tokens.is_cut else ""
            widgets.note(
                f"Sentence {LETTERS[i]} does not hold the word “{word_as_read(word)}”{where}, so it is left out."
            )
            continue
        trace, places = found
        labels += trace.tokens.labels
        pieces = places[min(row.which, len(places) - 1)]
        meanings.append(Meaning(LETTERS[i], row.sentence, trace, pieces, _twin(page, row, word, LETTERS[i])))
    with page.remarks:
        known_words.explain_marks(page.model_name, labels)
    for meaning in meanings:
        meaning.read()
    if len(meanings) >= board.FEWEST:
        return SenseComparison(page, word, tuple(meanings))
    widgets.problem("Two sentences that share the word are needed.", "Type the word, and sentences that hold it.")
    return None


def _twin(page: Page, row: board.BoardRow, word: str, letter: str) -> tuple[Any, tuple[int, ...]] | None:
    if not row.twin.strip():
        return None
    found = _find(page, row.twin, word)
    if found is None:
        widgets.note(f"The baseline of {letter} does not hold the word “{word_as_read(word)}”, so it is left out.")
        return None
    return found[0], found[1][0]


def _find(page: Page, sentence: str, word: str) -> tuple[Any, list[tuple[int, ...]]] | None:
    trace = page.trace(sentence)
    places = [tuple(pieces) for pieces in senses.find_word(trace.tokens, word)]
    return (trace, places) if places else None


def choices(comparison: SenseComparison) -> None:
    """Pick an occurrence where there are several, and say where pieces were averaged."""
    for meaning in comparison.meanings:
        places = senses.find_word(meaning.trace.tokens, comparison.word)
        if len(places) > 1:
            starts = [_around(meaning.trace.tokens, pieces) for pieces in places]
            board.which_picker(LETTERS.index(meaning.letter), meaning.sentence, starts)
    pieces = [m for m in comparison.meanings if len(m.pieces) > 1]
    if pieces:
        labels = [visible(pieces[0].trace.tokens.labels[i]) for i in pieces[0].pieces]
        widgets.note(
            f"“{word_as_read(comparison.word)}” has {len(labels)} pieces here ({' '.join(labels)}); they are averaged."
        )


def _around(tokens: Any, pieces: list[int]) -> str:
    """An occurrence with its neighbours, as plain text."""
    near = range(max(0, pieces[0] - 2), min(len(tokens), pieces[-1] + 3))
    return f"{' '.join(visible(tokens.labels[i]) for i in near)} ({pieces[0]})"


def word_as_read(word: str) -> str:
    """What was typed as a word, which may be several, as plain text."""
    return " ".join(visible(part) for part in word.split())


def pair_name(comparison: SenseComparison, pair: tuple[int, int]) -> str:
    """A pair as it is read: "A and B"."""
    return f"{comparison.meanings[pair[0]].letter} and {comparison.meanings[pair[1]].letter}"


def headline_html(comparison: SenseComparison) -> str:
    """The headline as HTML."""
    return widgets.say(comparison.headline())


def baseline_sentence(comparison: SenseComparison) -> str:
    """What two sentences of one sense show, for comparison; HTML."""
    if not len(comparison.baselines):
        return escape("No baseline: type each sense once more to see what wording alone does.")
    return f"Two sentences of one sense end at {two_digits(comparison.baselines[:, -1].mean())} on average."


def two_digits(number: float) -> str:
    """A cosine as it is read, with a true minus sign."""
    return f"{number:.2f}".replace("-", MINUS)
