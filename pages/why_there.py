"""Why there?: one score of a head, split into who wrote the query × who wrote the key."""

import streamlit as st

from attn_core.models.catalogue import CATALOGUE
from ui import stream
from ui.drawing import canvas, widgets
from ui.page import ROOT, open_page
from ui.why_there import cards, next_click, pictures, reading, taken_out

PARAMS = [*stream.PARAMS, *reading.PARAMS, *pictures.PARAMS]
page = open_page("why_there", PARAMS, models=tuple(CATALOGUE))
headline = st.container(gap=None)
with headline:
    canvas.follow_theme()
    st.html(ROOT / "assets" / "css" / "steps.css")
asked = reading.of(page)
pictures.offer(asked)
with headline:
    reading.lead(asked)
stream.switches(asked.viewed)
next_click.trail(asked)
reading.pickers(asked)

left, right = st.columns([54, 46], gap="medium")
with left:
    with widgets.card("matrix"):
        pictures.matrix(asked)
    with cards.next_click():
        next_click.heads(asked)
        stream.links_elsewhere(asked.viewed, asked.query, "all_heads", "step_by_step", "delta_e")
with right, widgets.card("pairs"):
    pictures.pairs(asked)

left, right = st.columns([54, 46], gap="medium")
with left, cards.brought(asked):
    next_click.brought(asked)
with right, cards.taken_out():
    taken_out.taken_out(asked)
asked.offer_pictures()
