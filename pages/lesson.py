"""The lesson in eight stops: one screen each, one live picture, one question, and the page behind it."""

import streamlit as st

from ui.drawing import canvas
from ui.lesson import layout
from ui.page import open_page
from ui.shell.menu import ROOT

page = open_page("lesson", layout.PARAMS, sentence=False, model=False)
canvas.follow_theme()
st.html(ROOT / "assets" / "css" / "steps.css")
st.html(ROOT / "assets" / "css" / "lesson.css")

layout.way(page.state["stop"])
layout.show(page, page.state["stop"])
layout.terms()
