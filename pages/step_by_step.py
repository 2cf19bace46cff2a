"""One head from scratch, step by step, every number real: from the words' vectors to E + ΔE."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from attn_core.models.catalogue import READS_TEXT
from ui import stream
from ui.drawing import controls
from ui.page import open_page
from ui.shell.menu import ROOT
from ui.step_by_step import ablations, guess, pattern, reading, scores, start, strip, values, vectors
from ui.step_by_step.pocket import editors, tables
from ui.step_by_step.subject import StepSubject

page = open_page(
    "step_by_step",
    params=[
        *stream.PARAMS,
        *start.PARAMS,
        *guess.PARAMS,
        *pattern.PARAMS,
        *ablations.PARAMS,
        *editors.PARAMS,
        *strip.PARAMS,
    ],
    models=READS_TEXT,
    pairs=True,
    chats=True,
    asks=lambda state: state["weights"] == "real",
)
st.html(ROOT / "assets" / "css" / "steps.css")
view = page.state
strip.keep(view)
step, all_steps, is_toy = view["step"], view["all_steps"], view["weights"] == "toy"

toy = reading.subject_from_toy(page, editors.read(view["toy"]))
pocket = None if all_steps and not is_toy else toy
with st.container(horizontal=True, gap="small", vertical_alignment="center", key="step_choose"):
    start.whose(page)
    if is_toy:
        subject = toy
    else:
        read = stream.of(page)
        start.which_head(read)
        with page.problems():
            subject = reading.subject_from_model(page, read)
        stream.offer_stream(read, subject.query)
        start.window(subject)
    controls.toggle(strip.ALL)
if subject.is_real:
    stream.switches(read)

is_asked = not all_steps and step == strip.SCORES and guess.is_open(subject, view)
shows_key = all_steps or (step >= strip.SCORES and not is_asked)
strip.strip(subject, step, all_steps, shows_key, partial(reading.follow, subject.link_names))
start.lead(page, subject, None if all_steps else step)

STEPS: dict[int, Callable[[StepSubject], None]] = {
    1: vectors.vectors,
    2: vectors.queries_and_keys,
    3: scores.scores,
    4: scores.scale,
    5: pattern.mask,
    6: partial(pattern.pattern, turned=view["queries"] == "columns", guessed=view["key_guess"]),
    7: values.values,
    8: values.delta,
}
for each in STEPS if all_steps else (step,):
    if each == strip.SCORES and is_toy:
        guess.question(subject, view, asks=not all_steps)
    if pocket is not None and not all_steps and not (is_toy and is_asked):
        tables.card(pocket, each)
    if subject.is_real and not all_steps:
        start.the_same(subject)
    if each == strip.SCORES and not is_toy:
        guess.question(subject, view, asks=not all_steps)
    if not is_asked:
        with st.container(key=f"step_{each}_{'full' if all_steps else 'under_the_toy'}"):
            STEPS[each](subject)
        ablations.panel(subject, pocket, each, view["breaks"])
if all_steps or step == strip.LAST:
    start.up_next(subject)
if not all_steps:
    strip.onward(step)
reading.offer_pictures(page, subject)
