"""One head from scratch, stage by stage, every number real: from the words' vectors to E + ΔE."""

import streamlit as st

from attn_core.models.catalogue import CATALOGUE
from ui import stream
from ui.link import choice, whole
from ui.page import ROOT, open_page
from ui.shell import save
from ui.step_by_step import ablations as steps_break
from ui.step_by_step import next as steps_next
from ui.step_by_step import pattern as steps_pattern
from ui.step_by_step import queries_and_keys as steps_questions
from ui.step_by_step import scores as steps_scores
from ui.step_by_step import start as steps_start
from ui.step_by_step import subject as scene
from ui.step_by_step import toy as steps_toy
from ui.step_by_step import values as steps_values
from ui.step_by_step import vectors as steps_vectors

page = open_page(
    "step_by_step",
    params=[
        *stream.PARAMS,
        choice("weights", ("real", "toy")),
        whole("key", high=511, optional=True),
        whole("guess", high=511, optional=True),
        whole("from", high=511, optional=True),
        choice("queries", ("rows", "columns")),
        whole("toy_word", high=4, default=3),
        whole("toy_answer", high=4, optional=True),
        steps_break.param(),
        steps_toy.param(),
    ],
    models=tuple(CATALOGUE),
)
st.html(ROOT / "assets" / "css" / "steps.css")
view = page.state

headline = st.container(gap=None)
with st.container(horizontal=True, gap="small", vertical_alignment="center", key="step_choose"):
    steps_start.whose(page)
    if view["weights"] == "toy":
        shown = scene.of_toy(page, steps_toy.read(view["toy"]))
    else:
        read = stream.of(page)
        steps_start.which_head(read)
        with page.problems():
            shown = scene.real(page, read)
        save.offer_stage(read, shown.asks)
if shown.is_real:
    stream.switches(read)
with headline:
    steps_start.lead(page, shown)

steps_start.follow(shown)
steps_vectors.vectors(shown)
steps_questions.queries_and_keys(shown)
steps_scores.scores(shown)
steps_scores.scale(shown)
steps_pattern.mask(shown)
steps_pattern.guess(shown, view["guess"])
steps_pattern.pattern(shown, view["queries"] == "columns", view["guess"])
steps_values.values(shown)
steps_values.delta(shown)
steps_break.panel(shown, view["breaks"])
steps_next.up_next(shown)
scene.offer_pictures(page, shown)
