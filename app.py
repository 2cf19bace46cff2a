"""All heads: type a sentence, see every head of every layer, open one."""

import streamlit as st

from ui.all_heads import (
    film,
    first_screen,
    head_charts,
    next_token,
    overview,
    own_head,
    spans_control,
    token_row,
    writing,
)
from ui.all_heads.head import arranged_head
from ui.drawing import canvas, widgets
from ui.page import open_page

writing.take_over()
page = open_page(
    "all_heads", params=[*head_charts.PARAMS, *overview.PARAMS, *writing.PARAMS, *film.PARAMS], pairs=True, chats=True
)
headline = st.container(gap=None)
reading = first_screen.read(page)
trace = reading.trace
head = arranged_head(trace, page)
spans_control.remark(page, head)

with headline:
    widgets.lead(head.lead())
    badges = page.badges(trace, source=reading.source, derived=reading.derived(page, head))
    arriving = widgets.under_lead(f"{badges}{reading.heads()} {head.why_it_rests()}")

left, right = st.columns([61, 39], gap="medium")
with left, widgets.card("overview"):
    overview.heading(page)
    overview.draw(page, head)
    overview.switches(head)
    head_charts.links(page, head)
with right, widgets.card("head"):
    if page.state["face"] == "table":
        widgets.heading(head.title, head.hint())
        token_row.table(head)
    else:
        head_charts.heatmap(page, head)
    head_charts.steppers(head)
    widgets.reading(head.read_aloud())
    token_row.switches(head)
    token_row.summary(reading, head)
    head_charts.page_links()
head_charts.offer(page, head)

if reading.source == "live":
    next_token.card(page, trace)
    own_head.card(page, trace, head.query)
else:
    with arriving:
        first_screen.fetch_model(page.model_name)
page.offer_pictures(head.name, head.token, pattern_first=True)
canvas.follow_theme()
