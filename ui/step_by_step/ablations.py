"""Break it, to see why it is there: the same head with a stage left out, beside the true one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from attn_core.figures.canvas.matrix import pack_cells
from attn_core.residual import geometry
from attn_core.text.numbers import percent
from attn_core.walkthrough import toy
from attn_core.walkthrough.ablations import StageAblation
from attn_core.walkthrough.from_trace import places_of
from attn_core.walkthrough.head import HeadStages, run_stages
from ui.drawing import widgets
from ui.drawing.cells import cells
from ui.link import Param
from ui.page import scientific
from ui.step_by_step import layout
from ui.step_by_step.layout import number, paragraph
from ui.step_by_step.subject import StepSubject

NAMES = {
    StageAblation.SHUFFLED_POSITIONS: "shuffled positions",
    StageAblation.RANDOM_WEIGHTS: "random W_Q and W_K",
    StageAblation.KEYS_ARE_QUERIES: "keys = queries",
    StageAblation.NO_SCALE: "no ÷ √d",
    StageAblation.NO_MASK: "no mask",
    StageAblation.CAUSAL_MASK: "a causal mask",
    StageAblation.NO_SOFTMAX: "no softmax",
    StageAblation.NO_W_O: "no W_O",
}
WHY = {
    StageAblation.SHUFFLED_POSITIONS: (
        "The words are the same, their places are not. What stays in the pattern depends on meaning, what changes "
        "depended on where the words stood."
    ),
    StageAblation.RANDOM_WEIGHTS: (
        "W<sub>Q</sub> and W<sub>K</sub> keep their numbers, in random places: as large as before, nothing "
        "learnt. What you see now is what chance alone would draw."
    ),
    StageAblation.KEYS_ARE_QUERIES: (
        "Every word now offers exactly what it asks for. Scores become a mirror: if a looks at b, b looks at a, "
        "and a word answers its own question best. Asking and offering need two matrices."
    ),
    StageAblation.NO_SCALE: (
        "Scores spread √d times as far, and the softmax comes closer to picking a single word in each row."
    ),
    StageAblation.NO_MASK: (
        "Words now see what comes after them. A model that was trained to predict would find its answer there, "
        "and would learn nothing."
    ),
    StageAblation.CAUSAL_MASK: (
        "This model may look ahead, and now it may not: the upper half of the grid is lost, and early words have "
        "almost nothing to look at."
    ),
    StageAblation.NO_SOFTMAX: (
        "The scores themselves are the weights now: negative ones take away, rows do not sum to 1, and ΔE grows "
        "with the length of the sentence."
    ),
    StageAblation.NO_W_O: (
        "The head’s numbers are added where they stand, side by side with those of other heads: the right amount "
        "of something, in directions that mean something else."
    ),
}
MOST_WORDS = 40


def param() -> Param:
    """The breaks of the link, in the order of the stages: "no-scale,no-mask"."""

    def parse(raw: str, earlier: Mapping[str, Any]) -> list[StageAblation]:
        names = [name for name in raw.split(",") if name]
        unknown = [name for name in names if name not in list(StageAblation)]
        if unknown:
            raise ValueError("it must be some of " + ", ".join(StageAblation))
        return [each for each in StageAblation if each in names]

    return Param("breaks", [], parse, lambda value: ",".join(value))


def panel(subject: StepSubject, wanted: list[StageAblation]) -> None:
    """The switches, the broken pattern beside the true one, their difference, and the distance from the model."""
    possible = subject.inputs.possible_ablations()
    with widgets.card("step_9"):
        layout.step_header(
            9,
            f"Everything above is computed here, step by "
            f"step{', and it agrees with the model' * subject.is_real}. Leave "
            "something out, and see what it was for.",
            name="Break it, to see why it is there",
            mark="✕",
        )
        st.pills(
            "Leave out or spoil",
            list(StageAblation),
            selection_mode="multi",
            format_func=lambda each: NAMES[each] + ("" if each in possible else " (not in this model)"),
            key="breaks",
            label_visibility="collapsed",
        )
        broken = [each for each in wanted if each in possible]
        spoilt = run_stages(subject.inputs, frozenset(broken)) if broken else None
        for each in wanted:
            why = WHY[each] if each in possible else "There is nothing to change here."
            paragraph(f"<b>{NAMES[each][0].upper()}{NAMES[each][1:]}.</b> {why}", soft=True)
        if StageAblation.SHUFFLED_POSITIONS in broken:
            _new_order(subject)
        if spoilt is not None:
            _side_by_side(subject, spoilt)
            _what_changed(subject, spoilt)
        _meter(subject, spoilt)


def _new_order(subject: StepSubject) -> None:
    """The sentence as it reads when its words have changed places."""
    standing = list(toy.SHUFFLED) if subject.toy is not None else places_of(list(subject.queries.special))
    order = sorted(range(len(standing)), key=standing.__getitem__)[:MOST_WORDS]
    words = " ".join(widgets.tok(subject.query_name(i), "q" if i == subject.query else "") for i in order)
    more = " …" if len(standing) > MOST_WORDS else ""
    paragraph(f"It now reads: {words}{more} (the grids keep the old order, so that cells can be compared)", soft=True)


def _side_by_side(subject: StepSubject, spoilt: HeadStages) -> None:
    true = subject.stages
    largest = max(float(true.pattern.max()), float(spoilt.pattern.max()))
    no_shares = bool(((spoilt.pattern < 0) | (spoilt.pattern > 1.001)).any())
    pictures = (
        ("As it is", true, true.pattern.numpy(), False),
        ("Broken", spoilt, spoilt.pattern.numpy(), no_shares),
        ("Difference", spoilt, (spoilt.pattern - true.pattern).numpy(), True),
    )
    for place, (name, made, numbers, is_signed) in zip(st.columns(3, gap="medium"), pictures, strict=True):
        with place:
            paragraph(f"<b>{name}</b>")
            seen = made.may_look.numpy() if name != "Difference" else (made.may_look | true.may_look).numpy()
            shown = np.where(seen, numbers, np.nan)
            packet = pack_cells(
                shown[subject.q_window, subject.k_window],
                subject.query_side(),
                subject.key_side(slanted=True),
                kind="signed" if is_signed else "weights",
                scale="linear" if is_signed else "sqrt",
                limit=None if is_signed else largest,
                says="{row} takes {value} from {column}." if name != "Difference" else "{row}, {column}: {value}",
                alt=f"{name}: query rows, key columns",
                chosen=(subject.place_in(subject.query, subject.q_window), None),
                square=True,
            )
            cells(packet, key=f"break_{name}", picture=f"Break it · {name}")


def _what_changed(subject: StepSubject, spoilt: HeadStages) -> None:
    true, i = subject.stages, subject.query
    word = subject.query_html
    before, after = true.delta[i].numpy(), spoilt.delta[i].numpy()
    size_before, size_after = float(geometry.norm(before)), float(geometry.norm(after))
    angle = float(geometry.angle(before, after))
    rows = spoilt.pattern.sum(dim=-1)
    widgets.strip(
        [
            (
                f"{percent(float(true.pattern[i].max()))} → {_weight(float(spoilt.pattern[i].max()))}",
                "largest weight of the row",
            ),
            (_weight(float((spoilt.pattern - true.pattern).abs().max())), "largest change of any weight"),
            (" … ".join(dict.fromkeys((number(float(rows.min())), number(float(rows.max()))))), "what rows sum to"),
            (f"{number(size_before)} → {number(size_after)}", "length of ΔE"),
            ("–" if np.isnan(angle) else f"{angle:.0f}°", "by which ΔE is turned away"),
        ]
    )
    paragraph(f"The last two are {word}’s.", soft=True)


def _weight(x: float) -> str:
    return percent(x) if 0 <= x <= 1 else number(x)


def _meter(subject: StepSubject, spoilt: HeadStages | None) -> None:
    """How far these stages are from the model's own pattern and output: the judge is a tensor that left the model."""
    if subject.trace is None:
        paragraph("The toy has no model behind it to be compared with; its numbers were checked by hand.", soft=True)
        return
    made, at = spoilt or subject.stages, {"stream": subject.stream}
    theirs = subject.trace.pattern(subject.layer, subject.head, **at)
    output = subject.trace.weighted_values(subject.layer, subject.head, **at)
    lifted = output @ subject.trace.w_o(subject.layer, subject.head, **at)
    distances = {
        "pattern": float(np.abs(made.pattern.numpy() - theirs).max()),
        "ΔE": _relative(made.delta.numpy(), lifted),
    }
    paragraph("<b>Distance from the model’s own numbers</b>" + (" (nothing is broken)" if spoilt is None else ""))
    gauges = "".join(_gauge(name, distance) for name, distance in distances.items())
    st.html(f'<div class="hl-meter">{gauges}</div>')
    paragraph(
        "Pattern: the largest difference of a weight, against the pattern of the q and k captured inside the model. "
        "ΔE: the largest difference ÷ the largest number, against what the model’s own attention returned for this "
        "head. Computed anew each time.",
        soft=True,
    )


def _relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / max(1e-12, np.abs(theirs).max()))


def _gauge(name: str, distance: float) -> str:
    """A hand on a scale from 10⁻⁹ to 1, each power of ten as wide as the next."""
    place = 100 * min(1.0, max(0.0, (np.log10(max(distance, 1e-9)) + 9) / 9))
    said = scientific(distance) if distance < 0.01 else number(distance)
    return f'<span>{name}</span><div><i style="left:{place:.1f}%"></i></div><b>{said}</b>'
