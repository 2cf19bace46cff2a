"""Heads side by side: across heads, sentences and models, against a baseline, all on one scale."""

import streamlit as st

from attn_core.models.catalogue import CATALOGUE
from ui import stream
from ui.compare_heads import all_heads as all_heads_compared
from ui.compare_heads import charts as side_pictures
from ui.compare_heads import controls as panel_controls
from ui.compare_heads import numbers as side_numbers
from ui.compare_heads import panels as sides
from ui.compare_heads import specs as panel_specs
from ui.drawing import widgets
from ui.link import choice
from ui.page import open_page

page = open_page(
    "compare_heads",
    models=tuple(CATALOGUE),
    params=[*panel_specs.PARAMS, choice("scale", ("sqrt", "linear")), *stream.PARAMS],
    starter=panel_specs.PAIR[0],
)
headline = st.container(gap=None)
panel_controls.presets()
specs = panel_specs.specs(page.state)
# whatever waits has this place, and nothing below moves when it is gone
with st.container(), st.spinner("Reading and comparing the panels"):
    shown = sides.read(page, specs)
    found = all_heads_compared.of(shown)
side_numbers.offer(shown)

with widgets.card("panels", "Side by side", sides.rule(shown)):
    side_pictures.picture(shown)
    panel_controls.pair(page, len(specs))
with widgets.card("settings"):
    panel_controls.controls(specs)
    stream.switches(shown.sides[0].viewed)

left, right = st.columns([56, 44], gap="medium")
if found is not None:
    with left, widgets.card("all"):
        all_heads_compared.card(shown, found)
        all_heads_compared.listing(shown, found)
        all_heads_compared.everything_against_everything(shown)
with right, widgets.card("numbers", "What differs, in numbers"):
    side_numbers.numbers(shown)
    side_numbers.panel_measures(shown)
with widgets.card("matters", "Does it matter to the chosen word?", "Click a row of the picture for another word."):
    side_numbers.strips(shown)
    with st.expander("This word's row in every panel"):
        side_numbers.row_table(shown)

side_numbers.offer_pictures(shown)
with headline:
    badges = page.badges(shown.sides[0].viewed.trace)
    widgets.lead(all_heads_compared.lead(shown, found), badges + sides.about(shown))
