"""What can be chosen in the parameter page: a model, models beside it, how to count, and numbers of one's own."""

from __future__ import annotations

import streamlit as st

from attn_core.parameters.architectures.families import FAMILIES, complete
from attn_core.parameters.count import read_config
from attn_core.parameters.presets import PRESETS
from attn_core.parameters.shape import editable
from ui import words
from ui.drawing import controls, widgets
from ui.page import Page
from ui.parameters.counts import BESIDE, COUNT, DERIVED, MOST_BESIDE, OWN, PRESET, SIZES, TIED, published, start_again

WORDS = words.beside(__file__)


def pickers() -> None:
    """The model that is counted, and up to three beside it."""
    left, right = st.columns([38, 62], gap="small")
    with left:
        controls.model_picker(PRESET, tuple(PRESETS), title_of, on_change=start_again, labelled=True)
    right.multiselect(
        BESIDE.label,
        list(PRESETS),
        format_func=title_of,
        key=BESIDE.name,
        max_selections=MOST_BESIDE,
        placeholder="up to three more models",
    )


def title_of(name: str) -> str:
    return PRESETS[name].title if name in PRESETS else name


def switches() -> None:
    """How to count, and whether the visitor's own numbers are on."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="counting_switches"):
        controls.switch(COUNT)
        controls.toggle(OWN)


def own_numbers(page: Page) -> None:
    """A field for every number that this architecture takes."""
    config = complete(read_config(page.state["preset"]))
    if config is None:
        widgets.note(WORDS.text("own.no_formula"))
        return
    family = FAMILIES[config["model_type"]]
    with widgets.card("own", WORDS.html("own.title", family=family.title), WORDS.html("own.hint")):
        names = editable(config)
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="own_numbers"):
            for name in (name for name in names if name != "tied"):
                _field(name)
            if "tied" in names:
                controls.toggle(TIED)
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.button("Back to the published numbers", on_click=start_again, icon=":material/undo:")
            if "d_head" not in names:
                st.html(f'<span class="hl-hint">{WORDS.html("own.fixed")}</span>', width="content")


def _field(name: str) -> None:
    if name in DERIVED:
        controls.number(SIZES[name], width=146, placeholder="derived")
    else:
        controls.number(SIZES[name], width=146, on_change=d_ff_follows if name == "d_model" else None)


def d_ff_follows() -> None:
    """Callback: another d_model; a d_ff that is four times as large in the published model stays four times."""
    numbers = published(st.session_state["preset"])
    d_model, d_ff = numbers["d_model"], numbers["d_ff"]
    if d_model and d_ff == 4 * d_model and st.session_state.get("d_ff") == d_ff:
        st.session_state["d_ff"] = None  # derived
