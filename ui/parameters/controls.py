"""What can be chosen in the parameter page: a model, models beside it, how to count, and numbers of one's own."""

from __future__ import annotations

from typing import Any

import streamlit as st

from attn_core.parameters.architectures.families import FAMILIES, complete
from attn_core.parameters.count import read_config
from attn_core.parameters.presets import PRESETS
from attn_core.parameters.shape import BOUNDS, editable
from attn_core.settings import is_public
from ui.drawing import widgets
from ui.page import Page
from ui.parameters.counts import DERIVED, MOST_BESIDE, start_again

LABELS = {
    "d_model": "d_model",
    "n_layers": "blocks",
    "n_decoder_layers": "decoder blocks",
    "n_heads": "heads",
    "n_groups": "groups",
    "d_head": "d_head",
    "d_ff": "d_ff (MLP)",
    "vocabulary": "vocabulary",
    "context": "context",
}
HELP = {
    "n_groups": "How many keys and values there are; heads share them in groups. Empty: every head has its own.",
    "d_head": "Empty: d_model / heads.",
    "d_ff": "Empty: 4 × d_model.",
}


def pickers() -> None:
    """The model that is counted, and up to three beside it."""
    left, right = st.columns([38, 62], gap="small")
    own = st.session_state["preset"]
    left.selectbox(
        "Count the parameters of",
        [*PRESETS, *([] if own in PRESETS else [own])],
        format_func=title_of,
        key="preset",
        on_change=start_again,
        accept_new_options=not is_public(),
        help=None if is_public() else "Choose one, or type the folder of a model: its config.json is read.",
    )
    right.multiselect(
        "Side by side with",
        list(PRESETS),
        format_func=title_of,
        key="beside",
        max_selections=MOST_BESIDE,
        placeholder="up to three more models",
    )


def title_of(name: str) -> str:
    return PRESETS[name].title if name in PRESETS else name


def switches() -> None:
    """How to count, and whether the visitor's own numbers are on."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="counting_switches"):
        widgets.switch("How to count", {"lesson": "as the lesson counts", "all": "every number stored"}, "count")
        st.toggle("Change its numbers", key="own")


def own_numbers(page: Page) -> None:
    """A field for every number that this architecture can be told."""
    config = complete(read_config(page.state["preset"]))
    if config is None:
        widgets.note("This family has no formula here, so its numbers cannot be changed.")
        return
    family = FAMILIES[config["model_type"]]
    with widgets.card("own", f"Your own, built like {family.title}", "Every picture below follows."):
        names = editable(config)
        fixed = " d_head is always d_model / heads here." if "d_head" not in names else ""
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="own_numbers"):
            for name in (name for name in names if name != "tied"):
                _field(name)
            if "tied" in names:
                st.toggle("one matrix for embedding and unembedding", key="tied")
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.button("Back to the published numbers", on_click=start_again, icon=":material/undo:")
            if fixed:
                st.html(f'<span class="hl-hint">{fixed.strip()}</span>', width="content")


def _field(name: str) -> None:
    low, high = BOUNDS[name]
    optional: dict[str, Any] = {"value": None, "placeholder": "derived"} if name in DERIVED else {}
    st.number_input(LABELS[name], low, high, step=1, key=name, help=HELP.get(name), width=146, **optional)
