"""One head from scratch, stage by stage, every number real: from the words' vectors to E + ΔE."""

import streamlit as st

from attn_core.models.catalogue import CATALOGUE
from ui import stream
from ui.page import ROOT, open_page
from ui.step_by_step import ablations, pattern, queries_and_keys, scores, start, toy, values, vectors
from ui.step_by_step.reading import offer_pictures, subject_from_model, subject_from_toy

page = open_page(
    "step_by_step",
    params=[
        *stream.PARAMS,
        *start.PARAMS,
        *pattern.PARAMS,
        *ablations.PARAMS,
        *toy.PARAMS,
    ],
    models=tuple(CATALOGUE),
)
st.html(ROOT / "assets" / "css" / "steps.css")
view = page.state

headline = st.container(gap=None)
with st.container(horizontal=True, gap="small", vertical_alignment="center", key="step_choose"):
    start.whose(page)
    if view["weights"] == "toy":
        subject = subject_from_toy(page, toy.read(view["toy"]))
    else:
        read = stream.of(page)
        start.which_head(read)
        with page.problems():
            subject = subject_from_model(page, read)
        stream.offer_stream(read, subject.query)
if subject.is_real:
    stream.switches(read)
with headline:
    start.lead(page, subject)

start.follow(subject)
vectors.vectors(subject)
queries_and_keys.queries_and_keys(subject)
scores.scores(subject)
scores.scale(subject)
pattern.mask(subject)
pattern.guess(subject, view["key_guess"])
pattern.pattern(subject, view["queries"] == "columns", view["key_guess"])
values.values(subject)
values.delta(subject)
ablations.panel(subject, view["breaks"])
start.up_next(subject)
offer_pictures(page, subject)
