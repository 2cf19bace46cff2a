"""The picture of a flow: the sentence at the bottom, one word on top, layers between, lines as wide as the flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import Theme, roles
from attn_core.figures.labels import phrase, shorten
from attn_core.text.numbers import percent

Array = NDArray[np.floating]
MOST_LINES, THINNEST = 160, 0.005  # lines that are drawn, and the share from which one is


def flow_lines(
    labels: Sequence[str],
    reach: Array,
    edges: Array,
    query: int,
    heads: Mapping[tuple[int, int], str],
    *,
    bias: str,
    theme: Theme,
) -> ChartSpec:
    """`reach` [layer + 1, token + 1] is what each place brings to the word, `edges` [layer, query, key + 1] the shares.

    `heads` says through which heads a place (layer, token) got what it holds. The last column is `bias`.
    """
    role, n = roles(theme), len(labels)
    n_layers = len(edges)
    chart = ChartSpec(theme, height=110 + 78 * n_layers)
    for share, layer, upper, lower in _lines(reach, edges):
        chart.add(
            "scatter",
            x=[lower, upper],
            y=[layer, layer + 1],
            mode="lines",
            line={"color": role["key"] if lower < n else role["soft"], "width": 0.8 + 13 * share},
            opacity=0.35 + 0.6 * min(1.0, 2 * share),
            hoverinfo="skip",
        )
    names = [*labels, bias]
    places = [(layer, at) for layer in range(n_layers + 1) for at in range(n + 1) if reach[layer, at] > THINNEST]
    chart.add(
        "scatter",
        x=[at for _, at in places],
        y=[layer for layer, _ in places],
        mode="markers",
        marker={
            "size": [6 + 16 * float(reach[place]) ** 0.5 for place in places],
            "color": [role["query"] if place == (n_layers, query) else role["key"] for place in places],
        },
        text=[
            f"{phrase(names[at])} before layer {layer}: <b>{percent(float(reach[layer, at]))}</b>"
            + (f"<br>{phrase(heads[layer, at])}" if (layer, at) in heads else "")
            for layer, at in places
        ],
        hoverinfo="text",
    )
    chart.add_annotation(
        x=query,
        y=n_layers,
        text=f"<b>{shorten(labels[query])}</b>",
        showarrow=False,
        yshift=18,
        font={"color": role["query"], "size": 14},
    )
    chart.lay_out(
        margin={"t": 8, "l": 8, "r": 8, "b": 8},
        showlegend=False,
        hovermode="closest",
        xaxis={
            "tickvals": list(range(n + 1)),
            "ticktext": [shorten(name) for name in names],
            "tickangle": -90 if n > 9 else 0,
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "automargin": True,
            "range": [-0.6, n + 0.6],
        },
        yaxis={
            "tickvals": list(range(n_layers + 1)),
            "ticktext": [f"layer {layer}" for layer in range(n_layers)] + ["end"],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "automargin": True,
            "range": [-0.3, n_layers + 0.5],
        },
    )
    return chart


def _lines(reach: Array, edges: Array) -> list[tuple[float, int, int, int]]:
    """(share, layer, upper token, lower token) of the widest lines, the thinnest first; the bias column ends a line."""
    found = []
    for layer, shares in enumerate(edges):
        width = np.nan_to_num(reach[layer + 1, :-1, None] * shares)  # [query, key + 1]
        found += [(float(width[i, j]), layer, int(i), int(j)) for i, j in np.argwhere(width > THINNEST)]
    return sorted(found)[-MOST_LINES:]
