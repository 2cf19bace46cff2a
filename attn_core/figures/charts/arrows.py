"""Vectors of hundreds of dimensions as arrows on a plane or in a box: where words are, and what moves them where.

A projection shortens what it draws, so every hover gives the true length and the true angle, in the full space, and
every axis says how much of the variance it keeps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from attn_core.figures.charts.arrow_traces import Array, Landmarks, Line, add_landmarks, add_lines, framed
from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import CATEGORIES, Theme, roles
from attn_core.figures.labels import escape, phrase, shorten
from attn_core.residual import geometry
from attn_core.residual.geometry import Projection
from attn_core.text.numbers import percent

MOST_LABELS = 40
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def token_arrows(
    labels: Sequence[str],
    starts: Array,
    moves: Array,
    projection: Projection,
    *,
    what: str,
    theme: Theme,
    chosen: int | None = None,
    left_out: Collection[int] = (),
    landmarks: Sequence[Landmarks] = (),
) -> ChartSpec:
    """E → E + ΔE for every token: `starts` and `moves` [token, d_model], drawn in two or three axes.

    `what` names who adds ("head 0.3"); `chosen` is the token that stands out, those `left_out` are not drawn.
    """
    drawn = [i for i in range(len(labels)) if i not in left_out]
    lines = {i: _token_line(i, labels[i], starts[i], moves[i], projection, what) for i in drawn}
    if len(lines) > MOST_LABELS:
        lines = {i: line if i == chosen else _unlabelled(line) for i, line in lines.items()}
    colour, span = roles(theme), _span([line.points for line in lines.values()])
    chart = framed(projection, theme)
    for group in landmarks:
        add_landmarks(chart, group, projection, theme)
    add_lines(
        chart, [line for i, line in lines.items() if i != chosen], colour["soft"], "other words", 1.4, theme, span
    )
    if chosen is not None:
        add_lines(chart, [lines[chosen]], colour["delta"], f"{shorten(labels[chosen])} ({chosen})", 3, theme, span)
    return chart


def routes(
    names: Sequence[str],
    paths: Sequence[Array],
    projection: Projection,
    *,
    theme: Theme,
    stops: Sequence[str],
    tips: Sequence[str] | None = None,
    landmarks: Sequence[Landmarks] = (),
) -> ChartSpec:
    """The way of one or several words through the layers: each path [stop, d_model], an arrow per layer.

    `stops` names the points ("before layer 0", "after layer 0", …); `tips` are short names for the ends of several
    paths, which then share one name for their beginning.
    """
    chart = framed(projection, theme)
    for group in landmarks:
        add_landmarks(chart, group, projection, theme)
    span = _span([projection.points(path) for path in paths])
    palette = CATEGORIES[theme] if len(paths) > 1 else [roles(theme)["delta"]]
    for i, (name, path) in enumerate(zip(names, paths, strict=True)):
        marks = (stops[0], stops[-1]) if tips is None else (stops[0] if i == 0 else "", tips[i])
        line = _route_line(name, path, projection, stops, marks)
        fill, dash = palette[i % len(palette)], DASHES[i % len(DASHES)]
        add_lines(chart, [line], fill, phrase(name), 2.4, theme, span, dash)
    return chart


def _span(points: Sequence[Array]) -> float:
    """The diagonal of the box that holds all points."""
    return float(geometry.norm(np.ptp(np.concatenate(points), axis=0))) or 1.0


def _token_line(i: int, label: str, start: Array, move: Array, projection: Projection, what: str) -> Line:
    size, added, turn = geometry.norm(start), geometry.norm(move), geometry.angle(start, start + move)
    drawn = geometry.norm(projection.arrows(move))
    name = f"<b>{escape(label)}</b> ({i})"
    shown = f"<br>drawn here: {percent(float(drawn / added))} of its length" if added > 0 else ""
    tail = f"{name}<br>E, {size:.2f} long"
    tip = f"{name} + {what}<br>ΔE is {added:.2f} long, E is {size:.2f}<br>it turns E by {turn:.1f}°{shown}"
    return Line(
        np.stack([projection.points(start), projection.points(start + move)]), [tail, tip], [shorten(label), ""]
    )


def _route_line(name: str, path: Array, projection: Projection, stops: Sequence[str], marks: tuple[str, str]) -> Line:
    hover = []
    for i, here in enumerate(path):
        text = f"<b>{phrase(name)}</b> · {stops[i]}<br>{geometry.norm(here):.2f} long"
        if i > 0:
            step, turn = geometry.norm(here - path[i - 1]), geometry.angle(path[i - 1], here)
            text += f"<br>moved by {step:.2f}, turned by {turn:.1f}°"
            text += f"<br>{geometry.angle(path[0], here):.1f}° from where it began"
        hover.append(text)
    return Line(projection.points(path), hover, [marks[0], *("" for _ in path[2:]), marks[1]])


def _unlabelled(line: Line) -> Line:
    return Line(line.points, line.hover, ["" for _ in line.labels])
