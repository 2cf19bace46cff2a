"""Which head does it: paint what you look for, see what kind each head is, switch heads off."""

import streamlit as st

from attn_core.models.catalogue import CATALOGUE
from ui import stream
from ui.drawing import widgets
from ui.find_heads import ablation as switching
from ui.find_heads import kinds
from ui.find_heads import search as painting
from ui.link import choice
from ui.page import open_page
from ui.shell import save

ASPECTS = {"paint": "Paint what you look for", "kinds": "What kind of head", "matter": "Does it matter?"}

page = open_page(
    "find_heads",
    models=tuple(CATALOGUE),
    params=[choice("find", tuple(ASPECTS)), *stream.PARAMS, *painting.PARAMS, *kinds.PARAMS, *switching.PARAMS],
)
headline = st.container(gap=None)
with st.container():  # whatever waits has this place, and nothing below moves when it is gone
    shown = stream.of(page)
save.offer_stage(shown)
with st.container(horizontal=True, gap="small"):
    aspect = widgets.switch("Find", ASPECTS, "find")
    stream.switches(shown)

if aspect == "paint":
    lead, lines = painting.page(shown), painting.lines
elif aspect == "kinds":
    lead, lines = kinds.page(shown), kinds.lines
else:
    lead, lines = switching.page(shown), switching.lines

page.offer_pictures(f"head {shown.layer}.{shown.head}", shown.word, lines=lines(shown))
with headline:
    widgets.lead(lead, page.badges(shown.trace) + f"{shown.n_layers * shown.n_heads} heads of {page.entry.title}.")
