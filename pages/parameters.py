"""Where the parameters are: the lesson's count, exact, for GPT-3, for real models, and for numbers of one's own."""

from html import escape

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.models.catalogue import CATALOGUE
from ui.drawing import canvas, widgets
from ui.page import ROOT, open_page, stop_with
from ui.parameters import charts, controls, explanations
from ui.parameters.counts import PARAMS, ModelCounts
from ui.parameters.real_head import real_head

BOXES = (
    "Boxes are blocks, as large as their share; colours as in the table. Click to go inside: block, attention, head."
)
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
    stop_with("These numbers are no model", str(impossible))

with headline:
    widgets.lead(charts.headline(counts))
    checked = widgets.under_lead(charts.provenance(counts))
for note in table.notes:
    widgets.note(note)

left, right = st.columns([60, 40], gap="medium")
with left, widgets.card("boxes", "The whole model, to scale", BOXES):
    charts.whole_model(counts)
with right, widgets.card("lesson", "The lesson’s table", f"{escape(table.title)}: how many numbers each matrix has."):
    charts.lesson_table(counts)

with widgets.card("shares", "Shares", "Choose models above to see them side by side."):
    charts.side_by_side(counts)

place_of_head = None
if counts.shape is not None:
    with widgets.card("thin", "Why the value matrix is low rank"):
        left, right = st.columns(2, gap="large")
        with left:
            widgets.heading("", "Everything a head says must fit through d_head numbers: to scale.")
            explanations.two_thin_matrices(counts)
        place_of_head = right.container()
    left, right = st.columns(2, gap="medium")
    with left, widgets.card("growth", "How it grows", "Each point is a whole table, counted again."):
        explanations.how_it_grows(counts)
    with right, widgets.card("costs", "What it costs", "Memory and multiply-adds, each with its formula."):
        explanations.what_it_costs(counts)
with widgets.card(
    "table", "The table of parameters", "Every tensor, in the library’s own names; {} stands for the block."
):
    explanations.all_tensors(counts)

with checked:
    st.html(f'<div class="hl-sub">{explanations.reconciled(counts)}</div>')
if place_of_head is not None:
    with place_of_head:
        real_head(counts)
charts.offer_pictures(counts)
