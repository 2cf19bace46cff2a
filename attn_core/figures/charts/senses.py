"""How alike the occurrences of a word are, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attn_core.figures.charts.arrows import DASHES
from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import CATEGORIES, Theme, roles
from attn_core.figures.labels import phrase
from attn_core.text.numbers import two_digits

Array = NDArray[np.floating]


def cosine_lines(
    names: Sequence[str], cosines: Array, stops: Sequence[str], *, theme: Theme, baseline: Array | None = None
) -> ChartSpec:
    """Cosines [pair, stop] as lines over the stops of the way; `baseline` [pair, stop] of one sense as a grey band."""
    colour, at = roles(theme), list(range(len(stops)))
    chart = ChartSpec(theme, height=380)
    if baseline is not None and len(baseline):
        _add_band(chart, baseline, at, colour["soft"])
    for i, (name, line) in enumerate(zip(names, cosines, strict=True)):
        chart.add(
            "scatter",
            x=at,
            y=line,
            name=phrase(name),
            mode="lines+markers",
            line={"color": CATEGORIES[theme][(i + 3) % 8], "width": 2.2, "dash": DASHES[i % len(DASHES)]},
            marker={"size": 6},
            customdata=[[phrase(name), stop] for stop in stops],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}: cosine %{y:.3f}<extra></extra>",
        )
        end = {"text": two_digits(float(line[-1])), "xanchor": "left", "xshift": 7, "showarrow": False}
        chart.add_annotation(x=at[-1], y=float(line[-1]), **end)
    low = min(float(np.nanmin(cosines)), float(np.nanmin(baseline)) if baseline is not None and len(baseline) else 1.0)
    grid = {"gridcolor": colour["line"], "zeroline": False, "automargin": True, "fixedrange": True}
    across = {"tickvals": at, "ticktext": list(stops), "range": [-0.25, at[-1] + 0.55], "tickangle": -35}
    chart.lay_out(
        xaxis={**across, **grid},
        yaxis={"title": {"text": "cosine"}, "range": [low - 0.06, 1.03], **grid},
        margin={"l": 4, "r": 38, "t": 10, "b": 4},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
    )
    return chart


def _add_band(chart: ChartSpec, baseline: Array, at: Sequence[int], colour: str) -> None:
    """From the least to the most alike pair of one sense, and their mean."""
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, "x": at}
    chart.add("scatter", y=baseline.min(axis=0), **edge)
    chart.add("scatter", y=baseline.max(axis=0), fill="tonexty", fillcolor=_faint(colour), **edge)
    chart.add(
        "scatter",
        x=at,
        y=baseline.mean(axis=0),
        name="same sense",
        mode="lines",
        line={"color": colour, "width": 1.5},
        hovertemplate="same sense, mean: cosine %{y:.3f}<extra></extra>",
    )


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"
