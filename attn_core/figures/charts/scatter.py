"""Heads as points: any two measures against each other, coloured by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import ROLES, SEQUENTIAL, Theme


def scatter(
    x: np.ndarray,
    y: np.ndarray,
    layer: Sequence[int],
    names: Sequence[str],
    *,
    axes: tuple[str, str],
    notes: Sequence[str] = (),
    theme: Theme = "light",
    height: int = 420,
) -> ChartSpec:
    """One point a head: x and y [head], its layer, its name ("0.3") and a note that is shown on hover.

    Colour runs with the layer and so does the size of the ring; a box or a lasso selects. `customdata` of a point is
    its index. Points whose x or y is NaN are left out by Plotly.
    """
    roles = ROLES[theme]
    steps = SEQUENTIAL[theme][2:]
    last = max(layer, default=0)
    colours = [steps[round(i / max(1, last) * (len(steps) - 1))] for i in layer]
    hover = [
        f"head {n}{f' · {note}' if note else ''}" for n, note in zip(names, notes or [""] * len(names), strict=True)
    ]
    chart = ChartSpec(theme, height=height, letters=12.5)
    chart.add(
        "scatter",
        x=x,
        y=y,
        mode="markers",
        text=hover,
        customdata=[[i] for i in range(len(names))],
        marker={"size": 11, "color": colours, "line": {"width": 1, "color": roles["soft"]}},
        hovertemplate=f"%{{text}}<br>{axes[0]}: %{{x:.3g}}<br>{axes[1]}: %{{y:.3g}}<extra></extra>",
        unselected={"marker": {"opacity": 0.25}},
    )
    axis = {"gridcolor": roles["line"], "zeroline": False, "linecolor": roles["line"], "fixedrange": True}
    chart.lay_out(
        margin={"l": 58, "r": 12, "t": 12, "b": 52},
        dragmode="select",
        showlegend=False,
        xaxis={"title": {"text": axes[0]}, **axis},
        yaxis={"title": {"text": axes[1]}, **axis},
    )
    return chart
