"""Translate: an encoder reads, a decoder writes, and cross-attention is how the one looks at the other."""

import streamlit as st

from attn_core.text.decoding import visible
from ui.cross_attention import charts as cross
from ui.cross_attention import sentences as two_sentences
from ui.drawing import canvas, widgets
from ui.page import ROOT, open_page

page = open_page("cross_attention", params=two_sentences.PARAMS, sentence=False, model=False)
canvas.follow_theme()
st.html(ROOT / "assets" / "css" / "steps.css")  # tables of bars
shown = two_sentences.ask(page)
page.offer(shown.trace, layer=shown.layer, head=shown.head, stream="cross", query=shown.row)

widgets.lead(shown.lead(), sub=page.badges(shown.trace) + two_sentences.written(shown))

left, right = st.columns([55, 45], gap="medium")
with left, widgets.card("lines"):
    cross.lines(shown)
with right, widgets.card("cross"):
    cross.cross_map(shown)
    cross.read_aloud(shown)
    cross.clearest(shown)
    cross.other_pages(shown)

with widgets.card("kinds", "Three kinds of attention, one mathematics"):
    cross.what_differs()
    cross.three_maps(shown)

left, right = st.columns([42, 58], gap="medium")
with left, widgets.card("alignment", "Which word came from which", "The largest weight of each row."):
    cross.alignment(shown)
with (
    right,
    widgets.card(
        "delta",
        f"What cross-attention adds for {widgets.query(visible(shown.produced[shown.row]))}",
        'A head adds its <b class="hl-d">ΔE</b> to the row of the word being written: a weighted sum of source values.',
    ),
):
    cross.head_sizes(shown)
    cross.sources(shown)
page.offer_pictures(
    f"cross {shown.who}", sentences=[shown.both_sentences()], model=page.state["translator"], pattern_first=True
)
