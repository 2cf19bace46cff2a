"""Where the parameters are: the lesson's count, exact, for GPT-3, for real models, and for numbers of one's own."""

from html import escape

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.models.catalogue import CATALOGUE
from ui.drawing import canvas, widgets
from ui.page import ROOT, open_page, stop_with
from ui.parameters import charts as counting_pictures
from ui.parameters import controls as counting_controls
from ui.parameters import explanations as counting_why
from ui.parameters import real_head as counting_head
from ui.parameters.counted import PARAMS, Counted

BOXES = (
    "Boxes are blocks, as large as their share; colours as in the table. Click to go inside: block, attention, head."
)
page = open_page("parameters", PARAMS, sentence=False, model=False, models=tuple(CATALOGUE))
st.html(ROOT / "assets" / "css" / "parameters.css")
canvas.follow_theme()
counted = Counted(page)
counting_controls.pickers()
counting_controls.switches()
headline = st.container(gap=None)
if page.state["own"]:
    counting_controls.own_numbers(page)
try:
    ledger = counted.ledger
except HeadlightError as impossible:
    stop_with("These numbers are no model", str(impossible))

with headline:
    widgets.lead(counting_pictures.headline(counted))
    checked = widgets.under_lead(counting_pictures.provenance(counted))
for note in ledger.notes:
    widgets.note(note)

left, right = st.columns([60, 40], gap="medium")
with left, widgets.card("boxes", "The whole model, to scale", BOXES):
    counting_pictures.whole_model(counted)
with right, widgets.card("lesson", "The lesson’s table", f"{escape(ledger.title)}: how many numbers each matrix has."):
    counting_pictures.lesson_table(counted)

with widgets.card("shares", "Shares", "Choose models above to see them side by side."):
    counting_pictures.side_by_side(counted)

place_of_head = None
if counted.shape is not None:
    with widgets.card("thin", "Why the value matrix is low rank"):
        left, right = st.columns(2, gap="large")
        with left:
            widgets.heading("", "Everything a head says must fit through d_head numbers: to scale.")
            counting_why.two_thin_matrices(counted)
        place_of_head = right.container()
    left, right = st.columns(2, gap="medium")
    with left, widgets.card("growth", "How it grows", "Each point is a whole ledger, counted again."):
        counting_why.how_it_grows(counted)
    with right, widgets.card("costs", "What it costs", "Memory and multiply-adds, each with its formula."):
        counting_why.what_it_costs(counted)
with widgets.card("ledger", "The ledger", "Every tensor, in the library’s own names; {} stands for the block."):
    counting_why.the_ledger(counted)

with checked:
    st.html(f'<div class="hl-sub">{counting_why.reconciled(counted)}</div>')
if place_of_head is not None:
    with place_of_head:
        counting_head.real_head(counted)
counting_pictures.offer_pictures(counted)
