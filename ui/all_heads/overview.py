"""All heads at a glance: which picture each tile holds, and what happens when one is opened."""

from __future__ import annotations

import streamlit as st

from ui import words
from ui.all_heads import packets
from ui.all_heads.head import ArrangedHead
from ui.all_heads.head_charts import SPECIALS, UNIT
from ui.drawing import canvas, controls, widgets
from ui.page import Page
from ui.param import choice
from ui.server import shared
from ui.shared_params import SCALE

WORDS = words.beside(__file__)
TILES = choice("tiles", WORDS.table("switches.tiles"), label="Tiles")
PARAMS = [TILES]


def heading(page: Page) -> None:
    shows_sizes = page.state["tiles"] == "delta"
    hint = WORDS.html("overview.delta") if shows_sizes else WORDS.html("overview.pattern")
    widgets.heading(WORDS.html("overview.card"), hint)


def draw(page: Page, head: ArrangedHead) -> None:
    """The canvas of every head; a click, or the arrow keys and Enter, opens one."""
    step = f"clamp(22px, (100cqw - 27px) / {head.trace.n_heads}, 103px)"  # as in overview.js
    with widgets.kept_place("overview", f"calc({head.trace.n_layers} * {step} + 46px)"):
        canvas.overview(
            _packet(page, head),
            key="overview",
            picture=WORDS.text("overview.card"),
            says=WORDS.text("overview.caption", page.state["tiles"]),
            selected=(head.layer, head.head),
            scale=page.state["scale"],
            opens=(head.layer, head.head) if head.is_one else "mean",
            on_open=_open,
        )


def _packet(page: Page, head: ArrangedHead) -> bytes:
    """Every tile; made once for a trace, and again for whatever changes it."""
    if page.state["tiles"] == "delta":
        return shared.memoize(head.trace, packets.every_size)
    return shared.memoize(head.trace, packets.every_pattern, head.arrangement)


def _open(tile: canvas.Opened) -> None:
    """Callback: another head, for the same word; a word is chosen in the large picture."""
    st.session_state["layer"], st.session_state["head"] = tile.layer, tile.head
    st.session_state["mean"] = "one"


def switches(head: ArrangedHead) -> None:
    """What all tiles share: what they show, their scale, the sink, and words or pieces."""
    with st.container(horizontal=True, gap="small"):
        controls.switch(TILES)
        controls.switch(SCALE)
        controls.switch(UNIT)
        if head.sink_name:
            controls.switch(SPECIALS)
