"""Compare heads side by side: across heads, sentences and models, against a baseline, all on one scale."""

import streamlit as st

from attn_core.models.catalogue import READS_TEXT
from ui import stream
from ui.compare_heads import all_heads, charts, controls, differences, fine_tuning, numbers, params, reading
from ui.compare_heads.specs import EXAMPLE
from ui.drawing import widgets
from ui.page import open_page

page = open_page(
    "compare_heads",
    models=READS_TEXT,
    params=[*params.PARAMS, *stream.PARAMS],
    starter=EXAMPLE[0],
    pairs=True,
)
headline = st.container(gap=None)
controls.presets()
specs = params.specs(page.state)
# whatever waits has this place, and nothing below moves when it is gone
with st.container(), st.spinner("Reading and comparing the panels"):
    panels = reading.read(page, specs)
    found = all_heads.of(panels)
    changed = fine_tuning.of(page, panels)
numbers.offer(page, panels)

with widgets.card("panels", "Side by side", reading.rule(panels)):
    charts.picture(panels)
    controls.pair(len(specs))
with widgets.card("settings"):
    controls.panels(specs)
    stream.switches(panels.panels[0].viewed)

left, right = st.columns([56, 44], gap="medium")
if found is not None:
    with left, widgets.card("all"):
        all_heads.map_of_heads(panels, found)
        all_heads.list_of_heads(panels, found)
        all_heads.everything_against_everything(panels)
with right, widgets.card("numbers", "What differs, in numbers"):
    numbers.pair_numbers(panels)
    numbers.panel_measures(panels)
    numbers.head_links(panels)
    numbers.patching_link(panels)
if changed is not None:
    fine_tuning.card(panels, changed)
with numbers.matters_card():
    numbers.summaries(panels)
    numbers.row_table(panels)

numbers.offer_pictures(page, panels)
with headline:
    names = [panel.viewed.trace.model_name for panel in panels.panels]
    checks = [panel.check() for panel in panels.panels]
    badges = page.badges(models=names, also=checks, derived=numbers.derived_checks(panels))
    widgets.lead(differences.headline(panels, found), f"{badges}{reading.about(panels)}")
