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
from ui.step_by_step import layout as steps
from ui.step_by_step.grids import as_share, bars_of, grid, marks_of
from ui.step_by_step.layout import number, says
from ui.step_by_step.subject import Scene


def scores(scene: Scene) -> None:
    """Step 3: every query meets every key."""
    n_q, n_k, k, raw = len(scene.queries), len(scene.keys), scene.d_head, scene.stages.raw_scores.numpy()
    with widgets.card("step_3"):
        steps.opening(
            3,
            f"Lay a query beside a key, multiply number by number, and add up the {k} products. That is their <b>dot "
            "product</b>, the score: numbers that agree in sign push it up, numbers that don’t pull it down. Every "
            "query "
            f"meets every key, which makes a grid. The row of {scene.word} says how well each word answers it.",
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
            grid(scene, raw, "step_3_grid", picture=name, says_="{row} · {column} = {value}", alt=alt, all_seen=True)
        with right:
            _one_score(scene)
        steps.behind(scene, 3, lambda: steps.by_pair(raw, scene.queries, scene.keys), "raw_scores")


def _one_score(scene: Scene) -> None:
    """The neuron view of the chosen cell, and the angle between its two vectors."""
    q, k = scene.stages.turned_query[scene.asks].numpy(), scene.stages.turned_key[scene.answers].numpy()
    products = q * k
    agree, differ = float(products[products > 0].sum()), float(products[products < 0].sum())
    top = int(np.abs(products).argmax())
    says(
        f"<b>{scene.word} · {scene.other} = {number(products.sum(), 4)}</b>, number by number. Click another cell to "
        "see its."
    )
    words = scene.query_name(scene.asks), scene.key_name(scene.answers)
    st.html(dot_product(q, k, *words))
    gallery.register("3 · One score", partial(paper_shapes.dot_product, q, k, *words), "Query, key and their products")
    says(
        f"Numbers that agree in sign give <b>{signed(agree)}</b>, the others <b>{signed(differ)}</b>. The largest "
        "product is "
        f"number {top}’s: {number(q[top])} × {number(k[top])} = <b>{signed(float(products[top]))}</b>.",
        soft=True,
    )
    _as_arrows(q, k)


def _as_arrows(q: np.ndarray, k: np.ndarray) -> None:
    length_q, length_k, degrees = float(geometry.norm(q)), float(geometry.norm(k)), float(geometry.angle(q, k))
    if math.isnan(degrees):
        says("One of the two is all zeros: it points nowhere, and the score is 0.", soft=True)
        return
    drawn = [Arrow(length_k, 0.0, "key", "key", "below"), Arrow(length_q, degrees, "query", "query")]
    gallery.register("3 · One score, as arrows", partial(paper_shapes.to_scale, drawn), "Query and key, to scale")
    st.html(arrows(drawn, f"Query {length_q:.2f} long, key {length_k:.2f} long, {degrees:.0f} degrees apart"))
    says(
        f"The same two as arrows, to scale, <b>{degrees:.0f}°</b> apart: {number(length_q)} × {number(length_k)} × cos "
        f"{degrees:.1f}° = {number(float(q @ k))}. At 90° they have nothing to say to each other.",
        soft=True,
    )


def scale(scene: Scene) -> None:
    """Step 4: divide, so that the size of the head does not decide how sharp the softmax is."""
    factor, k, shifted = scene.inputs.scale_factor(), scene.d_head, scene.stages.shifted.numpy()
    divides = not math.isclose(factor, 1.0)
    under = f"√{k} = {number(1 / factor)}" if math.isclose(factor, k**-0.5) else number(1 / factor)
    with widgets.card("step_4"):
        steps.opening(
            4,
            *(_why_divide(scene, 1 / factor) if divides else [_divided_elsewhere(scene)]),
            *_shifts(scene),
            formulas=[[("scaled", f"{len(scene.queries)} × {len(scene.keys)}"), "=", "S", "÷", under]]
            if divides
            else [],
        )
        _before_and_after(scene, divides)
        steps.behind(scene, 4, lambda: steps.by_pair(shifted, scene.queries, scene.keys), "scaled", "shifted")


def _why_divide(scene: Scene, divisor: float) -> list[str]:
    seen = scene.stages.may_look[scene.asks].numpy()
    spread = float(scene.stages.raw_scores[scene.asks].numpy()[seen].std())
    sharp, true = _row_without_scale(scene).max(), scene.stages.pattern[scene.asks].max()
    return [
        f"A score is a sum of {scene.d_head} products, so the larger the head, the further its scores spread. "
        "Dividing by "
        f"{number(divisor)} takes that out: in the row of {scene.word} the spread (standard deviation) goes from "
        f"<b>{number(spread)}</b> to <b>{number(spread / divisor)}</b>.",
        f"What for, the softmax will show (step 6): without it the largest share of this row would be "
        f"<b>{percent(float(sharp))}</b> instead of <b>{percent(float(true))}</b>. A head that is too sure of itself "
        "hardly "
        "learns, because small changes no longer change its mind.",
    ]


def _row_without_scale(scene: Scene) -> np.ndarray:
    """The chosen row's softmax if nothing had been divided, cap and bias left out."""
    raw = scene.stages.raw_scores[scene.asks] / scene.inputs.scaled_before
    return softmax(raw.masked_fill(~scene.stages.may_look[scene.asks], -math.inf)).numpy()


def _divided_elsewhere(scene: Scene) -> str:
    before = scene.inputs.scaled_before
    if math.isclose(before, 1.0):
        return (
            "This model does not divide. Its W<sub>Q</sub> and W<sub>K</sub> were started so small in training that "
            "scores "
            "have the right spread by themselves, as T5 does it."
        )
    return (
        f"This model divides earlier: it multiplies its queries by {number(before)} = 1/√{scene.d_head} before they "
        "meet a "
        "key. The queries and scores above are already divided, so nothing is left to do here."
    )


def _shifts(scene: Scene) -> list[str]:
    said, cap = [], scene.inputs.cap
    if cap is not None:
        said.append(
            f"Then this model squeezes every score smoothly into the range from −{number(cap)} to {number(cap)}."
        )
    if scene.inputs.position_bias is not None:
        here = signed(float(scene.inputs.position_bias[scene.asks, scene.answers]))
        said.append(
            "Then the place comes in: a learnt number for each distance between two words is added to their score, for "
            f"{scene.word} and {scene.other} {here}."
        )
    return said


def _before_and_after(scene: Scene, divides: bool) -> None:
    """The chosen row before and after, and what a softmax would make of both."""
    w, row = scene.stages, scene.asks
    seen = w.may_look[row].numpy()
    sharp, true = np.where(seen, _row_without_scale(scene), np.nan), np.where(seen, w.pattern[row].numpy(), np.nan)
    raw, after = w.raw_scores[row].numpy(), w.shifted[row].numpy()
    order = bars_of(scene, true)
    longest, share = float(np.abs(raw).max()), float(np.nanmax([np.nanmax(sharp), np.nanmax(true)]))
    columns = [
        Column("score", raw[order], [number(x) for x in raw[order]], "plain", longest),
        Column("after this step", after[order], [number(x) for x in after[order]], "plain", longest),
        Column("share it would get undivided", sharp[order], [as_share(x) for x in sharp[order]], "weight", share),
        Column("share it gets", true[order], [as_share(x) for x in true[order]], "weight", share),
    ]
    if scene.inputs.position_bias is not None:
        added = scene.inputs.position_bias[row].numpy()[order]
        columns.insert(1, Column("its place adds", added, [signed(float(x)) for x in added], "plain", longest))
    kept = (
        columns
        if divides or scene.inputs.scaled_before != 1
        else [column for column in columns if "undivided" not in column.title]
    )
    names = [scene.key_name(i) for i in order]
    gallery.bars("4 · Before and after the scale", names, kept, head="key", marks=marks_of(scene, order))
