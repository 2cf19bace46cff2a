"""Training: watch the small decoder learn, at twelve steps of its own training."""

from ui.drawing import canvas
from ui.page import open_page
from ui.sentences import HUNGRY
from ui.training import layout
from ui.training.reading import MODEL

page = open_page("training", layout.PARAMS, models=(MODEL,), starter=HUNGRY, pairs=True)
layout.show(page)
canvas.follow_theme()
