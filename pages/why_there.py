"""Why there?: one score of a head, split into who wrote the query × who wrote the key; and the card of a head."""

from functools import partial

import streamlit as st

from attn_core.models.catalogue import CATALOGUE
from ui import stream
from ui.drawing import canvas, controls
from ui.page import ROOT, open_page
from ui.param import choice
from ui.why_there import card_view, pictures, reading, score_view

VIEWS = {"score": score_view, "card": card_view}
TITLES = {"score": "One score", "card": "The head’s card"}
WHY = choice("why", TITLES, label="View", in_caption=False)

page = open_page("why_there", [WHY, *stream.PARAMS, *reading.PARAMS, *pictures.PARAMS], models=tuple(CATALOGUE))
with st.container(gap=None):
    canvas.follow_theme()
    st.html(ROOT / "assets" / "css" / "steps.css")
VIEWS[page.state["why"]].draw(page, partial(controls.switch, WHY))
