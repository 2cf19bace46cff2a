"""Pictures of a head's card: arcs from the earlier heads that it reads, and the whole card as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import Theme, roles
from attn_core.figures.labels import phrase
from attn_core.text.numbers import signed

THROUGH = {
    "q": ("query", "through its queries"),
    "k": ("key", "through its keys"),
    "v": ("value", "through its values"),
}
STEPS = 24  # of an arc
LINE = 22  # pixels of a line of words in the whole card


class Arc(NamedTuple):
    """How much a head reads of what another writes: by "q", "k" or "v", above what random matrices score."""

    name: str
    layer: int
    through: str
    above: float


def composition_arcs(arcs: Sequence[Arc], head: str, layer: int, *, theme: Theme) -> ChartSpec:
    """Arcs from earlier heads to the head of the card, as wide as they are above chance; heights tell them apart."""
    chart = ChartSpec(theme, height=260)
    _add_arcs(chart, arcs, head, layer, theme)
    hidden = {"visible": False, "fixedrange": True}
    chart.lay_out(
        margin={"t": 8, "l": 8, "r": 8, "b": 8},
        showlegend=False,
        hovermode="closest",
        xaxis={**hidden, "range": [-0.8, 2 * max(len(arcs), 1) + 0.8]},
        yaxis={**hidden, "range": [-0.2, 1.1]},
    )
    return chart


def _add_arcs(chart: ChartSpec, arcs: Sequence[Arc], head: str, layer: int, theme: Theme) -> None:
    role = roles(theme)
    ordered = sorted(arcs, key=lambda arc: (arc.layer, arc.name, arc.through))
    names = list(dict.fromkeys(arc.name for arc in ordered))
    width = 2 * max(len(arcs), 1)
    places = {name: width * i / max(len(names), 1) for i, name in enumerate(names)}
    most = max([arc.above for arc in ordered], default=1.0)
    for arc in ordered:
        colour, how = THROUGH[arc.through]
        start, lift = places[arc.name], {"q": 1.0, "k": 0.8, "v": 0.6}[arc.through]
        steps = [i / STEPS for i in range(STEPS + 1)]
        chart.add(
            "scatter",
            x=[start + (width - start) * step for step in steps],
            y=[lift * 4 * step * (1 - step) for step in steps],
            mode="lines",
            line={"color": role[colour], "width": 1 + 7 * arc.above / most},
            text=f"Head {phrase(head)} reads {phrase(arc.name)} {how}: <b>{signed(arc.above)}</b> above chance",
            hoverinfo="text",
        )
    for name, at in [*places.items(), (f"head {head}", width)]:
        colour = role["ink"] if at < width else role["accent"]
        words = phrase(name).replace("head ", "")
        chart.add_annotation(x=at, y=-0.05, text=words, showarrow=False, yanchor="top", font={"color": colour})


def whole_card(
    arcs: Sequence[Arc], head: str, layer: int, columns: Sequence[tuple[str, Sequence[str]]], *, theme: Theme
) -> ChartSpec:
    """The card as one picture: the arcs on top, and under them columns of lines, each with its title; plain text."""
    rows = max((len(lines) for _, lines in columns), default=0) + 2
    words = LINE * rows
    chart = ChartSpec(theme, height=300 + words)
    _add_arcs(chart, arcs, head, layer, theme)
    for i, (title, lines) in enumerate(columns):
        text = "<br>".join([f"<b>{phrase(title)}</b>", *(phrase(line) for line in lines)])
        place = {"xref": "paper", "yref": "paper", "x": i / len(columns), "y": words / (300 + words) - 0.02}
        chart.add_annotation(text=text, showarrow=False, align="left", xanchor="left", yanchor="top", **place)
    hidden = {"visible": False, "fixedrange": True}
    chart.lay_out(
        margin={"t": 8, "l": 16, "r": 16, "b": 8},
        showlegend=False,
        xaxis={**hidden, "range": [-0.8, 2 * max(len(arcs), 1) + 0.8]},
        yaxis={**hidden, "range": [-0.2, 1.1], "domain": [words / (300 + words), 1]},
    )
    return chart
