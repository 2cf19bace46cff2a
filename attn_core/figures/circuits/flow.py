"""The picture of a flow: the sentence at the bottom, one word on top, layers between, lines as wide as the flow.

Or, from a next word's logit down: that word on top, orange lines for what raises it, blue ones for what lowers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import Theme, diverging, roles
from attn_core.figures.labels import phrase, shorten

ABOVE = 0.8  # layers over the end: where a next word stands
LAYER, NARROWEST, TALLEST = 78, 22, 900  # pixels of a layer where there is room, at least, and of all of them


class FlowLine(NamedTuple):
    """What a token that enters a layer brings to a token behind it, or straight to the word on top (`upper` None).

    `share` is of all that is on top, with a sign; `says` is plain text, a line for each sentence.
    """

    layer: int
    lower: int
    upper: int | None
    share: float
    says: Sequence[str]


class FlowPoint(NamedTuple):
    """What a token holds as it enters a layer (after the last one: as it leaves that), as in `FlowLine`."""

    layer: int
    token: int
    share: float
    says: Sequence[str]


def flow_lines(
    names: Sequence[str],
    lines: Sequence[FlowLine],
    points: Sequence[FlowPoint],
    n_layers: int,
    query: int,
    *,
    next_word: str | None = None,
    theme: Theme,
) -> ChartSpec:
    """`names` are the tokens and, last, the bias; `query` is the token on top, or the one before the next word."""
    signed = next_word is not None
    top = n_layers + (ABOVE if signed else 0)
    chart = ChartSpec(theme, height=110 + round(min(LAYER, max(NARROWEST, TALLEST / top)) * top))
    colour = partial(_colour, theme, signed, len(names) - 1)
    for line in lines:
        _add_line(chart, line, (query, top), colour(line.share, line.lower))
    _add_middles(chart, lines, query, top)
    role = roles(theme)
    _add_points(chart, points, [role["query"] if p[:2] == (top, query) else colour(p.share, 0) for p in points])
    word = names[query] if next_word is None else next_word
    where = {"x": query, "y": top, "yshift": 18, "showarrow": False}
    chart.add_annotation(text=f"<b>{shorten(word)}</b>", font={"color": role["query"], "size": 14}, **where)
    _lay_out(chart, names, n_layers, top)
    return chart


def _colour(theme: Theme, signed: bool, bias: int, share: float, token: int) -> str:
    """Of a logit, whether a share raises or lowers it; else that of a key, or a soft one for the bias."""
    if signed:
        steps = [colour for _, colour in diverging(theme)]
        return steps[-2] if share > 0 else steps[1]
    return roles(theme)["key" if token < bias else "soft"]


def _add_line(chart: ChartSpec, line: FlowLine, end: tuple[int, float], colour: str) -> None:
    """One line; `end` is where those go that lead straight to the top."""
    straight = line.upper is None
    chart.add(
        "scatter",
        x=[line.lower, end[0] if line.upper is None else line.upper],
        y=[line.layer, end[1] if straight else line.layer + 1],
        mode="lines",
        line={"color": colour, "width": 0.8 + 13 * min(1.0, abs(line.share)), "dash": "dot" if straight else "solid"},
        opacity=0.35 + 0.6 * min(1.0, 2 * abs(line.share)),
        hoverinfo="skip",
    )


def _add_points(chart: ChartSpec, points: Sequence[FlowPoint], colours: Sequence[str]) -> None:
    """What each token holds before each layer, as a dot of that size."""
    chart.add(
        "scatter",
        name="points",
        x=[point.token for point in points],
        y=[point.layer for point in points],
        mode="markers",
        marker={"size": [6 + 16 * min(1.0, abs(point.share)) ** 0.5 for point in points], "color": list(colours)},
        text=[_said(point.says) for point in points],
        hoverinfo="text",
    )


def _add_middles(chart: ChartSpec, lines: Sequence[FlowLine], query: int, top: float) -> None:
    """Where each line says what it is: a place to point at in its middle."""
    uppers = [query if line.upper is None else line.upper for line in lines]
    ends = [top if line.upper is None else line.layer + 1 for line in lines]
    chart.add(
        "scatter",
        name="middles",
        x=[(line.lower + upper) / 2 for line, upper in zip(lines, uppers, strict=True)],
        y=[(line.layer + end) / 2 for line, end in zip(lines, ends, strict=True)],
        mode="markers",
        marker={"size": 14, "opacity": 0},
        text=[_said(line.says) for line in lines],
        hoverinfo="text",
    )


def _said(lines: Sequence[str]) -> str:
    first, *rest = (phrase(line) for line in lines)
    return "<br>".join([f"<b>{first}</b>", *rest])


def _lay_out(chart: ChartSpec, names: Sequence[str], n_layers: int, top: float) -> None:
    n = len(names)
    quiet = {"showgrid": False, "zeroline": False, "fixedrange": True, "automargin": True}
    chart.lay_out(
        margin={"t": 8, "l": 8, "r": 8, "b": 8},
        showlegend=False,
        hovermode="closest",
        xaxis={
            "tickvals": list(range(n)),
            "ticktext": [shorten(name) for name in names],
            "autotickangles": [0, -45, -90],
            "range": [-0.6, n - 0.4],
            **quiet,
        },
        yaxis={
            "tickvals": list(range(n_layers + 1)),
            "ticktext": [f"layer {layer}" for layer in range(n_layers)] + ["end"],
            "range": [-0.3, top + 0.5],
            **quiet,
        },
    )
