"""The sentences of the board, read by the page's model; what cannot be compared is said in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from attn_core.residual import senses
from attn_core.text.decoding import visible
from ui import words
from ui.drawing import widgets
from ui.server import budget, derived, passes
from ui.shell import known_words
from ui.word_senses import board
from ui.word_senses.board import EXAMPLES, LETTERS, BoardRow
from ui.word_senses.comparison import PAIR, Meaning, SenseComparison, word_as_read

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens
    from ui.page import Page
    from ui.server.handles import TraceHandle

WORDS = words.beside(__file__)
PARAMS = [PAIR]


def of(page: Page) -> SenseComparison | None:
    """Find the word in every sentence of the board; None, and a note that says why, where fewer than two have it."""
    word, meanings, labels = page.state["word"].strip(), [], []
    if not word:
        widgets.problem(WORDS.text("problem.no_word"), WORDS.text("problem.type_one"))
        return None
    sentences = {text for row in page.state["board"] for text in (row.sentence, row.twin) if text.strip()}
    with page.problems():
        budget.hold_to((len(page.model().read(text)), 1) for text in sentences)
        passes.trace_all(page.model(), sorted(sentences))
    rows = [(LETTERS[i], row) for i, row in enumerate(page.state["board"]) if row.sentence.strip()]
    found = [_find(page, row.sentence, word) for _, row in rows]
    if rows and not any(found):
        offer_sentences(word)
        return None
    for (letter, row), place in zip(rows, found, strict=True):
        if place is None:
            widgets.note(_left_out(page, letter, row.sentence, word))
            continue
        trace, places = place
        labels += trace.tokens.labels
        pieces = places[min(row.which, len(places) - 1)]
        meanings.append(Meaning(letter, row.sentence, trace, pieces, _twin(page, row, word, letter)))
    with page.remarks:
        known_words.explain_marks(page.model_name, labels)
    for meaning in meanings:
        meaning.read()
    if len(meanings) >= board.FEWEST:
        return SenseComparison(page, word, tuple(meanings))
    widgets.problem(WORDS.text("problem.two_needed"), WORDS.text("problem.type_both"))
    return None


def _left_out(page: Page, letter: str, sentence: str, word: str) -> str:
    """Why a sentence is left out: it does not hold the word, or not in the part that the model reads."""
    tokens, name = page.trace(sentence).tokens, word_as_read(word)
    if tokens.dropped:
        return WORDS.text("problem.cut_off", letter=letter, word=name, n=len(tokens))
    return WORDS.text("problem.left_out", letter=letter, word=name)


def offer_sentences(word: str) -> None:
    """A new word that no sentence holds: say so once, and offer sentences that hold it."""
    name = word_as_read(word)
    widgets.problem(WORDS.text("problem.none", word=name), WORDS.text("problem.offer"))

    def take() -> None:
        st.session_state["board"] = EXAMPLES.get(word) or tuple(map(BoardRow, sentences_with(word)))

    st.button(WORDS.text("problem.take", word=name), on_click=take, key="take_sentences")


def sentences_with(word: str) -> list[str]:
    """Three neutral sentences that hold a word."""
    return [WORDS.text("problem.sentences", which, word=word) for which in ("first", "second", "third")]


def _twin(page: Page, row: BoardRow, word: str, letter: str) -> tuple[TraceHandle, tuple[int, ...]] | None:
    if not row.twin.strip():
        return None
    found = _find(page, row.twin, word)
    if found is None:
        widgets.note(WORDS.text("problem.baseline_left_out", letter=letter, word=word_as_read(word)))
        return None
    return found[0], found[1][0]


def _find(page: Page, sentence: str, word: str) -> tuple[TraceHandle, list[tuple[int, ...]]] | None:
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
        word = word_as_read(comparison.word)
        widgets.note(WORDS.text("problem.pieces", word=word, n=len(labels), pieces=" ".join(labels)))


def _around(tokens: Tokens, pieces: list[int]) -> str:
    """An occurrence with its neighbours, as plain text."""
    near = range(max(0, pieces[0] - 2), min(len(tokens), pieces[-1] + 3))
    return f"{' '.join(visible(tokens.labels[i]) for i in near)} ({pieces[0]})"


def lead(page: Page, comparison: SenseComparison) -> None:
    """The headline; under it the worst parity of all sentences, baselines too, and what wording alone does."""
    twins = [meaning.twin[0] for meaning in comparison.meanings if meaning.twin is not None]
    traces = [*(meaning.trace for meaning in comparison.meanings), *twins]
    badges = page.badges(*traces, derived=[derived.near_words(page.model())])
    widgets.lead(comparison.headline(), f"{badges}{comparison.under_headline()}")
