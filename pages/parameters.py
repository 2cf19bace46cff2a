"""Where the parameters are: the lesson's count, exact, for GPT-3, for real models, and for numbers of one's own."""

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.models.catalogue import CATALOGUE
from ui.drawing import canvas, widgets
from ui.page import open_page
from ui.parameters import cards, charts, controls, explanations, sentences
from ui.parameters.counts import PARAMS, ModelCounts
from ui.parameters.real_head import real_head
from ui.shell.menu import ROOT
from ui.shell.progress import stop_with

page = open_page("parameters", PARAMS, sentence=False, model=False, models=tuple(CATALOGUE))
st.html(ROOT / "assets" / "css" / "parameters.css")
canvas.follow_theme()
counts = ModelCounts(page)
controls.pickers()
controls.switches()
headline = st.container(gap=None)
if page.state["own"]:
    controls.own_numbers(page)
try:
    table = counts.table
except HeadlightError as impossible:
    stop_with(explanations.impossible(), str(impossible))

with headline:
    widgets.lead(sentences.headline(counts))
    checked = widgets.under_lead(sentences.provenance(counts))
for note in table.notes:
    widgets.note(note)

left, right = st.columns([60, 40], gap="medium")
with left, cards.boxes():
    charts.whole_model(counts)
with right, cards.lesson(counts):
    charts.lesson_table(counts)

with cards.shares():
    charts.side_by_side(counts)

place_of_head = None
if counts.shape is not None:
    with cards.thin():
        left, right = st.columns(2, gap="large")
        with left:
            explanations.two_thin_matrices(counts)
        place_of_head = right.container()
    left, right = st.columns(2, gap="medium")
    with left, cards.growth():
        explanations.how_it_grows(counts)
    with right, cards.costs():
        explanations.what_it_costs(counts)
elif counts.latent is not None:
    with cards.costs():
        explanations.what_it_costs(counts)
with cards.table():
    explanations.all_tensors(counts)

with checked:
    st.html(f'<div class="hl-sub">{explanations.reconciled(counts)}</div>')
if place_of_head is not None:
    with place_of_head:
        real_head(counts)
charts.offer_pictures(counts)
