"""All heads: type a sentence, see every head of every layer, open one."""

import streamlit as st

from ui.all_heads import first_screen, overview
from ui.all_heads import head as one_head
from ui.all_heads import head_charts as head_pictures
from ui.all_heads import next_token as next_word
from ui.all_heads import token_row as chosen_word
from ui.drawing import canvas, widgets
from ui.page import open_page

page = open_page("all_heads", params=[*one_head.PARAMS, *overview.PARAMS, *next_word.PARAMS])
headline = st.container(gap=None)
source, trace = first_screen.trace_of(page)
shown = one_head.of(page, trace)

with headline:
    n_heads = trace.n_layers * trace.n_heads
    widgets.lead(shown.lead())
    arriving = widgets.under_lead(f"{page.badges(trace, source)}{n_heads} heads, one forward pass.")

left, right = st.columns([61, 39], gap="medium")
with left, widgets.card("overview"):
    overview.titled(shown)
    overview.draw(shown)
    overview.switches(shown)
    head_pictures.links_titled(shown)
    head_pictures.links(shown)
with right, widgets.card("head"):
    head_pictures.titled(shown)
    head_pictures.steppers(shown)
    if page.state["face"] == "table":
        chosen_word.table(shown)
    else:
        head_pictures.heatmap(shown)
    chosen_word.read_aloud(shown)
    chosen_word.switches(shown)
    chosen_word.strip(shown)
    head_pictures.doors(shown)
one_head.offer(shown)

if source == "live":
    next_word.next_word(page, trace)
else:
    with arriving:
        first_screen.fetch_model(page.model_name)
page.offer_pictures(shown.who, shown.word, pattern_first=True)
canvas.follow_theme()
