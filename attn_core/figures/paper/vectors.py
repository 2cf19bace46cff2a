"""A heatmap's cells as vectors: Plotly writes them into SVG and PDF as a bitmap, which print makes blurred.

Cells of one colour become one path, 256 colours at most, so that a large picture stays small. Colours, gaps and the
colour bar are those of the heatmap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

STEPS = 255  # of a colour scale
MOST_CELLS = 120_000  # beyond that a viewer takes longer to draw the paths than a bitmap takes to load


def with_vector_cells(figure: go.Figure) -> go.Figure:
    """The same figure with every heatmap drawn as paths; itself where its cells are too many."""
    heatmaps = [trace for trace in figure.data if trace.type == "heatmap"]
    if not heatmaps or sum(np.size(trace.z) for trace in heatmaps) > MOST_CELLS:
        return figure
    made = go.Figure(figure)
    before = list(made.layout.shapes)
    paths = [path for trace in heatmaps for path in _paths(trace)]
    made.data = [trace for trace in made.data if trace.type != "heatmap"]
    for trace in heatmaps:
        made.add_scatter(**_in_its_place(trace))
    made.layout.shapes = [*paths, *before]  # frames and lines stay above the cells
    return made


def _paths(trace: Any) -> list[dict[str, Any]]:
    """One shape for each colour that occurs."""
    numbers = np.array(trace.z, dtype=float)  # [row, column]
    low, high = trace.zmin, trace.zmax
    if low is None or high is None:
        there = numbers[np.isfinite(numbers)]
        low, high = (there.min(), there.max()) if there.size else (0, 1)
    share = np.clip((numbers - low) / ((high - low) or 1), 0, 1)
    steps = np.where(np.isfinite(share), np.rint(np.nan_to_num(share) * STEPS), -1).astype(int)
    x, y = (_edges(side, count) for side, count in ((trace.x, numbers.shape[1]), (trace.y, numbers.shape[0])))
    gap = max(trace.xgap or 0, trace.ygap or 0)
    shapes = []
    for step in np.unique(steps[steps >= 0]):
        colour = sample_colorscale([list(stop) for stop in trace.colorscale], [step / STEPS])[0]
        cells = [_cell(x[column], y[row]) for row, column in zip(*np.nonzero(steps == step), strict=True)]
        # Without gaps a hairline of the same colour hides the seams between neighbours.
        line = {"color": "#ffffff", "width": gap} if gap else {"color": colour, "width": 0.3}
        place = {"xref": trace.xaxis or "x", "yref": trace.yaxis or "y", "layer": "below"}
        shapes.append({"type": "path", "path": "".join(cells), "fillcolor": colour, "line": line, **place})
    return shapes


def _edges(centres: Sequence[Any] | None, count: int) -> list[tuple[float, float]]:
    """Where each cell begins and ends; names are counted from 0, as on an axis of categories."""
    if centres is None or isinstance(centres[0], str):
        return [(i - 0.5, i + 0.5) for i in range(count)]
    at = np.array(centres, dtype=float)
    half = float(at[1] - at[0]) / 2 if count > 1 else 0.5
    return [(middle - half, middle + half) for middle in at]


def _cell(across: tuple[float, float], down: tuple[float, float]) -> str:
    (left, right), (top, bottom) = ((round(a, 4), round(b, 4)) for a, b in (across, down))
    return f"M{left},{top}L{right},{top}L{right},{bottom}L{left},{bottom}Z"


def _in_its_place(trace: Any) -> dict[str, Any]:
    """An empty scatter on the same axes, which brings the colour bar."""
    place = {"x": [None], "y": [None], "xaxis": trace.xaxis, "yaxis": trace.yaxis, "showlegend": False}
    marker: dict[str, Any] = {"size": 0.1}
    if trace.showscale is not False:
        bar = {
            "cmin": trace.zmin,
            "cmax": trace.zmax,
            "colorscale": trace.colorscale,
            "colorbar": trace.colorbar.to_plotly_json(),
        }
        marker |= {"color": [trace.zmin], "showscale": True, **bar}
    return {**place, "mode": "markers", "marker": marker, "hoverinfo": "skip"}
