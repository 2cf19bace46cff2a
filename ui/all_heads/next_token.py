"""What comes next: the likeliest words, where the head looked while the model wrote, and what each layer would say.

next_token.card(page, trace)          # one card, for models that predict a next word; nothing for others
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.figures.charts.heatmap import heatmap_spec
from attn_core.figures.html.bar_table import Column
from attn_core.models.cards import card_of
from attn_core.prediction.next_token import TokenPrediction, logit_lens, next_words, predicts
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from ui import words
from ui.all_heads import lens, writing
from ui.drawing import gallery, markup, widgets
from ui.page import ROOT, Page

if TYPE_CHECKING:
    from ui.server.handles import TraceHandle

WORDS = words.beside(__file__)
OFFERED = 10  # words


def card(page: Page, trace: TraceHandle) -> None:
    """The card of a causal model: next words, writing on, layer by layer; other models get none."""
    if not predicts(trace.stream()):
        return
    st.html(ROOT / "assets" / "css" / "steps.css")  # tables of bars
    with widgets.card("next_word", WORDS.html("next.card"), WORDS.html("next.hint")):
        left, right = st.columns(2, gap="large")
        with left:
            temperature, top_k = page.state["temperature"], page.state["top_k"]
            found = next_words(trace.stream(), OFFERED, temperature=temperature, top_k=top_k)
            _likeliest(page, trace, found)
            writing.settings(page, trace, found)
        with right:
            _layers(page, trace)
        _steps(page, trace)


def _likeliest(page: Page, trace: TraceHandle, found: Sequence[TokenPrediction]) -> None:
    """The likeliest next words as bars, after temperature and top-k."""
    last = visible(trace.tokens.labels[-1])
    widgets.heading(WORDS.html("next.title", word=markup.query(last)), WORDS.html("next.likeliest", n=len(found)))
    chances = [prediction.probability for prediction in found]
    column = Column("probability", chances, [percent(chance) for chance in chances], most=1.0)
    names = [visible(prediction.word) for prediction in found]
    gallery.bars("The next word", names, [column], says=WORDS.text("next.caption", word=last), head="next")
    stand_ins = card_of(page.model_name).stand_ins
    if any(prediction.word in stand_ins for prediction in found):
        st.html(f'<div class="hl-hint">{WORDS.html("next.unknown", mark=stand_ins[0])}</div>')


def _layers(page: Page, trace: TraceHandle) -> None:
    """The logit lens at the chosen word, or at the last one: what each layer would say if it were the last."""
    chosen, labels = page.word(trace), trace.tokens.labels
    position = len(labels) - 1 if chosen is None else chosen
    try:
        rows = logit_lens(trace.stream(), position, count=3)
    except HeadlightError as error:  # the streams between layers could not be found
        widgets.note(str(error))
        return
    if position == len(labels) - 1:
        hint = WORDS.html("lens.own")
    else:
        hint = WORDS.html("lens.true", word=markup.key(visible(labels[position + 1])))
    widgets.heading(WORDS.html("lens.title", word=markup.query(visible(labels[position]))), hint)
    st.html(lens.table(rows))
    if chosen is None:
        st.html(f'<div class="hl-hint">{WORDS.html("lens.choose")}</div>')


def _steps(page: Page, trace: TraceHandle) -> None:
    """Where one head looked at each step of writing, one row a step, named by the word that was written."""
    rows = writing.written_rows(page, trace)
    if not rows:
        return
    labels, head = trace.tokens.labels, f"{page.layer}.{page.head}"
    widgets.heading(WORDS.html("next.steps.title", head=head), WORDS.html("next.steps.hint"))
    figure = partial(
        heatmap_spec,
        trace.pattern(page.layer, page.head)[rows.start : rows.stop],  # [written, key]
        [labels[row + 1] for row in rows],
        labels,
        head=head,
        masked=~trace.may_look(page.layer)[rows.start : rows.stop],
        query_positions=list(rows),
        key_special=trace.tokens.special,
    )
    gallery.plot(
        "Where it looked, word by word",
        figure,
        key="next_steps",
        alt=WORDS.text("next.steps.alt", head=head),
        says=WORDS.text("next.steps.caption", head=head),
    )
