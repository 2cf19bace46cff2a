"""ΔE: what each head adds to a word, where that came from, and where it takes the word."""

import streamlit as st

from attn_core.models.catalogue import CATALOGUE
from ui import stream
from ui.delta_e import charts as pictures
from ui.delta_e import head_map as delta_map
from ui.delta_e import ledger_table
from ui.delta_e import token as one_token
from ui.drawing import canvas, widgets
from ui.page import ROOT, open_page

page = open_page("delta_e", params=[*stream.PARAMS, *delta_map.PARAMS, *pictures.PARAMS], models=tuple(CATALOGUE))
headline = st.container(gap=None)
with headline:
    canvas.follow_theme()
    st.html(ROOT / "assets" / "css" / "steps.css")
shown = one_token.of(page)
ledger_table.offer(shown)
with headline:
    widgets.lead(shown.lead(), page.badges(shown.trace) + f"{shown.viewed.n_layers} layers, one forward pass.")
stream.switches(shown.viewed)

left, right = st.columns([56, 44], gap="medium")
with left, widgets.card("map"):
    delta_map.titled(shown)
    delta_map.switches(shown)
    delta_map.draw(shown)
with right, widgets.card("layer", f"Layer {shown.layer}, head by head", pictures.STAIRCASE):
    with st.container(horizontal=True, gap="small"):
        one_token.word_picker(shown)
        widgets.stepper("Layer", "layer", shown.viewed.n_layers - 1, ("K", "J"))
    pictures.staircase(shown)
    pictures.sizes(shown)

with widgets.card("ledger", f"The ledger of {widgets.query(shown.name)} at layer {shown.layer}", ledger_table.HINT):
    ledger_table.table(shown)
    ledger_table.sum_line(shown)
    ledger_table.doors(shown)

left, right = st.columns([56, 44], gap="medium")
with left, widgets.card("from", f"Where head {shown.layer}.{shown.head} takes it from", pictures.SOURCES):
    widgets.stepper("Head", "head", shown.viewed.n_heads - 1, ("H", "L"))
    pictures.sources(shown)
with right, widgets.card("writes", "What it writes", pictures.WRITES):
    pictures.writes(shown)

with widgets.card("arrows", "Arrows in the space of meanings", pictures.ARROWS):
    pictures.arrows_switches(shown)
    pictures.arrows_drawn(shown)
with widgets.card("numbers", "ΔE, number by number", pictures.NUMBERS):
    pictures.numbers(shown)
shown.offer_pictures()
