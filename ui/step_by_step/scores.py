"""Steps 3 and 4: scores, and their division by √d_k."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import streamlit as st

from attn_core.attention import softmax
from attn_core.figures.html.bar_table import Column
from attn_core.figures.html.dot_product import dot_product
from attn_core.figures.html.vector_arrows import Arrow, arrows
from attn_core.figures.paper import lines_and_boxes as paper_shapes
from attn_core.residual import geometry
from attn_core.text.numbers import percent, signed
from ui.drawing import gallery, widgets
from ui.step_by_step import layout
from ui.step_by_step.grids import as_share, bars_of, grid, marks_of
from ui.step_by_step.layout import number, paragraph
from ui.step_by_step.subject import StepSubject


def scores(subject: StepSubject) -> None:
    """Step 3: every query meets every key."""
    n_q, n_k, k, raw = len(subject.queries), len(subject.keys), subject.d_head, subject.stages.raw_scores.numpy()
    with widgets.card("step_3"):
        layout.step_header(
            3,
            f"Lay a query beside a key, multiply number by number, and add up the {k} products. That is their <b>dot "
            "product</b>, the score: numbers that agree in sign push it up, numbers that don’t pull it down. Every "
            "query "
            f"meets every key, which makes a grid. The row of {subject.query_html} says how well each word answers it.",
            formulas=[
                [
                    ("S", f"{n_q} × {n_k}"),
                    "=",
                    ("Q", f"{n_q} × {k}", "q"),
                    "·",
                    ("K<sup>T</sup>", f"{k} × {n_k}", "k"),
                ]
            ],
        )
        left, right = st.columns([0.55, 0.45], gap="large")
        with left:
            alt = "Scores before anything else: query rows, key columns"
            name = "3 · Scores"
            grid(subject, raw, "step_3_grid", picture=name, says_="{row} · {column} = {value}", alt=alt, all_seen=True)
        with right:
            _one_score(subject)
        layout.numbers_and_code(subject, 3, lambda: layout.by_pair(raw, subject.queries, subject.keys), "raw_scores")


def _one_score(subject: StepSubject) -> None:
    """The neuron view of the chosen cell, and the angle between its two vectors."""
    q, k = subject.stages.turned_query[subject.query].numpy(), subject.stages.turned_key[subject.key].numpy()
    products = q * k
    agree, differ = float(products[products > 0].sum()), float(products[products < 0].sum())
    top = int(np.abs(products).argmax())
    paragraph(
        f"<b>{subject.query_html} · {subject.key_html} = {number(products.sum(), 4)}</b>, number by number. "
        f"Click another cell to "
        "see its."
    )
    words = subject.query_name(subject.query), subject.key_name(subject.key)
    st.html(dot_product(q, k, *words))
    gallery.register("3 · One score", partial(paper_shapes.dot_product, q, k, *words), "Query, key and their products")
    paragraph(
        f"Numbers that agree in sign give <b>{signed(agree)}</b>, the others <b>{signed(differ)}</b>. The largest "
        "product is "
        f"number {top}’s: {number(q[top])} × {number(k[top])} = <b>{signed(float(products[top]))}</b>.",
        soft=True,
    )
    _as_arrows(q, k)


def _as_arrows(q: np.ndarray, k: np.ndarray) -> None:
    length_q, length_k, degrees = float(geometry.norm(q)), float(geometry.norm(k)), float(geometry.angle(q, k))
    if math.isnan(degrees):
        paragraph("One of the two is all zeros: it points nowhere, and the score is 0.", soft=True)
        return
    drawn = [Arrow(length_k, 0.0, "key", "key", "below"), Arrow(length_q, degrees, "query", "query")]
    gallery.register("3 · One score, as arrows", partial(paper_shapes.to_scale, drawn), "Query and key, to scale")
    st.html(arrows(drawn, f"Query {length_q:.2f} long, key {length_k:.2f} long, {degrees:.0f} degrees apart"))
    paragraph(
        f"The same two as arrows, to scale, <b>{degrees:.0f}°</b> apart: {number(length_q)} × {number(length_k)} × cos "
        f"{degrees:.1f}° = {number(float(q @ k))}. At 90° they have nothing to say to each other.",
        soft=True,
    )


def scale(subject: StepSubject) -> None:
    """Step 4: divide, so that the size of the head does not decide how sharp the softmax is."""
    factor, k, shifted = subject.inputs.scale_factor(), subject.d_head, subject.stages.shifted.numpy()
    divides = not math.isclose(factor, 1.0)
    under = f"√{k} = {number(1 / factor)}" if math.isclose(factor, k**-0.5) else number(1 / factor)
    with widgets.card("step_4"):
        layout.step_header(
            4,
            *(_why_divide(subject, 1 / factor) if divides else [_divided_elsewhere(subject)]),
            *_shifts(subject),
            formulas=[[("scaled", f"{len(subject.queries)} × {len(subject.keys)}"), "=", "S", "÷", under]]
            if divides
            else [],
        )
        _before_and_after(subject, divides)
        layout.numbers_and_code(
            subject, 4, lambda: layout.by_pair(shifted, subject.queries, subject.keys), "scaled", "shifted"
        )


def _why_divide(subject: StepSubject, divisor: float) -> list[str]:
    seen = subject.stages.may_look[subject.query].numpy()
    spread = float(subject.stages.raw_scores[subject.query].numpy()[seen].std())
    sharp, true = _row_without_scale(subject).max(), subject.stages.pattern[subject.query].max()
    return [
        f"A score is a sum of {subject.d_head} products, so the larger the head, the further its scores spread. "
        "Dividing by "
        f"{number(divisor)} takes that out: in the row of {subject.query_html} the spread (standard deviation) "
        f"goes from "
        f"<b>{number(spread)}</b> to <b>{number(spread / divisor)}</b>.",
        f"What for, the softmax will show (step 6): without it the largest share of this row would be "
        f"<b>{percent(float(sharp))}</b> instead of <b>{percent(float(true))}</b>. A head that is too sure of itself "
        "hardly "
        "learns, because small changes no longer change its mind.",
    ]


def _row_without_scale(subject: StepSubject) -> np.ndarray:
    """The chosen row's softmax if nothing had been divided, cap and bias left out."""
    raw = subject.stages.raw_scores[subject.query] / subject.inputs.scaled_before
    return softmax(raw.masked_fill(~subject.stages.may_look[subject.query], -math.inf)).numpy()


def _divided_elsewhere(subject: StepSubject) -> str:
    before = subject.inputs.scaled_before
    if math.isclose(before, 1.0):
        return (
            "This model does not divide. Its W<sub>Q</sub> and W<sub>K</sub> were started so small in training that "
            "scores "
            "have the right spread by themselves, as T5 does it."
        )
    return (
        f"This model divides earlier: it multiplies its queries by {number(before)} = 1/√{subject.d_head} before they "
        "meet a "
        "key. The queries and scores above are already divided, so nothing is left to do here."
    )


def _shifts(subject: StepSubject) -> list[str]:
    said, cap = [], subject.inputs.cap
    if cap is not None:
        said.append(
            f"Then this model squeezes every score smoothly into the range from −{number(cap)} to {number(cap)}."
        )
    if subject.inputs.position_bias is not None:
        here = signed(float(subject.inputs.position_bias[subject.query, subject.key]))
        said.append(
            "Then the place comes in: a learnt number for each distance between two words is added to their score, for "
            f"{subject.query_html} and {subject.key_html} {here}."
        )
    return said


def _before_and_after(subject: StepSubject, divides: bool) -> None:
    """The chosen row before and after, and what a softmax would make of both."""
    w, row = subject.stages, subject.query
    seen = w.may_look[row].numpy()
    sharp, true = np.where(seen, _row_without_scale(subject), np.nan), np.where(seen, w.pattern[row].numpy(), np.nan)
    raw, after = w.raw_scores[row].numpy(), w.shifted[row].numpy()
    order = bars_of(subject, true)
    longest, share = float(np.abs(raw).max()), float(np.nanmax([np.nanmax(sharp), np.nanmax(true)]))
    columns = [
        Column("score", raw[order], [number(x) for x in raw[order]], "plain", longest),
        Column("after this step", after[order], [number(x) for x in after[order]], "plain", longest),
        Column("share it would get undivided", sharp[order], [as_share(x) for x in sharp[order]], "weight", share),
        Column("share it gets", true[order], [as_share(x) for x in true[order]], "weight", share),
    ]
    if subject.inputs.position_bias is not None:
        added = subject.inputs.position_bias[row].numpy()[order]
        columns.insert(1, Column("its place adds", added, [signed(float(x)) for x in added], "plain", longest))
    kept = (
        columns
        if divides or subject.inputs.scaled_before != 1
        else [column for column in columns if "undivided" not in column.title]
    )
    names = [subject.key_name(i) for i in order]
    gallery.bars("4 · Before and after the scale", names, kept, head="key", marks=marks_of(subject, order))
