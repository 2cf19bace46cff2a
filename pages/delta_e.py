"""ΔE: what each head adds to a word, where that came from, and where it takes the word."""

import streamlit as st

from attn_core.models.catalogue import READS_TEXT
from ui import stream
from ui.delta_e import arrows, cards, charts, head_map, parts_table, reading
from ui.delta_e.headline import lead
from ui.drawing import canvas, controls, widgets
from ui.page import open_page
from ui.shared_params import HEAD, LAYER
from ui.shell.menu import ROOT
from ui.stream_links import links_elsewhere

PARAMS = [*stream.PARAMS, *head_map.PARAMS, *charts.PARAMS, *arrows.PARAMS]
page = open_page("delta_e", PARAMS, models=READS_TEXT, pairs=True, chats=True)
headline = st.container(gap=None)
with headline:
    canvas.follow_theme()
    st.html(ROOT / "assets" / "css" / "steps.css")
update = reading.of(page)
parts_table.offer(update)
with headline:
    lead(update)
stream.switches(update.viewed)

left, right = st.columns([56, 44], gap="medium")
with left, widgets.card("map"):
    head_map.titled(update)
    head_map.switches(update)
    head_map.draw(update)
with right, cards.layer(update):
    with st.container(horizontal=True, gap="small"):
        reading.word_picker(update)
        controls.stepper(LAYER, update.viewed.n_layers - 1, ("K", "J"))
    charts.staircase(update)
    charts.sizes(update)

with cards.parts(update):
    parts_table.table(update)
    parts_table.sum_line(update)
    links_elsewhere(update.viewed, update.position, "all_heads", "step_by_step", "why_there", "compare_heads")

left, right = st.columns([56, 44], gap="medium")
with left, cards.sources(update):
    controls.stepper(HEAD, update.viewed.n_heads - 1, ("H", "L"))
    charts.sources(update)
with right, cards.writes():
    charts.writes(update)

with cards.arrows():
    arrows.switches(update)
    arrows.token_arrows(update)
with cards.numbers():
    charts.numbers(update)
update.offer_pictures()
