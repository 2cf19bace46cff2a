"""The distance of every head of one model from every head of another, as one picture."""

from __future__ import annotations

import numpy as np

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import SEQUENTIAL, Theme
from attn_core.figures.labels import ticks


def distances(
    matrix: np.ndarray,
    rows: list[str],
    columns: list[str],
    *,
    axes: tuple[str, str],
    theme: Theme = "light",
    height: int = 460,
) -> ChartSpec:
    """matrix [head of one, head of the other], 0 (equal, deep) to 1 (apart, light); `rows` and `columns` name heads."""
    steps = SEQUENTIAL[theme][::-1]
    scale = [(i / (len(steps) - 1), colour) for i, colour in enumerate(steps)]
    hover = [[f"head {r} of {axes[0]}, head {c} of {axes[1]}" for c in columns] for r in rows]
    chart = ChartSpec(theme, height=height)
    chart.add(
        "heatmap",
        z=matrix.astype(np.float32),
        zmin=0,
        zmax=1,
        colorscale=scale,
        customdata=hover,
        hovertemplate="%{customdata}: distance %{z:.3f}<extra></extra>",
        colorbar={"thickness": 8, "len": 0.8, "outlinewidth": 0, "title": {"text": "distance", "side": "right"}},
    )
    for axis, names, title in (("yaxis", rows, axes[0]), ("xaxis", columns, axes[1])):
        at, labels = ticks(names)
        named = {"tickvals": at, "ticktext": labels, "title": {"text": f"heads of {title}"}, "showgrid": False}
        chart.lay_out(**{axis: named})
    chart.lay_out(yaxis={"autorange": "reversed"}, margin={"l": 64, "r": 8, "t": 10, "b": 56})
    return chart
