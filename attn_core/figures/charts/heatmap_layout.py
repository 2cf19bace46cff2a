"""What stands around a heatmap's cells: colours and their legend, axes with the words, the hatching of masked cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import numpy as np

from attn_core.figures import colours, labels
from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colour_bars import ColourBar, signed_bar, weight_bar
from attn_core.figures.colours import Scale, Theme
from attn_core.figures.labels import MONO
from attn_core.text.pairs import Segments

Kind = Literal["weights", "signed"]

LETTER = 7.3  # pixels of a letter of an axis' labels
ROW = 27  # pixels of a row, as long as the sentence is short
TALLEST = 560  # pixels of all rows together


def colours_of(
    numbers: np.ndarray, kind: Kind, scale: Scale, zmax: float | None, theme: Theme, legend: bool, measure: str | None
) -> dict[str, Any]:
    """A Plotly heatmap's colours and their legend, for numbers [query, key]."""
    if kind == "signed":
        top = zmax or float(np.nanmax(np.abs(numbers), initial=0)) or 1.0
        bar, colourscale = signed_bar(measure or "value", top), colours.diverging(theme)
    else:
        bar, colourscale = weight_bar(zmax or 1.0), colours.sequential(theme, scale)
    ends = {"zmin": bar.low, "zmax": bar.high, "colorscale": colourscale}
    return {**ends, "showscale": legend, "colorbar": _bar(bar, scale)}


def _bar(bar: ColourBar, scale: Scale) -> dict[str, Any]:
    """The legend of the colours, below the cells."""
    place = {"orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yanchor": "top", "ypad": 12, "xpad": 0}
    size = {"thickness": 8, "len": 0.8, "outlinewidth": 0, "tickangle": 0, "tickfont": {"size": 10.5}}
    words = {"tickvals": [at for at, _ in bar.ticks], "ticktext": [text for _, text in bar.ticks]}
    title = {"text": labels.phrase(bar.titles[scale]), "side": "bottom", "font": {"size": 11}}
    return {**place, **size, **words, "title": title}


def hatch(colour: str) -> dict[str, Any]:
    """A hatched backdrop: it shows wherever there is no cell, and masked is the only place where there is none."""
    lines = f'<path d="M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4" stroke="{colour}" stroke-width="1.1"/>'
    pattern = f'<pattern id="h" width="8" height="8" patternUnits="userSpaceOnUse">{lines}</pattern>'
    size = 'xmlns="http://www.w3.org/2000/svg" width="420" height="420"'
    svg = f'<svg {size}><defs>{pattern}</defs><rect width="420" height="420" fill="url(#h)"/></svg>'
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "sizex": 1, "sizey": 1}
    return {"source": f"data:image/svg+xml,{quote(svg)}", **place, "sizing": "fill", "layer": "below"}


def axis(
    tokens: Sequence[str],
    name: str,
    colour: str,
    roles: Mapping[str, str],
    special: Sequence[bool] | None,
    chosen: Sequence[int],
) -> dict[str, Any]:
    """One side: at most 24 labels, special tokens dimmed, chosen ones in their role's colour, an explicit range."""
    at, words = labels.ticks(tokens)
    shades = [colour if i in chosen else roles["soft"] if special is not None and special[i] else None for i in at]
    shown = [
        word if shade is None else f'<span style="color:{shade}">{word}</span>'
        for word, shade in zip(words, shades, strict=True)
    ]
    return {
        "type": "category",
        "range": [-0.5, len(tokens) - 0.5],
        # Plotly's hover would take a tick's short text for the cell's full name if the two met exactly.
        "tickvals": [i + len(tokens) / 5_000 for i in at],
        "ticktext": shown,
        "title": {"text": name, "font": {"size": 12, "color": colour}},
        "tickfont": {"family": MONO, "size": 12 if len(at) <= 16 else 10.5, "color": roles["ink"]},
        "ticks": "",
        "ticklabelstandoff": 4,
        "showgrid": False,
        "zeroline": False,
        "automargin": False,
    }


def lay_out_axes(
    chart: ChartSpec, across: dict[str, Any], down: dict[str, Any], title: str | None, legend: bool
) -> None:
    """Both sides, the margins that their labels need, and the figure's height and title."""
    last = down["range"][1]
    cells = min(TALLEST, max(2, round(last + 0.5)) * ROW)
    wide, long = (LETTER * max(map(_length, side["ticktext"]), default=0) for side in (down, across))
    # Labels across lean by 56°: they are 0.83 of their length high and 0.56 of it wide.
    margin = {
        "l": 38 + wide,
        "r": 20 + 0.4 * long,
        "t": 40 + 0.83 * long + (30 if title else 0),
        "b": 62 if legend else 8,
    }
    # A title stands off its labels: with the labels' length on top it ran into the headline of a slide.
    chart.lay_out(
        xaxis=across | {"side": "top", "tickangle": -56, "title": across["title"] | {"standoff": 8}},
        yaxis=down | {"range": [last, -0.5], "title": down["title"] | {"standoff": 10}},
        height=cells + margin["t"] + margin["b"],
        margin=margin,
        hoverdistance=80,  # so that the nearest marker is found from a cell's corner
        hovermode="closest",
        dragmode=False,
        showlegend=False,
    )
    if title is not None:
        chart.lay_out(title={"text": labels.escape(title), "font": {"size": 14}, "x": 0, "y": 0.99})


def _length(word: str) -> int:
    return len(labels.unescaped(word))


def frame(chart: ChartSpec, query: int, n_keys: int, colour: str, *, turned: bool) -> None:
    """A frame around one query: its weights sum to 1."""
    along, across = (-0.5, n_keys - 0.5), (query - 0.5, query + 0.5)
    x, y = (across, along) if turned else (along, across)
    line = {"color": colour, "width": 2}
    chart.add_shape(type="rect", x0=x[0], x1=x[1], y0=y[0], y1=y[1], line=line, fillcolor="rgba(0,0,0,0)")


def part(chart: ChartSpec, segments: Segments, shape: tuple[int, ...], colour: str, *, turned: bool) -> None:
    """A line between the two segments of a pair, across and down."""
    n_query, n_key = shape
    down, across = (segments.column, segments.row) if turned else (segments.row, segments.column)
    tall, wide = (n_key, n_query) if turned else (n_query, n_key)
    line = {"color": colour, "width": 1}
    chart.add_shape(type="line", x0=-0.5, x1=wide - 0.5, y0=down - 0.5, y1=down - 0.5, line=line)
    chart.add_shape(type="line", x0=across - 0.5, x1=across - 0.5, y0=-0.5, y1=tall - 0.5, line=line)
