"""What all pictures for paper share: their width, margins, light colours, colour bars and the words along an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from attn_core.figures.colours import diverging, roles, sequential
from attn_core.figures.labels import MONO, SANS, phrase, ticks

WIDTH = 760  # pixels; three of the file's make one
LEFT, RIGHT, TOP = 64, 16, 54
COLOUR = roles("light")
Header = Mapping[str, Any]


def colour_bar(bar: Mapping[str, Any], scale: str = "linear") -> dict[str, Any]:
    """What a packet's bar (`figures.colour_bars`) makes of a Plotly heatmap: colours, their ends, and the bar below."""
    low, high = bar["domain"]
    words = {"tickvals": [at for at, _ in bar["ticks"]], "ticktext": [text for _, text in bar["ticks"]]}
    return {
        "zmin": low,
        "zmax": high,
        "colorscale": diverging("light")
        if bar["signed"]
        else sequential("light", "sqrt" if scale == "sqrt" else "linear"),
        "colorbar": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 0,
            "yanchor": "top",
            "ypad": 10,
            "xpad": 0,
            "thickness": 8,
            "len": 0.6,
            "outlinewidth": 0,
            "tickfont": {"size": 10.5},
            **(words if bar["ticks"] else {"nticks": 6}),
            "title": {"text": phrase(bar["titles"][scale]), "side": "bottom", "font": {"size": 11}},
        },
    }


def said(value: str, row: str, column: str, rows: Sequence[Any], columns: Sequence[Any]) -> dict[str, Any]:
    """What a heatmap's numbers are and what its rows and columns are called, for tables of them."""
    return {"value": value, "row": row, "column": column, "rows": list(rows), "columns": list(columns)}


def finished(
    figure: go.Figure, height: float, *, bottom: float = 12, top: float = TOP, left: float = LEFT
) -> go.Figure:
    """What all figures for paper share: white, the page's fonts, no grid, room for titles."""
    right = figure.layout.margin.r if figure.layout.margin.r is not None else RIGHT
    figure.update_layout(
        height=round(height),
        margin={"l": left, "r": right, "t": top, "b": bottom},
        paper_bgcolor="#ffffff",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": SANS, "size": 12, "color": COLOUR["ink"]},
    )
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(showgrid=False, zeroline=False)
    return figure


def tokens(
    axis: str, names: Sequence[str | None], special: Sequence[int], colour: str, most: int, standoff: float = 8
) -> dict[str, Any]:
    """Tick labels of tokens: at most so many, special ones dimmed, missing ones as a dash.

    Where an axis has no name, its labels are words of ours, in which a space is a space.
    """
    at, words = ticks(["–" if name is None else name for name in names], most)
    words = words if axis else [word.replace("␠", " ") for word in words]
    shades = [COLOUR["soft"] if i in special else COLOUR["ink"] for i in at]
    shown = [f'<span style="color:{shade}">{word}</span>' for word, shade in zip(words, shades, strict=True)]
    return {
        "tickvals": at,
        "ticktext": shown,
        "tickfont": {"family": MONO, "size": 10.5},
        "ticks": "",
        "title": {"text": phrase(axis), "font": {"size": 11.5, "color": colour}, "standoff": standoff},
    }
