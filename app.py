"""The front room: type a sentence, see every head of every layer, open one."""

import streamlit as st

from ui import components, first_screen, frame, next_word, one_head, overview, widgets

room = frame.open_page("app", params=[*one_head.PARAMS, *overview.PARAMS, *next_word.PARAMS])
headline = st.container(gap=None)
source, trace = first_screen.trace_of(room)
shown = one_head.of(room, trace)
one_head.offer(shown)

with headline:
    n_heads = trace.n_layers * trace.n_heads
    widgets.lead(shown.lead())
    arriving = widgets.under_lead(f"{room.badges(trace, source)}{n_heads} heads, one forward pass.")

left, right = st.columns([61, 39], gap="medium")
with left, widgets.card("overview"):
    overview.titled(shown)
    overview.draw(shown)
    overview.switches(shown)
    one_head.links_titled(shown)
    one_head.links(shown)
with right, widgets.card("head"):
    one_head.titled(shown)
    one_head.steppers(shown)
    if room.view["face"] == "table":
        one_head.table(shown)
    else:
        one_head.heatmap(shown)
    one_head.read_aloud(shown)
    one_head.switches(shown)
    one_head.strip(shown)
    one_head.doors(shown)

if source == "live":
    next_word.next_word(room, trace)
else:
    with arriving:
        first_screen.fetch_model(room.model_name)
components.follow_theme()
