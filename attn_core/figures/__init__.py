"""Pictures: arrays and words go in; a Plotly figure, HTML, or a packet for the canvas in the browser comes out.

No model and no page: nothing is imported but `text` (how tokens and numbers are written), `residual.geometry` (what an
angle is) and where assets lie. Colours and words of all pictures are in `colours`, `colour_bars` and `labels`.
Start with `charts/heatmap.py` (`ac.figures.heatmap`), then `canvas/packet.py`, whose packets assets/canvas/ draws.
"""

from __future__ import annotations

from attn_core.figures.charts.heatmap import heatmap

__all__ = ["heatmap"]
