"""Patching: take something of one sentence, put it into another, and see which head carries the difference."""

import streamlit as st

from attn_core.models.catalogue import READS_TEXT
from ui import stream
from ui.page import open_page
from ui.patching import layout, params
from ui.sentences import KEYS
from ui.shell.menu import ROOT

first = params.first_model()
page = open_page(
    "patching",
    [*stream.PARAMS, *params.PARAMS],
    models=(first, *(name for name in READS_TEXT if name != first)),
    starter=params.TOM if first == params.SHIPPED else params.JOHN,
    examples=(params.TOM, params.JOHN, KEYS),
)
with st.container(gap=None):
    st.html(ROOT / "assets" / "css" / "steps.css")  # tables of bars
layout.draw(page)
