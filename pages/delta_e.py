"""ΔE: what each head adds to a word, where that came from, and where it takes the word."""

import streamlit as st

from attn_core.models.catalogue import CATALOGUE
from ui import stream
from ui.delta_e import arrows, charts, head_map, ledger_table, token
from ui.delta_e.headline import headline as headline_of
from ui.drawing import canvas, widgets
from ui.page import ROOT, open_page

page = open_page("delta_e", params=[*stream.PARAMS, *head_map.PARAMS, *charts.PARAMS], models=tuple(CATALOGUE))
headline = st.container(gap=None)
with headline:
    canvas.follow_theme()
    st.html(ROOT / "assets" / "css" / "steps.css")
update = token.of(page)
ledger_table.offer(update)
with headline:
    widgets.lead(
        widgets.say(headline_of(update)),
        page.badges(update.trace) + f"{update.viewed.n_layers} layers, one forward pass.",
    )
stream.switches(update.viewed)

left, right = st.columns([56, 44], gap="medium")
with left, widgets.card("map"):
    head_map.titled(update)
    head_map.switches(update)
    head_map.draw(update)
with right, widgets.card("layer", f"Layer {update.layer}, head by head", charts.STAIRCASE):
    with st.container(horizontal=True, gap="small"):
        token.word_picker(update)
        widgets.stepper("Layer", "layer", update.viewed.n_layers - 1, ("K", "J"))
    charts.staircase(update)
    charts.sizes(update)

with widgets.card("ledger", f"The ledger of {widgets.query(update.name)} at layer {update.layer}", ledger_table.HINT):
    ledger_table.table(update)
    ledger_table.sum_line(update)
    ledger_table.doors(update)

left, right = st.columns([56, 44], gap="medium")
with left, widgets.card("from", f"Where head {update.layer}.{update.head} takes it from", charts.SOURCES):
    widgets.stepper("Head", "head", update.viewed.n_heads - 1, ("H", "L"))
    charts.sources(update)
with right, widgets.card("writes", "What it writes", charts.WRITES):
    charts.writes(update)

with widgets.card("arrows", "Arrows in the space of meanings", arrows.ARROWS):
    arrows.switches(update)
    arrows.token_arrows(update)
with widgets.card("numbers", "ΔE, number by number", charts.NUMBERS):
    charts.numbers(update)
update.offer_pictures()
