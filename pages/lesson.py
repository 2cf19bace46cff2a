"""The lesson in eight stops: one screen each, one live picture, one question, and the room behind it."""

import streamlit as st

from ui import page as frame
from ui.drawing import canvas as components
from ui.lesson import layout as lesson

room = frame.open_page("lesson", lesson.PARAMS, sentence=False, model=False)
components.follow_theme()
st.html(frame.ROOT / "assets" / "css" / "steps.css")
st.html(frame.ROOT / "assets" / "css" / "lesson.css")
if room.view["large"]:
    lesson.large_type()

lesson.way(room.view["stop"])
lesson.show(room, room.view["stop"])
lesson.glossary()
