"""Steps 5 and 6: the mask and the softmax."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attn_core import masks
from attn_core.figures.canvas.matrix import pack_cells
from attn_core.figures.html.bar_table import Column
from attn_core.text.numbers import percent, percent_or_masked
from ui import words
from ui.drawing import canvas, controls, gallery, widgets
from ui.shared_params import QUERIES_IN
from ui.step_by_step import layout
from ui.step_by_step.grids import bars_of, grid, marks_of
from ui.step_by_step.layout import paragraph
from ui.step_by_step.sentences_values import Term, beginnings, row_worked_out, what_is_masked
from ui.step_by_step.subject import StepSubject

WORDS = words.beside(__file__)
WAYS = {way: WORDS.text("step_6.ways", way, way=said) for way, said in QUERIES_IN.options.items()}
PARAMS = [QUERIES_IN]


def mask(subject: StepSubject) -> None:
    """Step 5: who may look at whom."""
    masked = subject.stages.masked.numpy()  # [query, key]
    n = f"{len(subject.queries)} × {len(subject.keys)}"
    all_open = bool(subject.stages.may_look.all())
    terms: list[Term] = [("masked", n), "=", ("scaled", n), "or", "−∞"]
    with widgets.card("step_5"):
        layout.step_header(5, what_is_masked(subject), formulas=[] if all_open else [terms])
        if not all_open:
            _masked_and_why(subject)
        elif not subject.crosses:
            _causal(subject)
        layout.numbers_and_code(subject, 5, lambda: layout.by_pair(masked, subject.queries, subject.keys), "masked")


def _masked_and_why(subject: StepSubject) -> None:
    left, right = st.columns([0.55, 0.45], gap="large")
    with left:
        alt = WORDS.text("step_5.alt")
        says, name = WORDS.text("step_5.cell"), "5 · Scores after the mask"
        grid(subject, subject.stages.masked.numpy(), "step_5_grid", picture=name, says=says, alt=alt)
    with right:
        paragraph(WORDS.html("step_5.why"))
        paragraph(beginnings(subject), soft=True)


def _causal(subject: StepSubject) -> None:
    """The mask that this model does not have, small."""
    window, n = subject.q_window, len(subject.queries)
    may_look = masks.causal(n, n).numpy()[window, window]
    paragraph(f"<b>{WORDS.text('step_5.causal')}</b>")
    packet = pack_cells(
        np.where(may_look, 1.0, np.nan),
        subject.query_side(),
        subject.key_side(slanted=True),
        kind="positive",
        says=WORDS.text("step_5.causal_cell"),
        alt=WORDS.text("step_5.causal_alt", what=WORDS.text("step_5.causal")),
        chosen=(subject.place_in(subject.query, window), None),
        square=True,
        largest=14,
        legend=False,
    )
    canvas.cells(packet, key="step_5_causal", picture="5 · Mask, a causal one")


def pattern(subject: StepSubject, turned: bool, guessed: int | None) -> None:
    """Step 6: scores become shares."""
    whole = subject.stages.pattern.numpy()  # [query, key], rows sum to 1
    n = f"{len(subject.queries)} × {len(subject.keys)}"
    share = percent(float(whole[subject.query, subject.key]))
    word, other, way = subject.query_html, subject.key_html, "columns" if turned else "rows"
    with widgets.card("step_6"):
        layout.step_header(
            6,
            WORDS.html("step_6.what", word=word, other=other, share=share),
            aside=WORDS.html("step_6.both_ways", way, word=word, other=other),
            formulas=[
                [("A", n), "=", "softmax(", ("masked", ""), ")", "each row"],
                ["e<sup>score</sup>", "÷", "Σ e<sup>score</sup>"],
            ],
        )
        left, right = st.columns([0.55, 0.45], gap="large")
        with left:
            grid(
                subject,
                whole,
                "step_6_grid",
                picture="6 · Pattern",
                says=WORDS.text("step_6.cell", head=subject.head_name),
                alt=WORDS.text("step_6.alt"),
                kind="weights",
                turned=turned,
            )
            controls.switch(QUERIES_IN, WAYS)
        with right:
            _row_as_bars(subject, guessed)
        layout.numbers_and_code(subject, 6, lambda: layout.by_pair(whole, subject.queries, subject.keys), "pattern")


def _row_as_bars(subject: StepSubject, guessed: int | None) -> None:
    row, may_look = subject.stages.pattern[subject.query].numpy(), subject.stages.may_look[subject.query].numpy()
    shares = np.where(may_look, row, np.nan)  # [key]
    order = bars_of(subject, shares)
    marks = marks_of(subject, order)
    if guessed in order:
        at = order.index(guessed)
        marks[at] = (marks.get(at, ("", ""))[0], "your guess")
    title = f"share for {subject.query_name(subject.query)}"
    column = Column(title, shares[order], [percent_or_masked(x) for x in shares[order]])
    names = [subject.key_name(i) for i in order]
    gallery.bars("6 · Shares of one row", names, [column], head="key", marks=marks)
    paragraph(row_worked_out(subject, order), soft=True)
