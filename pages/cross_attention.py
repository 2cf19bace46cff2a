"""Translate and transcribe: an encoder reads a sentence or a recording, a decoder writes, and looks across."""

import streamlit as st

from ui.cross_attention import charts, contributions, inputs, sound_inputs, sound_view
from ui.drawing import canvas, controls, widgets
from ui.page import Page, open_page
from ui.shell.menu import ROOT


def translate(page: Page) -> None:
    """Two sentences, and the lines between them."""
    st.html(ROOT / "assets" / "css" / "steps.css")  # tables of bars
    found = inputs.ask(page)
    page.offer(found.trace, layer=found.layer, head=found.head, stream="cross", query=found.row)

    typed = bool(page.state["translation"].strip())
    to_french = page.state["translator"] in inputs.TRANSLATORS  # the catalogue's all translate English to French
    badges = page.badges(found.trace, derived=found.check(inputs.heads_named(page.state[inputs.ALIGN.name])))
    widgets.lead(found.lead(), sub=f"{badges}{found.under_lead(typed, to_french)}")

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
    with left, contributions.alignment_card():
        contributions.alignment(found)
    with right, widgets.card("delta", found.delta_title(), found.delta_hint()):
        contributions.head_sizes(found)
        contributions.sources(found)
    page.offer_pictures(
        f"cross {found.who}", sentences=[found.both_sentences()], model=page.state["translator"], pattern_first=True
    )


page = open_page("cross_attention", params=[*inputs.PARAMS, *sound_inputs.PARAMS], sentence=False, model=False)
canvas.follow_theme()
if controls.switch(sound_inputs.TASK) == "transcribe":
    sound_view.draw(page, sound_inputs.ask(page))
else:
    translate(page)
