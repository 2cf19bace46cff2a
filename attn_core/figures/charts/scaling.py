"""How parts grow, as lines on logarithmic axes. Numbers and names in, a chart out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from attn_core.figures import colours
from attn_core.figures.charts.parameters import quiet_chart
from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import Theme, role_colours
from attn_core.figures.labels import phrase
from attn_core.text.numbers import short


def curves(
    at: Sequence[int],
    lines: Mapping[str, Sequence[float]],
    tints: Mapping[str, str],
    *,
    here: float | None,
    across: str,
    up: str,
    theme: Theme,
) -> ChartSpec:
    """Lines on two logarithmic axes, where a straight line is a power: flat, in step, or with the square.

    `tints` gives a line the colour of a role; `here` marks where the model itself is; `across` and `up` name the axes.
    """
    role = colours.roles(theme)
    fills = role_colours(theme) | {"attention": role["accent"], "position": role["soft"], "norm": role["masked"]}
    chart = quiet_chart(theme, 380)
    for i, (name, values) in enumerate(lines.items()):
        chart.add(
            "scatter",
            x=list(at),
            y=list(values),
            mode="lines+markers",
            name=phrase(name),
            line={"color": fills[tints[name]], "width": 2.4, "dash": _DASHES[i % len(_DASHES)]},
            marker={"size": 6, "symbol": _SYMBOLS[i % len(_SYMBOLS)]},
            customdata=[f"{value:,.0f}" for value in values],
            hovertemplate=f"{phrase(across)} %{{x:,}}<br>{phrase(name)}: <b>%{{customdata}}</b><extra></extra>",
        )
    if here is not None:
        chart.add_vertical(here, {"color": role["soft"], "width": 1, "dash": "dot"})
    _lay_out_axes(
        chart, at, _powers([value for values in lines.values() for value in values]), across, up, role["line"]
    )
    return chart


def _lay_out_axes(chart: ChartSpec, at: Sequence[int], ticks: Sequence[float], across: str, up: str, grid: str) -> None:
    """Two logarithmic axes, with a legend below them; `at` are the numbers across, `ticks` those that stand up."""
    chart.lay_out(
        margin={"t": 8, "l": 62, "r": 12, "b": 96},
        legend={"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0, "font": {"size": 12}},
        xaxis={
            "type": "log",
            "tickvals": list(at),
            "ticktext": [f"{value:,}" for value in at],
            "title": {"text": phrase(across)},
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={
            "type": "log",
            "tickvals": ticks,
            "ticktext": [short(t) for t in ticks],
            "title": {"text": phrase(up), "standoff": 6},
            "gridcolor": grid,
            "zeroline": False,
            "automargin": True,
        },
    )


_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")


def _powers(values: Sequence[float]) -> list[float]:
    low, high = np.floor(np.log10(max(1, min(values)))), np.ceil(np.log10(max(values)))
    step = max(1, int(np.ceil((high - low) / 6)))
    return [float(10**power) for power in range(int(low), int(high) + 1, step)]
