"""What a model with a head of its own says: labels of the text or of its words, an answer, or words for a [MASK].

own_head.card(page, trace)            # one card, for models that have such a head; nothing for others
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.figures.html.bar_table import Column
from attn_core.prediction.labels import best_span, has_labels
from attn_core.prediction.next_token import filled_words, fills_in
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, signed
from ui import words
from ui.drawing import gallery, markup, widgets
from ui.page import Page
from ui.shell.menu import ROOT, go

if TYPE_CHECKING:
    from attn_core.traces.source import LabelProbabilities
    from attn_core.traces.stream import StreamTrace
    from ui.server.handles import TraceHandle

WORDS = words.beside(__file__)
OFFERED = 10  # words, or starts and ends of an answer
MOST_MASKS = 3  # side by side
MOST_LABELS = 30  # bars; some heads name thousands


def card(page: Page, trace: TraceHandle, query: int) -> None:
    """The card of a model with a head of its own; other models get none. `query` is the word that is followed."""
    stream = trace.stream()
    if has_labels(stream):
        found = trace.value().label_probabilities()
        with _card(found.task):
            {"text": _of_text, "token": _of_tokens, "span": _answer}[found.task](trace, found, query)
            with st.container(horizontal=True, key="page_links_own_head"):
                go("delta_e", WORDS.text("own_head.shares"), ("measure", "label"))
                go("find_heads", WORDS.text("own_head.off"), ("find", "matter"))
    elif fills_in(stream):
        with _card("word"):
            _filled(page, trace)


def _card(task: str) -> AbstractContextManager[None]:
    st.html(ROOT / "assets" / "css" / "steps.css")  # tables of bars
    return widgets.card("own_head", WORDS.html("own_head.card"), WORDS.html("own_head.hint", task))


def _of_text(trace: TraceHandle, found: LabelProbabilities, query: int) -> None:
    """Labels of the whole text as bars, the likeliest first."""
    _labels(found, found.best(), WORDS.text("own_head.caption.text"))


def _of_tokens(trace: TraceHandle, found: LabelProbabilities, query: int) -> None:
    """The followed word's labels as bars, and beside them every word with its likeliest label."""
    left, right = st.columns(2, gap="large")
    word = visible(trace.tokens.labels[query])
    with left:
        widgets.heading(WORDS.html("own_head.of_word", word=markup.query(word)), WORDS.html("own_head.choose"))
        _labels(found, found.best(query), WORDS.text("own_head.caption.token", word=word))
    with right:
        widgets.heading(WORDS.html("own_head.every_word"))
        best = [found.best(i)[0] for i in range(len(trace.tokens))]
        texts = [f"{label} {_amount(found.law, value)}" for label, value in best]
        column = Column(WORDS.text("own_head.likeliest"), [value for _, value in best], texts, most=1.0)
        names = [f"{visible(label)} ({i})" for i, label in enumerate(trace.tokens.labels)]
        with st.container(height=360, border=False):
            gallery.bars("Every word and its label", names, [column], says=WORDS.text("own_head.caption.every"))


def _answer(trace: TraceHandle, found: LabelProbabilities, query: int) -> None:
    """The likeliest answer, and the likeliest places where one starts and ends."""
    labels = [visible(label) for label in trace.tokens.labels]
    try:
        best = best_span(found, _may_answer(trace.stream()))
    except HeadlightError as reason:
        widgets.note(str(reason))
        return
    said = markup.key(" ".join(labels[best.start : best.end + 1]))
    widgets.reading(WORDS.html("own_head.answer", answer=said, probability=percent(best.probability)))
    for place, side, column in zip(st.columns(2, gap="large"), found.labels, found.probabilities.T, strict=True):
        with place:
            order = np.argsort(-column, kind="stable")[:OFFERED]
            widgets.heading(WORDS.html("own_head.side", side))
            names = [f"{labels[i]} ({i})" for i in order]
            _bars(names, [float(column[i]) for i in order], "softmax", WORDS.text("own_head.caption.span", side=side))


def _may_answer(stream: StreamTrace) -> np.ndarray:
    """Where an answer may lie, [token]: in the second segment where there are two, and in no special token."""
    tokens = stream.tokens
    may = ~np.asarray(tokens.special, bool)
    return may if tokens.types is None else may & (np.asarray(tokens.types) == max(tokens.types))


def _filled(page: Page, trace: TraceHandle) -> None:
    """The likeliest words at each [MASK]; without one, at the chosen word."""
    stream, mask = trace.stream(), page.model().tokenizer.mask_token_id
    hidden = [i for i, token in enumerate(trace.tokens.ids) if token == mask][:MOST_MASKS]
    chosen = page.word(trace)
    places = hidden or ([] if chosen is None else [chosen])
    if not places:
        widgets.note(WORDS.text("own_head.no_mask", mark=str(page.model().tokenizer.mask_token)))
        return
    for column, position in zip(st.columns(len(places), gap="large"), places, strict=True):
        word = visible(trace.tokens.labels[position])
        found = filled_words(stream, position, OFFERED)
        with column:
            title = WORDS.html("own_head.at", word=markup.query(word), position=position)
            widgets.heading(title, WORDS.html("own_head.guess", "masked" if hidden else "seen", n=OFFERED))
            names = [visible(prediction.word) for prediction in found]
            chances = [prediction.probability for prediction in found]
            _bars(names, chances, "softmax", WORDS.text("own_head.caption.word", word=word, position=position))


def _labels(found: LabelProbabilities, best: Sequence[tuple[str, float]], says: str) -> None:
    shown = best[:MOST_LABELS]
    _bars([label for label, _ in shown], [value for _, value in shown], found.law, says, "label")
    if len(best) > len(shown):
        st.html(f'<div class="hl-hint">{WORDS.html("own_head.more", n=len(best) - len(shown))}</div>')
    if found.law != "softmax":
        st.html(f'<div class="hl-hint">{WORDS.html("own_head.law", found.law)}</div>')


def _bars(names: Sequence[str], values: Sequence[float], law: str, says: str, head: str = "word") -> None:
    title, most = ("number", None) if law == "number" else ("probability", 1.0)
    column = Column(title, values, [_amount(law, value) for value in values], most=most)
    gallery.bars(says, names, [column], says=says, head=head)


def _amount(law: str, value: float) -> str:
    return signed(value) if law == "number" else percent(value)
