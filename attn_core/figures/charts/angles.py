"""Vectors as arrows from one point, at their true lengths and at their true angle to one of them.

A plane has room for one angle each: the angle to the first arrow is true, those among the others are not shown. What is
added to a vector lies in a plane with it, so there nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import Theme, roles
from attn_core.figures.labels import phrase
from attn_core.residual import geometry

Array = NDArray[np.floating]


def angle_fan(
    first: str,
    vector: Array,
    names: Sequence[str],
    vectors: Array,
    *,
    theme: Theme,
    first_role: str = "query",
    role: str = "key",
    marked: Sequence[int] = (),
) -> ChartSpec:
    """`vector` [d] straight up, and `vectors` [word, d] at their angle to it, turn about to the right and to the left.

    `first_role` and `role` are the colours; those `marked` are drawn strong. Lengths share one scale.
    """
    chart = _empty(theme)
    colour, up = roles(theme), float(np.linalg.norm(vector))
    order: Sequence[int] | np.ndarray = []
    if len(vectors):
        order = np.argsort(-geometry.cosine(vectors, vector[None]), kind="stable")
    for turn, i in enumerate(order):
        angle = float(np.degrees(np.arccos(np.clip(geometry.cosine(vectors[i], vector), -1, 1))))
        length, side = float(np.linalg.norm(vectors[i])), 1 if turn % 2 == 0 else -1
        tip = length * np.array([side * np.sin(np.radians(angle)), np.cos(np.radians(angle))])
        strong = int(i) in marked
        said = f"<b>{phrase(names[i])}</b><br>length {length:.2f}, {angle:.0f}° from {phrase(first)}"
        _arrow(chart, np.zeros(2), tip, names[i], colour[role], said, width=3 if strong or not marked else 1.4)
    said = f"<b>{phrase(first)}</b><br>length {up:.2f}"
    _arrow(chart, np.zeros(2), np.array([0.0, up]), first, colour[first_role], said, width=3.4)
    return chart


def sum_of_two(start: str, vector: Array, added: str, change: Array, total: str, *, theme: Theme) -> ChartSpec:
    """`vector` [d], `change` [d] put to its tip, and their sum: two vectors and their sum lie in a plane, so all
    lengths and angles are true.
    """
    chart, colour = _empty(theme), roles(theme)
    up = float(np.linalg.norm(vector))
    along = float(change @ vector) / up if up else 0.0
    aside = float(np.sqrt(max(0.0, float(change @ change) - along**2)))
    tip, end = np.array([0.0, up]), np.array([aside, up + along])
    turned = geometry.angle(vector, vector + change)
    for origin, point, name, role, place in (
        (np.zeros(2), tip, start, "query", "middle left"),
        (tip, end, added, "delta", "top center"),
        (np.zeros(2), end, total, "ink", "middle right"),
    ):
        said = f"<b>{phrase(name)}</b><br>length {float(np.linalg.norm(point - origin)):.2f}"
        said += f", turned by {turned:.1f}°" if name == total else ""
        _arrow(chart, origin, point, name, colour[role], said, width=2.6, place=place)
    return chart


def _empty(theme: Theme) -> ChartSpec:
    """No axes: lengths are compared with each other, and one unit is as long across as up."""
    chart = ChartSpec(theme, height=330)
    bare = {"visible": False, "fixedrange": True}
    chart.lay_out(
        margin={"l": 60, "r": 60, "t": 28, "b": 12},
        showlegend=False,
        hovermode="closest",
        xaxis=bare,
        yaxis={"scaleanchor": "x", **bare},
    )
    return chart


def _arrow(
    chart: ChartSpec, origin: Array, tip: Array, name: str, colour: str, said: str, *, width: float, place: str = ""
) -> None:
    """A line with a head, and its name beyond its tip."""
    chart.add(
        "scatter",
        x=[float(origin[0]), float(tip[0])],
        y=[float(origin[1]), float(tip[1])],
        name=phrase(name),
        mode="lines+markers+text",
        line={"color": colour, "width": width},
        marker={"symbol": ["circle", "arrow"], "size": [3, 9 + width], "angleref": "previous", "color": colour},
        text=["", phrase(name)],
        textposition=place or ("top center" if tip[1] >= origin[1] else "bottom center"),
        textfont={"color": colour, "size": 12.5},
        customdata=["", said],
        hovertemplate="%{customdata}<extra></extra>",
    )
