"""What can be chosen in the parameter page: a model, models beside it, how to count, and numbers of one's own."""

from __future__ import annotations

import streamlit as st

from attn_core.parameters.architectures.families import FAMILIES, complete
from attn_core.parameters.count import read_config
from attn_core.parameters.presets import PRESETS
from attn_core.parameters.shape import BOUNDS, editable
from attn_core.settings import is_public
from ui import words
from ui.drawing import widgets
from ui.page import Page
from ui.parameters.counts import DERIVED, MOST_BESIDE, published, start_again

WORDS = words.beside(__file__)
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
HELP = WORDS.table("own.help")


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
        help=None if is_public() else WORDS.text("own.folder"),
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
        widgets.note(WORDS.text("own.no_formula"))
        return
    family = FAMILIES[config["model_type"]]
    with widgets.card("own", WORDS.html("own.title", family=family.title), WORDS.html("own.hint")):
        names = editable(config)
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="own_numbers"):
            for name in (name for name in names if name != "tied"):
                _field(name)
            if "tied" in names:
                st.toggle("one matrix for embedding and unembedding", key="tied")
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.button("Back to the published numbers", on_click=start_again, icon=":material/undo:")
            if "d_head" not in names:
                st.html(f'<span class="hl-hint">{WORDS.html("own.fixed")}</span>', width="content")


def _field(name: str) -> None:
    low, high = BOUNDS[name]
    label, helps = LABELS[name], HELP.get(name)
    if name in DERIVED:
        st.number_input(label, low, high, value=None, placeholder="derived", step=1, key=name, help=helps, width=146)
    else:
        follows = d_ff_follows if name == "d_model" else None
        st.number_input(label, low, high, step=1, key=name, help=helps, width=146, on_change=follows)


def d_ff_follows() -> None:
    """Callback: another d_model; a d_ff that is four times as large in the published model stays four times."""
    numbers = published(st.session_state["preset"])
    d_model, d_ff = numbers["d_model"], numbers["d_ff"]
    if d_model and d_ff == 4 * d_model and st.session_state.get("d_ff") == d_ff:
        st.session_state["d_ff"] = None  # derived
