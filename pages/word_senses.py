"""Word senses: one embedding, several meanings; where they part, and which heads part them."""

import streamlit as st

from ui.drawing import canvas, widgets
from ui.page import ROOT, open_page
from ui.word_senses import board as sense_board
from ui.word_senses import charts as pictures
from ui.word_senses import heads as sense_heads
from ui.word_senses import reading as sense_reading

PARAMS = [*sense_board.PARAMS, *sense_reading.PARAMS, *pictures.PARAMS, *sense_heads.PARAMS]
page = open_page("word_senses", params=PARAMS, sentence=False)
headline = st.container(gap=None)
with headline:
    canvas.follow_theme()
    st.html(ROOT / "assets" / "css" / "senses.css")
with widgets.card("board"):
    sense_board.examples()
    sense_board.editor()
    with st.spinner("Reading the sentences"):
        shown = sense_reading.of(page)
    if shown is None:
        st.stop()
    sense_reading.choices(shown)
with headline:
    widgets.lead(sense_reading.say(shown), shown.badges() + sense_reading.under(shown))

left, right = st.columns(2, gap="medium")
with left, widgets.card("apart", "Same at the door, then apart", pictures.APART):
    pictures.apart(shown)
    pictures.same_at_the_door(shown)
with right, widgets.card("paths", "Their ways through the layers", pictures.PATHS):
    pictures.paths(shown)

with widgets.card("told", "Who told them apart", sense_heads.TOLD):
    sense_heads.pair_switch(shown)
    found = sense_heads.told(shown)
    left, right = st.columns([56, 44], gap="medium")
    with left:
        sense_heads.head_map(shown, found)
    with right:
        sense_heads.attention_or_mlp(shown, found)
    sense_heads.top_heads(shown, found)
shown.offer_pictures()
