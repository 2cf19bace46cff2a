"""Any canvas picture as a Plotly figure for paper: light, on white, from the very packet that the screen was given.

`drawn(packet, view)` gives the figure; `view` is what the page told the canvas beside the packet (scale, chosen head).
Overviews come with a weight's 254 steps, as on screen; all other numbers are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from attn_core.figures.canvas.packet import unpack
from attn_core.figures.paper import heads, lines_and_boxes, matrix

PICTURES = {
    "values": heads.values,
    "pattern": heads.overview,
    "kinds": heads.kinds,
    "panels": matrix.panels,
    "cells": matrix.matrix,
    "links": lines_and_boxes.links,
    "boxes": lines_and_boxes.boxes,
}


def drawn(packet: bytes, view: Mapping[str, Any] | None = None) -> go.Figure:
    """The picture of a packet of `figures.canvas`, 760 pixels wide."""
    header, body = unpack(packet)
    return PICTURES[header["picture"]](header, body, view or {})
