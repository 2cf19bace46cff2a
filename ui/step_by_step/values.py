"""Steps 7 and 8: values and ΔE."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.figures.html.bar_table import Column
from attn_core.figures.html.matrix_shapes import value_matrices
from attn_core.figures.html.vector_arrows import Arrow, arrows
from attn_core.figures.paper import lines_and_boxes as paper_shapes
from attn_core.residual import geometry
from ui.drawing import gallery, widgets
from ui.drawing.cells import cells
from ui.page import go
from ui.step_by_step import layout, toy
from ui.step_by_step.grids import as_share, bars_of, marks_of
from ui.step_by_step.layout import number, paragraph
from ui.step_by_step.queries_and_keys import has_norm_first
from ui.step_by_step.subject import StepSubject
from ui.step_by_step.vectors import most, stack, strips


def values(subject: StepSubject) -> None:
    """Step 7: what is passed on."""
    w, d, k = subject.stages, subject.d_model, subject.d_head
    with widgets.card("step_7"):
        layout.step_header(
            7,
            "The pattern says <i>how much</i> to take from each word, not <i>what</i>. That takes a third matrix: "
            f"W<sub>V</sub> makes {k} numbers of every word, its <b class='hl-v'>value (down)</b>. Each value is "
            "multiplied by its share, and the results are added up.",
            f"W<sub>O</sub> lifts the sum back into the large space of {d:,} numbers.",
            aside="The lesson calls the two matrices together “the value matrix”, value down and value up, and the "
            "lifted vector “the value”. Papers call v the value, and W<sub>O</sub> the output matrix.",
            formulas=_formulas(subject),
        )
        if subject.toy is not None:
            toy.editors(subject, "w_v", "w_o")
        left, right = st.columns(2, gap="medium")
        with left:
            paragraph('<b class="hl-v">Values (down)</b> of every word')
            strips(subject, w.value.numpy(), "value", "step_7_v", of_keys=True, picture="7 · Values")
        with right:
            paragraph(f"<b>share · value</b> for {subject.query_html}, and their sum")
            _weighted(subject)
        _give_and_take(subject)
        if subject.is_real:
            _low_rank(d, k)
        layout.numbers_and_code(
            subject, 7, lambda: layout.by_dimension(w.value.numpy(), subject.keys), "value", "weighted_values"
        )


def _formulas(subject: StepSubject) -> list[list[layout.Term]]:
    n, d, k, weights = len(subject.keys), subject.d_model, subject.d_head, subject.inputs.weights
    sum_: list[layout.Term] = [("mix", f"{k}", "v"), "=", ("A", f"{n}"), "·", ("V", f"{n} × {k}", "v")]
    if weights is None:
        return [sum_]
    x = "M" if subject.crosses else "x" if has_norm_first(subject) else "E"
    end: list[layout.Term] = ["+", ("b<sub>V</sub>", f"{k}", "v")] if weights.b_v is not None else []
    return [[("V", f"{n} × {k}", "v"), "=", (x, f"{n} × {d}"), "·", ("W<sub>V</sub>", f"{d} × {k}", "v"), *end], sum_]


def _low_rank(d: int, k: int) -> None:
    left, right = st.columns(2, gap="medium", vertical_alignment="center")
    left.html(value_matrices(d, k))
    with right:
        paragraph(
            f"<b>Why two thin matrices and not one square?</b> The square would need {d * d:,} numbers a head, the "
            "two need "
            f"{2 * d * k:,}, as many as query and key. What they can pass on is {k} directions wide, no more: "
            "together they "
            "are of <b>low rank</b>.",
            soft=True,
        )


def _weighted(subject: StepSubject) -> None:
    w, window = subject.stages, subject.k_window
    parts = (w.pattern[subject.query][:, None] * w.value).numpy()[window]
    side = subject.key_side("value", "word")
    rows = Side([*side.labels, "= sum"], "value", "", [*side.special, False])
    numbers = np.concatenate([parts, w.weighted_values[subject.query][None].numpy()])
    packet = pack_cells(
        numbers,
        rows,
        Side(),
        says="{row}: number {column} is {value}",
        alt="Each word's value times its share, and their sum",
        chosen=(len(parts), None),
        limit=most(numbers),
        row_height=26 if numbers.shape[1] <= 12 else 18,
        tallest=430,
    )
    cells(packet, key="step_7_weighted", picture="7 · Share · value")


def _give_and_take(subject: StepSubject) -> None:
    """Share, length of the value, length of the contribution: a large share of a small value adds little."""
    w = subject.stages
    shares = np.where(w.may_look[subject.query].numpy(), w.pattern[subject.query].numpy(), np.nan)
    lengths = geometry.norm(w.lifted.numpy())
    given = geometry.norm(w.by_source(subject.query).numpy())
    order = bars_of(subject, given)
    columns = [
        Column("share", shares[order], [as_share(x) for x in shares[order]]),
        Column("length of its value", lengths[order], [number(x) for x in lengths[order]], "value"),
        Column("share · value, its part in ΔE", given[order], [number(x) for x in given[order]], "delta"),
    ]
    paragraph(
        "<b>What each word gives.</b> A large share of a short value adds little, and the other way round: "
        "attention alone does not say how much a word matters."
    )
    gallery.bars(
        "7 · What each word gives", [subject.key_name(i) for i in order], columns, marks=marks_of(subject, order)
    )


def delta(subject: StepSubject) -> None:
    """Step 8: what the head adds."""
    w, d, k, i = subject.stages, subject.d_model, subject.d_head, subject.query
    e, change = subject.embedding[i], w.delta[i].numpy()
    lift: list[layout.Term] = [
        ("ΔE", f"{d}", "d"),
        "=",
        ("mix", f"{k}", "v"),
        "·",
        ("W<sub>O</sub>", f"{k} × {d}", "v"),
    ]
    with widgets.card("step_8"):
        layout.step_header(
            8,
            f"The lifted sum is <b class='hl-d'>ΔE</b>: {d:,} numbers that this head wants to <b>add</b> to "
            f"{subject.query_html}. E "
            f"was {subject.query_html} on its own; E + ΔE is {subject.query_html} that has taken something in "
            f"from the words it "
            "looked at. "
            "In the large space, its arrow turns.",
            aside=_what_is_in_it(subject),
            formulas=[lift, [("E", f"{d}"), "+", ("ΔE", f"{d}", "d")]],
        )
        _three_strips(subject, e, change)
        left, right = st.columns(2, gap="large")
        with left:
            _turn(e, change, subject.query_html)
        with right:
            if subject.trace is not None:
                _with_the_others(subject, change, subject.query_html)
        layout.numbers_and_code(
            subject, 8, lambda: layout.by_dimension(w.delta.numpy(), subject.queries, subject.meanings), "delta"
        )
        if subject.trace is not None:
            go(
                "delta_e",
                "Every head’s ΔE, added up →",
                layer=subject.layer,
                head=subject.head,
            )


def _what_is_in_it(subject: StepSubject) -> str:
    if subject.toy is None:
        return ""
    change = subject.stages.delta[subject.query].numpy()
    parts = [f"<b>{number(x)}</b> {name}" for name, x in zip(subject.meanings, change, strict=True) if abs(x) > 5e-4]
    return "Here we can read it, because we gave each number a meaning: " + (", ".join(parts) or "nothing") + "."


def _three_strips(subject: StepSubject, e: np.ndarray, change: np.ndarray) -> None:
    """E, ΔE and their sum on one scale, and ΔE once more on its own: one head adds little to a single number."""
    if subject.meanings:
        _named_strips(subject, e, change)
        return
    paragraph("<b>E, ΔE and their sum</b>, on one scale")
    three, alt = [("E", e), ("ΔE", change), ("E + ΔE", e + change)], "E, ΔE and their sum, on one scale"
    stack(three, "step_8_strips", alt, picture="8 · E, ΔE and their sum")
    paragraph("<b>ΔE on a scale of its own</b>")
    stack([("ΔE", change)], "step_8_delta", "ΔE on a scale of its own", picture="8 · ΔE alone")


def _named_strips(subject: StepSubject, e: np.ndarray, change: np.ndarray) -> None:
    packet = pack_cells(
        np.stack([e, change, e + change]),
        Side(["E", "ΔE", "E + ΔE"], "delta"),
        Side(subject.meanings),
        says="{row}: {column} is {value}",
        alt="E, ΔE and their sum",
        chosen=(1, None),
        row_height=28,
    )
    cells(packet, key="step_8_strips", picture="8 · E, ΔE and their sum")


def _turn(e: np.ndarray, change: np.ndarray, word: str) -> None:
    """E, ΔE and their sum in the one plane that holds all three."""
    length, added, total = (float(geometry.norm(x)) for x in (e, change, e + change))
    between, turned = float(geometry.angle(e, change)), float(geometry.angle(e, e + change))
    if np.isnan(between):
        paragraph(f"ΔE is zero: {word} stays as it was.")
        return
    drawn = [
        Arrow(length, 0.0, "embedding", "E", "below"),
        Arrow(added, between, "delta", "ΔE", "beside", start=0),
        Arrow(total, turned, "soft", "E + ΔE"),
    ]
    paragraph(f"<b>{word} turns by {number(turned)}°</b>")
    says_ = "E, ΔE and their sum in the plane that holds them, to scale"
    gallery.register("8 · E turns", partial(paper_shapes.to_scale, drawn), says_)
    st.html(arrows(drawn, f"E, {length:.2f} long; ΔE, {added:.2f} long, at {between:.0f} degrees to it; their sum"))
    paragraph(
        f"True lengths and angles: E is {number(length)} long, ΔE {number(added)}, {between:.0f}° apart. Three arrows "
        "that add up lie in one plane, so this flat picture loses nothing.",
        soft=True,
    )


def _with_the_others(subject: StepSubject, change: np.ndarray, word: str) -> None:
    """This head beside the other heads and the bias of its layer, and what the block does with their sum."""
    trace, i, at = subject.trace, subject.query, {"stream": subject.stream}
    whole = trace.attention_output(subject.layer, **at)[i]
    bias = trace.output_bias(subject.layer, **at)
    n_heads = trace.n_heads_of(subject.stream)
    rows = [
        (f"{subject.head_name} alone", change),
        (f"the other {n_heads - 1} heads", whole - change - bias),
        ("output bias", bias),
        ("all together", whole),
    ]
    lengths = [float(geometry.norm(x)) for _, x in rows]
    column = Column("length", lengths, [number(x) for x in lengths], "delta")
    paragraph(f"<b>It is one of {n_heads} heads.</b> What this layer’s attention adds to {word}:")
    gallery.bars("8 · One of several heads", [name for name, _ in rows], [column], head="part")
    paragraph(
        f"Lengths do not add up, since the arrows point different ways; the vectors do. {_block(subject)}", soft=True
    )


BLOCKS = {
    "pre-norm": "The sum is added to E as it is; then the MLP has its turn.",
    "post-norm": "The sum is added to E, and a LayerNorm brings the result to scale; then the MLP has its turn.",
    "parallel": "The sum is added to E together with the MLP’s part: in this model both read the same E.",
    "norm-after": "A norm brings the sum to scale before it is added to E; then the MLP has its turn.",
}


def _block(subject: StepSubject) -> str:
    try:
        return BLOCKS.get(subject.trace.block(subject.layer, stream=subject.stream), "")
    except HeadlightError as error:
        return str(error)
