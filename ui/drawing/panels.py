"""The canvas picture of patterns side by side as a Streamlit component; packets: `attn_core.figures.canvas.panels`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from attn_core.figures import scripts
from attn_core.figures.colours import Scale
from ui.drawing import canvas

_panels = st.components.v2.component("headlight.panels", js=scripts.module("panels"))


@dataclass(frozen=True)
class Chosen:
    """The cell that was clicked, in places of the shared axes."""

    panel: int
    query: int
    key: int


def panels(
    packet: bytes,
    *,
    key: str,
    picture: str = "",
    says: str = "",
    query: int | None = None,
    painted: Sequence[tuple[int, int]] = (),
    scale: Scale = "sqrt",
    on_choose: Callable[[Chosen], None] | None = None,
) -> Chosen | None:
    """One to four patterns on one scale; `query` frames a row, `painted` frames (query, key) cells.

    `picture` is its name under Save, and `says` how its caption begins.
    `on_choose` is called before the page runs again, as a widget's callback is; the same is returned in that run.
    """
    view = {"query": query, "painted": [list(cell) for cell in painted], "scale": scale}
    return canvas.mount(_panels, packet, key, "chosen", Chosen, on_choose, view, picture=picture, says=says)
