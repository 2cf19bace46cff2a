"""Heads side by side: across heads, sentences and models, against a baseline, all on one scale."""

import streamlit as st

from ui import all_heads_compared, frame, panel_controls, panel_specs, side_by_side, stage, widgets
from ui.state import choice

room = frame.open_page(
    "compare_heads",
    params=[*panel_specs.PARAMS, choice("scale", ("sqrt", "linear")), *stage.PARAMS],
    starter=panel_specs.PAIR[0],
)
specs = panel_specs.specs(room.view)
headline = st.container(gap=None)
panel_controls.presets()
shown = side_by_side.read(room, specs)
found = all_heads_compared.of(shown)

with widgets.card("panels", "Side by side", side_by_side.rule(shown)):
    side_by_side.picture(shown)
    panel_controls.pair(room, len(specs))
with widgets.card("settings"):
    panel_controls.controls(specs)
    stage.switches(shown.sides[0].stage)

left, right = st.columns([56, 44], gap="medium")
if found is not None:
    with left, widgets.card("all"):
        all_heads_compared.card(shown, found)
        all_heads_compared.listing(shown, found)
        all_heads_compared.everything_against_everything(shown)
with right, widgets.card("numbers", "What differs, in numbers"):
    side_by_side.numbers(shown)
    side_by_side.measures(shown)
with widgets.card(
    "matters", "Does it matter to the chosen word?", "Click a row of the picture to choose another word."
):
    side_by_side.strips(shown)
    with st.expander("This word's row in every panel"):
        side_by_side.row_table(shown)

with headline:
    widgets.lead(
        all_heads_compared.lead(shown, found), room.badges(shown.sides[0].stage.trace) + side_by_side.about(shown)
    )
