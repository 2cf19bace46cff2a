"""Study: every head over many sentences, with intervals, a rule of your own, and two groups compared."""

from attn_core.models.catalogue import READS_TEXT
from ui.page import open_page
from ui.stream import STREAM
from ui.study import layout, params

page = open_page("study", [STREAM, *params.PARAMS], models=READS_TEXT, sentence=False)
layout.draw(page)
