"""How alike the occurrences of a word are, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from attn_core.figures.charts.arrows import DASHES
from attn_core.figures.colours import CATEGORIES, Theme, roles
from attn_core.figures.labels import SANS, phrase

Array = NDArray[np.floating]


def cosine_lines(
    names: Sequence[str], cosines: Array, stops: Sequence[str], *, theme: Theme, baseline: Array | None = None
) -> go.Figure:
    """Cosines [pair, stop] as lines over the stops of the way; `baseline` [pair, stop] of one sense as a grey band."""
    colour, at = roles(theme), list(range(len(stops)))
    figure = go.Figure()
    if baseline is not None and len(baseline):
        _add_band(figure, baseline, at, colour["soft"])
    for i, (name, line) in enumerate(zip(names, cosines, strict=True)):
        figure.add_scatter(
            x=at,
            y=line,
            name=phrase(name),
            mode="lines+markers",
            line={"color": CATEGORIES[theme][(i + 3) % 8], "width": 2.2, "dash": DASHES[i % len(DASHES)]},
            marker={"size": 6},
            customdata=[[phrase(name), stop] for stop in stops],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}: cosine %{y:.3f}<extra></extra>",
        )
        figure.add_annotation(x=at[-1], y=line[-1], text=f"{line[-1]:.2f}", xanchor="left", xshift=7, showarrow=False)
    low = min(float(np.nanmin(cosines)), float(np.nanmin(baseline)) if baseline is not None and len(baseline) else 1.0)
    grid = {"gridcolor": colour["line"], "zeroline": False, "automargin": True, "fixedrange": True}
    figure.update_yaxes(title="cosine", range=[low - 0.06, 1.03], **grid)
    figure.update_xaxes(tickvals=at, ticktext=list(stops), range=[-0.25, at[-1] + 0.55], tickangle=-35, **grid)
    figure.update_layout(
        height=380,
        margin={"l": 4, "r": 38, "t": 10, "b": 4},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": colour["ink"], "size": 12, "family": SANS},
        hoverlabel={"align": "left", "bgcolor": colour["card"], "bordercolor": colour["line"]},
    )
    return figure


def _add_band(figure: go.Figure, baseline: Array, at: Sequence[int], colour: str) -> None:
    """From the least to the most alike pair of one sense, and their mean."""
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, "x": at}
    figure.add_scatter(y=baseline.min(axis=0), **edge)
    figure.add_scatter(y=baseline.max(axis=0), fill="tonexty", fillcolor=_faint(colour), **edge)
    figure.add_scatter(
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
