"""The canvas picture of a matrix as a Streamlit component; packets are made by `attn_core.figures.canvas.matrix`."""

from __future__ import annotations

import struct
from collections.abc import Callable

import streamlit as st

from attn_core.figures import scripts
from ui.drawing import gallery

_cells = st.components.v2.component("headlight.cells", js=scripts.module("cells"))

Chosen = Callable[[int, int | None], None]


def cells(packet: bytes, *, key: str, picture: str = "", on_choose: Chosen | None = None) -> None:
    """Draw a matrix; `picture` is its name under Save.

    A click on a cell, if the packet allows it, calls `on_choose` with (row, column) before the page runs again; the
    column is None where a row's label was clicked.
    """

    def happened() -> None:
        chosen = getattr(st.session_state[key], "chosen", None)
        if chosen is not None and on_choose is not None:
            on_choose(chosen["row"], chosen["column"])

    if picture:
        gallery.canvas(picture, packet, {})
    name = key.encode()
    _cells(key=key, data=struct.pack("<I", len(name)) + name + packet, on_chosen_change=happened)
