"""Pictures: arrays and labels go in, a Plotly figure or a packet for the canvas comes out. No model, no page.

`figures.heatmap(…)` and its family are functions; each kind of picture has a file of its own.
"""

from __future__ import annotations

from attn_core.figures.charts.heatmap import heatmap

__all__ = ["heatmap"]
