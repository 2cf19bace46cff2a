"""About: what this is, the ways in, how numbers are checked, whose idea it is, licence and privacy; every term."""

import streamlit as st

from ui.about import layout
from ui.page import open_page
from ui.shell.menu import ROOT

open_page("about", sentence=False, model=False)
st.html(ROOT / "assets" / "css" / "lesson.css")
layout.show()
