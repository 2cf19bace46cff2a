"""Break it, to see why it is there: the same head with a stage left out, beside the true one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from attn_core.figures.canvas.matrix import pack_cells
from attn_core.tolerances import SMALLEST
from attn_core.walkthrough.ablations import StageAblation
from attn_core.walkthrough.head import HeadStages, run_stages
from ui import words
from ui.drawing import canvas, widgets
from ui.page import scientific
from ui.param import Param
from ui.step_by_step import layout
from ui.step_by_step.layout import paragraph
from ui.step_by_step.numbers import number
from ui.step_by_step.sentences_values import new_order, what_changed
from ui.step_by_step.subject import Array, StepSubject

WORDS = words.beside(__file__)
NAMES = WORDS.table("break.names")


def _parse(raw: str, earlier: Mapping[str, object]) -> list[StageAblation]:
    names = [name for name in raw.split(",") if name]
    unknown = [name for name in names if name not in list(StageAblation)]
    if unknown:
        raise ValueError(f"it must be some of {', '.join(StageAblation)}")
    return [each for each in StageAblation if each in names]


# The breaks of the link, in the order of the stages: "no-scale,no-mask".
BREAKS = Param("breaks", [], _parse, ",".join, label="Leave out or spoil")
PARAMS = [BREAKS]


def panel(subject: StepSubject, wanted: list[StageAblation]) -> None:
    """The switches, the broken pattern beside the true one, their difference, and the distance from the model."""
    possible = subject.inputs.possible_ablations()
    with widgets.card("step_9"):
        what = WORDS.html("break.real") if subject.is_real else WORDS.html("break.toy")
        layout.step_header(9, what, name=WORDS.html("break.title"), mark="✕")
        st.pills(
            BREAKS.label,
            list(StageAblation),
            selection_mode="multi",
            format_func=lambda each: (
                NAMES[each] if each in possible else WORDS.text("break.not_here", name=NAMES[each])
            ),
            key=BREAKS.name,
            label_visibility="collapsed",
        )
        for each in wanted:
            why = WORDS.html("break.why", each) if each in possible else WORDS.html("break.nothing")
            name = NAMES[each][0].upper() + NAMES[each][1:]
            paragraph(WORDS.html("break.explained", name=name, why=why), soft=True)
        used = [each for each in wanted if each in possible]
        broken = run_stages(subject.inputs, frozenset(used)) if used else None
        if StageAblation.SHUFFLED_POSITIONS in used:
            paragraph(new_order(subject), soft=True)
        if broken is not None:
            _side_by_side(subject, broken)
            widgets.number_row(what_changed(subject, broken))
            paragraph(WORDS.html("break.last_two", word=subject.query_html), soft=True)
        _meter(subject, broken)


def _side_by_side(subject: StepSubject, broken: HeadStages) -> None:
    true = subject.stages
    no_shares = bool(((broken.pattern < 0) | (broken.pattern > 1.001)).any())
    # Shares are compared on one scale; what is no share any more has its own, or the intact picture would pale.
    largest = float(true.pattern.max()) if no_shares else max(float(true.pattern.max()), float(broken.pattern.max()))
    pictures = (
        ("As it is", true, true.pattern.numpy(), False),
        ("Broken", broken, broken.pattern.numpy(), no_shares),
        ("Difference", broken, (broken.pattern - true.pattern).numpy(), True),
    )
    for place, (name, made, numbers, is_signed) in zip(st.columns(3, gap="medium"), pictures, strict=True):
        with place:
            paragraph(f"<b>{name}</b>")
            may_look = made.may_look.numpy() if name != "Difference" else (made.may_look | true.may_look).numpy()
            masked = np.where(may_look, numbers, np.nan)
            packet = pack_cells(
                masked[subject.q_window, subject.k_window],
                subject.query_side(),
                subject.key_side(slanted=True),
                kind="signed" if is_signed else "weights",
                scale="linear" if is_signed else "sqrt",
                limit=None if is_signed else largest,
                says=WORDS.text("break.cell") if name != "Difference" else "{row}, {column}: {value}",
                alt=f"{name}: query rows, key columns",
                chosen=(subject.place_in(subject.query, subject.q_window), None),
                square=True,
            )
            canvas.cells(packet, key=f"break_{name}", picture=f"Break it · {name}")


def _meter(subject: StepSubject, broken: HeadStages | None) -> None:
    """How far these stages are from the model's own pattern and output."""
    if subject.reader is None:
        paragraph(WORDS.html("break.hand"), soft=True)
        return
    paragraph(WORDS.html("break.distance", "intact" if broken is None else "broken"))
    found = distances(subject, broken or subject.stages)
    gauges = "".join(_gauge(name, distance) for name, distance in found.items())
    st.html(f'<div class="hl-meter">{gauges}</div>')
    paragraph(WORDS.html("break.judged"), soft=True)


def distances(subject: StepSubject, stages: HeadStages) -> dict[str, float]:
    """How far stages are from the model's own pattern and ΔE: the judge is a tensor that left the model."""
    reader, layer, head = subject.reader, subject.layer, subject.head
    assert reader is not None
    pattern = np.abs(stages.pattern.numpy() - reader.pattern(layer, head))
    lifted = reader.weighted_values(layer, head) @ reader.w_o(layer, head)
    return {"pattern": float(pattern.max()), "ΔE": _relative(stages.delta.numpy(), lifted)}


def _relative(ours: Array, theirs: Array) -> float:
    return float(np.abs(ours - theirs).max() / max(SMALLEST, np.abs(theirs).max()))


def _gauge(name: str, distance: float) -> str:
    """A hand on a scale from 10⁻⁹ to 1, each power of ten as wide as the next."""
    place = 100 * min(1.0, max(0.0, (np.log10(max(distance, 1e-9)) + 9) / 9))
    said = scientific(distance) if distance < 0.01 else number(distance)
    return f'<span>{name}</span><div><i style="left:{place:.1f}%"></i></div><b>{said}</b>'
