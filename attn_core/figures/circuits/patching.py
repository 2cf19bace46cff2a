"""The picture of what patches move: layers × heads, as shares of the answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import Theme, diverging, ink_on, roles, shade
from attn_core.text.numbers import MINUS


def effect_map(effects: NDArray[np.floating], *, theme: Theme) -> ChartSpec:
    """Effects of heads [layer, head], each with its share written in its cell; blue moves the answer away."""
    limit = float(np.nanmax(np.abs(effects), initial=0.0)) or 1.0
    n_layers, n_heads = effects.shape
    chart = ChartSpec(theme, height=110 + 60 * n_layers)
    steps = [colour for _, colour in diverging(theme)]
    chart.add(
        "heatmap",
        z=effects,
        x=list(range(n_heads)),
        y=list(range(n_layers)),
        zmin=-limit,
        zmax=limit,
        colorscale=diverging(theme),
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="head %{y}.%{x}: <b>%{z:.0%}</b> of the answer<extra></extra>",
    )
    for (layer, head), effect in np.ndenumerate(effects):
        if np.isfinite(effect):
            ink = ink_on(shade(steps, 0.5 + 0.5 * float(effect) / limit))
            said = f"{100 * float(effect):.0f} %".replace("-0 %", "0 %").replace("-", MINUS)
            chart.add_annotation(x=head, y=layer, text=said, showarrow=False, font={"size": 14, "color": ink})
    quiet = {"showgrid": False, "zeroline": False, "fixedrange": True, "dtick": 1, "automargin": True}
    title = {"font": {"color": roles(theme)["ink"]}}
    chart.lay_out(
        margin={"t": 8, "l": 8, "r": 8, "b": 8},
        xaxis={"title": {"text": "head", **title}, **quiet},
        yaxis={"title": {"text": "layer", **title}, "autorange": "reversed", **quiet},
    )
    return chart
