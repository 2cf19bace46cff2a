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
from ui.step_by_step import layout as steps
from ui.step_by_step import toy as steps_toy
from ui.step_by_step.grids import as_share, bars_of, marks_of
from ui.step_by_step.layout import number, says
from ui.step_by_step.queries_and_keys import has_norm_first
from ui.step_by_step.subject import Scene
from ui.step_by_step.vectors import most, stack, strips


def values(scene: Scene) -> None:
    """Step 7: what is passed on."""
    w, d, k = scene.stages, scene.d_model, scene.d_head
    with widgets.card("step_7"):
        steps.opening(
            7,
            "The pattern says <i>how much</i> to take from each word, not <i>what</i>. That takes a third matrix: "
            f"W<sub>V</sub> makes {k} numbers of every word, its <b class='hl-v'>value (down)</b>. Each value is "
            "multiplied by its share, and the results are added up.",
            f"W<sub>O</sub> lifts the sum back into the large space of {d:,} numbers.",
            aside="The lesson calls the two matrices together “the value matrix”, value down and value up, and the "
            "lifted vector “the value”. Papers call v the value, and W<sub>O</sub> the output matrix.",
            formulas=_formulas(scene),
        )
        if scene.toy is not None:
            steps_toy.editors(scene, "w_v", "w_o")
        left, right = st.columns(2, gap="medium")
        with left:
            says('<b class="hl-v">Values (down)</b> of every word')
            strips(scene, w.value.numpy(), "value", "step_7_v", of_keys=True, picture="7 · Values")
        with right:
            says(f"<b>share · value</b> for {scene.word}, and their sum")
            _weighted(scene)
        _give_and_take(scene)
        if scene.is_real:
            _low_rank(d, k)
        steps.behind(scene, 7, lambda: steps.by_dimension(w.value.numpy(), scene.keys), "value", "mixed")


def _formulas(scene: Scene) -> list[list[steps.Term]]:
    n, d, k, weights = len(scene.keys), scene.d_model, scene.d_head, scene.inputs.weights
    sum_: list[steps.Term] = [("mix", f"{k}", "v"), "=", ("A", f"{n}"), "·", ("V", f"{n} × {k}", "v")]
    if weights is None:
        return [sum_]
    x = "M" if scene.crosses else "x" if has_norm_first(scene) else "E"
    end: list[steps.Term] = ["+", ("b<sub>V</sub>", f"{k}", "v")] if weights.b_v is not None else []
    return [[("V", f"{n} × {k}", "v"), "=", (x, f"{n} × {d}"), "·", ("W<sub>V</sub>", f"{d} × {k}", "v"), *end], sum_]


def _low_rank(d: int, k: int) -> None:
    left, right = st.columns(2, gap="medium", vertical_alignment="center")
    left.html(value_matrices(d, k))
    with right:
        says(
            f"<b>Why two thin matrices and not one square?</b> The square would need {d * d:,} numbers a head, the "
            "two need "
            f"{2 * d * k:,}, as many as query and key. What they can pass on is {k} directions wide, no more: "
            "together they "
            "are of <b>low rank</b>.",
            soft=True,
        )


def _weighted(scene: Scene) -> None:
    w, window = scene.stages, scene.k_window
    parts = (w.pattern[scene.asks][:, None] * w.value).numpy()[window]
    side = scene.key_side("value", "word")
    rows = Side([*side.labels, "= sum"], "value", "", [*side.special, False])
    numbers = np.concatenate([parts, w.mixed[scene.asks][None].numpy()])
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


def _give_and_take(scene: Scene) -> None:
    """Share, length of the value, length of the contribution: a large share of a small value adds little."""
    w = scene.stages
    shares = np.where(w.may_look[scene.asks].numpy(), w.pattern[scene.asks].numpy(), np.nan)
    lengths = geometry.norm(w.lifted.numpy())
    given = geometry.norm(w.by_source(scene.asks).numpy())
    order = bars_of(scene, given)
    columns = [
        Column("share", shares[order], [as_share(x) for x in shares[order]]),
        Column("length of its value", lengths[order], [number(x) for x in lengths[order]], "value"),
        Column("share · value, its part in ΔE", given[order], [number(x) for x in given[order]], "delta"),
    ]
    says(
        "<b>What each word gives.</b> A large share of a short value adds little, and the other way round: "
        "attention alone does not say how much a word matters."
    )
    gallery.bars("7 · What each word gives", [scene.key_name(i) for i in order], columns, marks=marks_of(scene, order))


def delta(scene: Scene) -> None:
    """Step 8: what the head adds."""
    w, d, k, i = scene.stages, scene.d_model, scene.d_head, scene.asks
    e, change = scene.embedding[i], w.delta[i].numpy()
    lift: list[steps.Term] = [("ΔE", f"{d}", "d"), "=", ("mix", f"{k}", "v"), "·", ("W<sub>O</sub>", f"{k} × {d}", "v")]
    with widgets.card("step_8"):
        steps.opening(
            8,
            f"The lifted sum is <b class='hl-d'>ΔE</b>: {d:,} numbers that this head wants to <b>add</b> to "
            f"{scene.word}. E "
            f"was {scene.word} on its own; E + ΔE is {scene.word} that has taken something in from the words it "
            "looked at. "
            "In the large space, its arrow turns.",
            aside=_what_is_in_it(scene),
            formulas=[lift, [("E", f"{d}"), "+", ("ΔE", f"{d}", "d")]],
        )
        _three_strips(scene, e, change)
        left, right = st.columns(2, gap="large")
        with left:
            _turn(e, change, scene.word)
        with right:
            if scene.trace is not None:
                _with_the_others(scene, change, scene.word)
        steps.behind(scene, 8, lambda: steps.by_dimension(w.delta.numpy(), scene.queries, scene.meanings), "delta")
        if scene.trace is not None:
            go(
                "delta_e",
                "Every head’s ΔE, added up →",
                layer=scene.layer,
                head=scene.head,
            )


def _what_is_in_it(scene: Scene) -> str:
    if scene.toy is None:
        return ""
    change = scene.stages.delta[scene.asks].numpy()
    parts = [f"<b>{number(x)}</b> {name}" for name, x in zip(scene.meanings, change, strict=True) if abs(x) > 5e-4]
    return "Here we can read it, because we gave each number a meaning: " + (", ".join(parts) or "nothing") + "."


def _three_strips(scene: Scene, e: np.ndarray, change: np.ndarray) -> None:
    """E, ΔE and their sum on one scale, and ΔE once more on its own: one head adds little to a single number."""
    if scene.meanings:
        _named_strips(scene, e, change)
        return
    says("<b>E, ΔE and their sum</b>, on one scale")
    three, alt = [("E", e), ("ΔE", change), ("E + ΔE", e + change)], "E, ΔE and their sum, on one scale"
    stack(three, "step_8_strips", alt, picture="8 · E, ΔE and their sum")
    says("<b>ΔE on a scale of its own</b>")
    stack([("ΔE", change)], "step_8_delta", "ΔE on a scale of its own", picture="8 · ΔE alone")


def _named_strips(scene: Scene, e: np.ndarray, change: np.ndarray) -> None:
    packet = pack_cells(
        np.stack([e, change, e + change]),
        Side(["E", "ΔE", "E + ΔE"], "delta"),
        Side(scene.meanings),
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
        says(f"ΔE is zero: {word} stays as it was.")
        return
    drawn = [
        Arrow(length, 0.0, "embedding", "E", "below"),
        Arrow(added, between, "delta", "ΔE", "beside", start=0),
        Arrow(total, turned, "soft", "E + ΔE"),
    ]
    says(f"<b>{word} turns by {number(turned)}°</b>")
    says_ = "E, ΔE and their sum in the plane that holds them, to scale"
    gallery.register("8 · E turns", partial(paper_shapes.to_scale, drawn), says_)
    st.html(arrows(drawn, f"E, {length:.2f} long; ΔE, {added:.2f} long, at {between:.0f} degrees to it; their sum"))
    says(
        f"True lengths and angles: E is {number(length)} long, ΔE {number(added)}, {between:.0f}° apart. Three arrows "
        "that add up lie in one plane, so this flat picture loses nothing.",
        soft=True,
    )


def _with_the_others(scene: Scene, change: np.ndarray, word: str) -> None:
    """This head beside the other heads and the bias of its layer, and what the block does with their sum."""
    trace, i, at = scene.trace, scene.asks, {"stream": scene.stream}
    whole = trace.attention_output(scene.layer, **at)[i]
    bias = trace.output_bias(scene.layer, **at)
    n_heads = trace.n_heads_of(scene.stream)
    rows = [
        (f"{scene.who} alone", change),
        (f"the other {n_heads - 1} heads", whole - change - bias),
        ("output bias", bias),
        ("all together", whole),
    ]
    lengths = [float(geometry.norm(x)) for _, x in rows]
    column = Column("length", lengths, [number(x) for x in lengths], "delta")
    says(f"<b>It is one of {n_heads} heads.</b> What this layer’s attention adds to {word}:")
    gallery.bars("8 · One of several heads", [name for name, _ in rows], [column], head="part")
    says(f"Lengths do not add up, since the arrows point different ways; the vectors do. {_block(scene)}", soft=True)


BLOCKS = {
    "pre-norm": "The sum is added to E as it is; then the MLP has its turn.",
    "post-norm": "The sum is added to E, and a LayerNorm brings the result to scale; then the MLP has its turn.",
    "parallel": "The sum is added to E together with the MLP’s part: in this model both read the same E.",
    "norm-after": "A norm brings the sum to scale before it is added to E; then the MLP has its turn.",
}


def _block(scene: Scene) -> str:
    try:
        return BLOCKS.get(scene.trace.block(scene.layer, stream=scene.stream), "")
    except HeadlightError as error:
        return str(error)
