"""Find heads: paint what you look for, see what kind each head is, switch heads off."""

import streamlit as st

from attn_core.models.catalogue import READS_TEXT
from ui import stream
from ui.drawing import controls, widgets
from ui.find_heads import ablation_cards, atoms_cards, kinds_cards, search_cards
from ui.page import open_page
from ui.param import choice
from ui.server import derived

ASPECTS = {"paint": search_cards, "kinds": kinds_cards, "matter": ablation_cards, "atoms": atoms_cards}
TITLES = {"paint": "Paint what you look for", "kinds": "What kind of head", "matter": "Does it matter?"}
REACTIONS = {"atoms": "Which atom was which"} | TITLES  # of a model that reads them
FIND = choice(
    "find",
    lambda earlier: REACTIONS if atoms_cards.reads_reactions(earlier["model"]) else TITLES,
    label="Find",
    in_caption=False,
)

page = open_page(
    "find_heads",
    models=READS_TEXT,
    pairs=True,
    chats=True,
    params=[
        FIND,
        *stream.PARAMS,
        *search_cards.PARAMS,
        *kinds_cards.PARAMS,
        *ablation_cards.PARAMS,
        *atoms_cards.PARAMS,
    ],
)
headline = st.container(gap=None)
with st.container():  # whatever waits has this place, and nothing below moves when it is gone
    viewed = stream.of(page)
stream.offer_stream(viewed)
with st.container(horizontal=True, gap="small"):
    aspect = ASPECTS[controls.switch(FIND, REACTIONS if atoms_cards.reads_reactions(page.model_name) else TITLES)]
    stream.switches(viewed)

lead, lines = aspect.draw(viewed), aspect.lines(viewed)
page.offer_pictures(f"head {viewed.name}", viewed.word, lines=lines)
with headline:
    off = aspect is ablation_cards
    changed, checks = (ablation_cards.changed(viewed), derived.switched_off(viewed.model)) if off else ([], [])
    badges = page.badges(viewed.trace, *changed, derived=checks)
    widgets.lead(lead, f"{badges}{viewed.n_layers * viewed.n_heads} heads of {page.entry.title}.")
