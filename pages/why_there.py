"""Why there?: one score of a head in parts, the flow behind one word, and the card of a head."""

from functools import partial

import streamlit as st

from attn_core.models.catalogue import READS_TEXT
from ui import stream
from ui.drawing import canvas, controls
from ui.page import open_page
from ui.param import choice
from ui.shell.menu import ROOT
from ui.why_there import card_view, flow_view, pictures, reading, score_view, taken_out

VIEWS = {"score": score_view, "flow": flow_view, "card": card_view}
TITLES = {"score": "One score", "flow": "The flow behind a word", "card": "The head’s card"}
WHY = choice("why", TITLES, label="View", in_caption=False)

page = open_page(
    "why_there",
    [WHY, *stream.PARAMS, *reading.PARAMS, *pictures.PARAMS, *taken_out.PARAMS, *flow_view.PARAMS],
    models=READS_TEXT,
    pairs=True,
    chats=True,
)
with st.container(gap=None):
    canvas.follow_theme()
    st.html(ROOT / "assets" / "css" / "steps.css")
VIEWS[page.state["why"]].draw(page, partial(controls.switch, WHY))
