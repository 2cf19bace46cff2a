"""What comes next: the likeliest words, where the head looked while the model wrote, and what each layer would say.

next_token.card(page, trace)          # one card, for models that predict a next word; nothing for others
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.figures.html.bar_table import Column
from attn_core.models.cards import card_of
from attn_core.prediction.next_token import TokenPrediction, logit_lens, next_words, predicts
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from ui import words
from ui.all_heads import film, lens, writing
from ui.drawing import gallery, markup, widgets
from ui.page import Page
from ui.shell.menu import ROOT

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
            if page.messages is None:
                writing.settings(page, trace, found)
            else:
                st.html(f'<div class="hl-hint">{WORDS.html("next.chat")}</div>')
        with right:
            _layers(page, trace)
    film.card(page, trace)


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
