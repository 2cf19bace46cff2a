"""Break it, to see why it is there: in each step the same head without that stage, beside the true one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import streamlit as st

from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.text.numbers import number, scientific
from attn_core.tolerances import SMALLEST
from attn_core.walkthrough.ablations import StageAblation
from attn_core.walkthrough.head import HeadStages, run_stages
from ui import words
from ui.drawing import canvas, widgets
from ui.param import Param
from ui.step_by_step.grids import FEW
from ui.step_by_step.layout import paragraph
from ui.step_by_step.sentences_values import new_order, what_changed
from ui.step_by_step.subject import Array, StepSubject
from ui.step_by_step.vectors import most

WORDS = words.beside(__file__)
NAMES = WORDS.table("break.names")
STEP_OF = {
    StageAblation.SHUFFLED_POSITIONS: 1,
    StageAblation.RANDOM_WEIGHTS: 2,
    StageAblation.KEYS_ARE_QUERIES: 2,
    StageAblation.NO_SCALE: 4,
    StageAblation.NO_MASK: 5,
    StageAblation.CAUSAL_MASK: 5,
    StageAblation.NO_SOFTMAX: 6,
    StageAblation.NO_W_O: 8,
}


def _parse(raw: str, earlier: Mapping[str, object]) -> list[StageAblation]:
    names = [name for name in raw.split(",") if name]
    unknown = [name for name in names if name not in list(StageAblation)]
    if unknown:
        raise ValueError(f"it must be some of {', '.join(StageAblation)}")
    return [each for each in StageAblation if each in names]


# The breaks of the link, in the order of the stages: "no-scale,no-mask".
BREAKS = Param("breaks", [], _parse, ",".join, label="Leave out or spoil")
PARAMS = [BREAKS]


def panel(subject: StepSubject, pocket: StepSubject | None, step: int, wanted: Sequence[StageAblation]) -> None:
    """What can be left out in a step, and the head without it beside the intact one, on one scale.

    What a model does not have (a mask, say) is left out of the `pocket` head instead.
    """
    own = [each for each in StageAblation if STEP_OF[each] == step]
    possible = {each: _who(each, subject, pocket) for each in own}
    chosen = [each for each in wanted if each in own]
    if any(possible.values()) or chosen:
        with widgets.card(f"break_{step}", WORDS.html("break.title"), "" if chosen else WORDS.html("break.invites")):
            _switches(step, possible, chosen, subject)
            _explained(chosen, possible)
            for whose in (subject, pocket):
                used = [each for each in chosen if whose is not None and possible[each] is whose]
                if whose is not None and used:
                    _broken(whose, step, used)
    if step == max(STEP_OF.values()) and not any(possible[each] for each in chosen):
        with widgets.card("meter"):
            meter(subject, None)


def _explained(chosen: Sequence[StageAblation], possible: Mapping[StageAblation, StepSubject | None]) -> None:
    for each in chosen:
        why = WORDS.html("break.why", each) if possible[each] else WORDS.html("break.nothing")
        name = NAMES[each][0].upper() + NAMES[each][1:]
        paragraph(WORDS.html("break.explained", name=name, why=why), soft=True)


def _who(each: StageAblation, *subjects: StepSubject | None) -> StepSubject | None:
    """The first of these heads in which there is such a thing to leave out."""
    return next((whose for whose in subjects if whose is not None and each in whose.inputs.possible_ablations()), None)


def _switches(
    step: int, possible: Mapping[StageAblation, StepSubject | None], chosen: list[StageAblation], subject: StepSubject
) -> None:
    key, said = f"{BREAKS.name}_{step}", {each: _said(each, whose, subject) for each, whose in possible.items()}
    st.session_state[key] = chosen
    st.pills(
        BREAKS.label,
        list(possible),
        selection_mode="multi",
        format_func=said.__getitem__,
        key=key,
        on_change=partial(_chosen, key, list(possible)),
        label_visibility="collapsed",
    )


def _said(each: StageAblation, whose: StepSubject | None, subject: StepSubject) -> str:
    """What can be left out, and where, if not in the head that is looked at."""
    if whose is subject:
        return NAMES[each]
    if whose is None:
        return WORDS.text("break.not_here", name=NAMES[each])
    return WORDS.text("break.in_the_pocket", name=NAMES[each])


def _chosen(key: str, own: list[StageAblation]) -> None:
    """Callback: take over what is broken in one step; the other steps keep theirs."""
    others = [each for each in st.session_state[BREAKS.name] if each not in own]
    wanted = [*others, *(st.session_state[key] or [])]
    st.session_state[BREAKS.name] = [each for each in StageAblation if each in wanted]


def _broken(subject: StepSubject, step: int, used: list[StageAblation]) -> None:
    """The pictures before and after, what changed in numbers, and the distance from the model."""
    broken = run_stages(subject.inputs, frozenset(used))
    if StageAblation.SHUFFLED_POSITIONS in used:
        paragraph(new_order(subject), soft=True)
    if StageAblation.NO_W_O in used:
        _two_deltas(subject, broken, step)
    else:
        _side_by_side(subject, broken, step)
    widgets.number_row(what_changed(subject, broken))
    paragraph(WORDS.html("break.last_two", word=subject.query_html), soft=True)
    meter(subject, broken)


def _side_by_side(subject: StepSubject, broken: HeadStages, step: int) -> None:
    """The pattern before and after, on the scale of the intact one, and their difference."""
    true = subject.stages
    pictures = (
        ("As it is", true, true.pattern.numpy()),
        ("Broken", broken, broken.pattern.numpy()),
        ("Difference", broken, (broken.pattern - true.pattern).numpy()),
    )
    for place, (name, made, numbers) in zip(st.columns(3, gap="medium"), pictures, strict=True):
        with place:
            paragraph(f"<b>{name}</b>")
            is_difference = name == "Difference"
            may_look = (made.may_look | true.may_look if is_difference else made.may_look).numpy()
            masked = np.where(may_look, numbers, np.nan)
            packet = pack_cells(
                masked[subject.q_window, subject.k_window],
                subject.query_side(),
                subject.key_side(slanted=True),
                kind="signed" if is_difference else "weights",
                scale="linear" if is_difference else "sqrt",
                limit=None if is_difference else float(true.pattern.max()),
                says=WORDS.text("break.difference") if is_difference else WORDS.text("break.cell"),
                alt=WORDS.text("break.alt", what=name),
                chosen=(subject.place_in(subject.query, subject.q_window), None),
                square=True,
                largest=46 if len(subject.keys) > FEW else 68,
            )
            canvas.cells(packet, key=f"break_{step}_{name}", picture=f"Break it · {name}")


def _two_deltas(subject: StepSubject, broken: HeadStages, step: int) -> None:
    """ΔE of the followed word before and after, on the scale of the intact one."""
    i = subject.query
    before, after = subject.stages.delta[i].numpy(), broken.delta[i].numpy()  # [d_model]
    packet = pack_cells(
        np.stack([before, after]),
        Side(["ΔE as it is", "ΔE broken"], "delta"),
        Side(subject.meanings),
        says=WORDS.text("vector_cell", "named" if subject.meanings else "numbered"),
        alt=WORDS.text("break.deltas_alt"),
        limit=most(before),
        row_height=24,
    )
    canvas.cells(packet, key=f"break_{step}_deltas", picture="Break it · ΔE before and after")


def meter(subject: StepSubject, broken: HeadStages | None) -> None:
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
