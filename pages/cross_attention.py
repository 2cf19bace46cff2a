"""Translate: an encoder reads, a decoder writes, and cross-attention is how the one looks at the other."""

import streamlit as st

from ui import frame, two_sentences, widgets

room = frame.open_page("cross_attention", params=two_sentences.PARAMS, sentence=False, model=False)
shown = two_sentences.ask(room)

widgets.lead(shown.lead(), sub=two_sentences.written(shown))
st.html(f'<div class="hl-sub">{room.badges(shown.trace)}</div>')

left, right = st.columns([55, 45], gap="medium")
with left, widgets.card("lines"):
    two_sentences.lines(shown)
with right, widgets.card("cross"):
    two_sentences.cross_map(shown)
    two_sentences.read_aloud(shown)
    two_sentences.clearest(shown)

with widgets.card("kinds", "Three kinds of attention, one mathematics"):
    two_sentences.what_differs()
    two_sentences.three_maps(shown)

left, right = st.columns([40, 60], gap="medium")
with left, widgets.card("alignment", "Which word came from which", "The largest weight of each row."):
    two_sentences.alignment(shown)
with (
    right,
    widgets.card(
        "delta",
        f"What cross-attention adds for {widgets.query(shown.produced[shown.row])}",
        'Each head adds its <b class="hl-d">ΔE</b> to the row of the word being written: a weighted sum of English values.',
    ),
):
    two_sentences.delta_e(shown)
