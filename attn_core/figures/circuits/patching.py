"""The picture of what patches move: layers × heads, as shares of the answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.circuits.signed_cells import add_cells, write_numbers
from attn_core.figures.colours import Theme, roles
from attn_core.text.numbers import whole_percent


def effect_map(effects: NDArray[np.floating], *, theme: Theme) -> ChartSpec:
    """Effects of heads [layer, head], each with its share written in its cell; blue moves the answer away."""
    limit = float(np.nanmax(np.abs(effects), initial=0.0)) or 1.0
    chart = ChartSpec(theme, height=110 + 60 * len(effects))
    shares = [[whole_percent(float(effect)) for effect in row] for row in effects]
    hover = "head %{y}.%{x}: <b>%{customdata}</b> of the answer<extra></extra>"
    add_cells(chart, effects, limit, theme=theme, xgap=2, ygap=2, hovertemplate=hover, customdata=shares)
    write_numbers(chart, effects, limit, whole_percent, size=14, theme=theme)
    quiet = {"showgrid": False, "zeroline": False, "fixedrange": True, "dtick": 1, "automargin": True}
    title = {"font": {"color": roles(theme)["ink"]}}
    chart.lay_out(
        margin={"t": 8, "l": 8, "r": 8, "b": 8},
        xaxis={"title": {"text": "head", **title}, **quiet},
        yaxis={"title": {"text": "layer", **title}, "autorange": "reversed", **quiet},
    )
    return chart
