"""Word senses: one embedding, several meanings; where they part, and which heads part them."""

import streamlit as st

from ui.drawing import canvas, widgets
from ui.page import open_page
from ui.shell.menu import ROOT
from ui.word_senses import board, cards, charts, heads, reading

PARAMS = [*board.PARAMS, *reading.PARAMS, *charts.PARAMS, *heads.PARAMS]
page = open_page("word_senses", params=PARAMS, sentence=False)
headline = st.container(gap=None)
with headline:
    canvas.follow_theme()
    st.html(ROOT / "assets" / "css" / "senses.css")
with widgets.card("board"):
    board.examples()
    board.editor()
    with cards.reading():
        comparison = reading.of(page)
    if comparison is None:
        st.stop()
    reading.choices(comparison)
with headline:
    reading.lead(page, comparison)

left, right = st.columns(2, gap="medium")
with left, cards.apart():
    charts.apart(comparison)
    charts.similar_inputs(comparison)
with right, cards.paths():
    charts.paths(comparison)

with cards.separation():
    heads.pair_switch(comparison)
    separation = heads.separate_pair(comparison)
    left, right = st.columns([56, 44], gap="medium")
    with left:
        heads.head_map(comparison, separation)
    with right:
        heads.attention_or_mlp(comparison, separation)
    heads.top_heads(comparison, separation)
comparison.offer_pictures()
