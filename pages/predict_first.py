"""Predict first: a head with its picture covered; paint where a word looks, then uncover it, alone or as a class."""

from attn_core.models.catalogue import READS_TEXT
from ui import stream
from ui.drawing import canvas
from ui.page import open_page
from ui.predict_first import layout, teacher

page = open_page("predict_first", layout.PARAMS, models=READS_TEXT, pairs=True, asks=layout.is_for_teacher)
viewed = stream.of(page)
if layout.is_for_teacher(page.state):
    teacher.show(viewed)
else:
    layout.show(viewed)
canvas.follow_theme()
