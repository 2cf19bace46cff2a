"""The page Why there?, seen as one score: who wrote the query × who wrote the key, and the next click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui import stream
from ui.drawing import widgets
from ui.stream_links import links_elsewhere
from ui.why_there import cards, next_click, pictures, reading, taken_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from ui.page import Page


def draw(page: Page, draw_switch: Callable[[], object]) -> None:
    """All of it; `draw_switch` draws the switch between score, flow and card."""
    headline = st.container(gap=None)
    asked = reading.of(page)
    with headline:
        reading.lead(asked)
    draw_switch()
    taken_out.switched_off(asked.viewed)
    stream.switches(asked.viewed)
    next_click.trail(asked)
    reading.pickers(asked)

    left, right = st.columns([54, 46], gap="medium")
    with left:
        with widgets.card("matrix"):
            pictures.matrix(asked)
        with cards.next_click():
            next_click.heads(asked)
            links_elsewhere(asked.viewed, asked.query, "all_heads", "step_by_step", "delta_e")
    with right, widgets.card("pairs"):
        pictures.pairs(asked)

    left, right = st.columns([54, 46], gap="medium")
    with left, cards.brought(asked):
        next_click.brought(asked)
    with right, cards.taken_out():
        without = taken_out.taken_out(asked)
    pictures.offer(asked, without)
    asked.offer_pictures()
