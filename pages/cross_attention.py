"""Translate: an encoder reads, a decoder writes, and cross-attention is how the one looks at the other."""

import streamlit as st

from ui.cross_attention import charts, contributions, inputs
from ui.drawing import canvas, widgets
from ui.page import ROOT, open_page

page = open_page("cross_attention", params=inputs.PARAMS, sentence=False, model=False)
canvas.follow_theme()
st.html(ROOT / "assets" / "css" / "steps.css")  # tables of bars
found = inputs.ask(page)
page.offer(found.trace, layer=found.layer, head=found.head, stream="cross", query=found.row)

typed = bool(page.state["translation"].strip())
to_french = page.state["translator"] in inputs.TRANSLATORS  # the catalogue's all translate English to French
widgets.lead(found.lead(), sub=f"{page.badges(found.trace)}{found.under_lead(typed, to_french)}")

left, right = st.columns([55, 45], gap="medium")
with left, widgets.card("lines"):
    charts.lines(found)
with right, widgets.card("cross"):
    charts.cross_map(found)
    widgets.reading(found.read_aloud())
    charts.clearest(found)
    charts.other_pages(page, found)

with widgets.card("kinds", "Three kinds of attention, one mathematics"):
    charts.what_differs()
    charts.three_maps(found)

left, right = st.columns([42, 58], gap="medium")
with left, widgets.card("alignment", "Which word came from which", "The largest weight of each row."):
    contributions.alignment(found)
with right, widgets.card("delta", found.delta_title(), found.delta_hint()):
    contributions.head_sizes(found)
    contributions.sources(found)
page.offer_pictures(
    f"cross {found.who}", sentences=[found.both_sentences()], model=page.state["translator"], pattern_first=True
)
