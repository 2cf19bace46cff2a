"""Vectors of hundreds of dimensions as arrows on a plane or in a box: where words are, and what moves them where.

A projection shortens what it draws, so every hover gives the true length and the true angle, in the full space, and
every axis says how much of the variance it keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_core.figures.charts.spec import CLEAR, ChartSpec
from attn_core.figures.colours import CATEGORIES, Theme, roles
from attn_core.figures.labels import escape, phrase, shorten
from attn_core.residual import geometry
from attn_core.residual.geometry import Projection
from attn_core.text.numbers import percent

Array = NDArray[np.floating]
MOST_LABELS = 40
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Words to find one's way by: their vectors [word, d_model], their names, and `what` they are.

    Vocabulary vectors have lengths of their own, often far from those of the residual stream. With `at`, a landmark is
    drawn in its own direction at that length, so that only its direction says something; without, it is where it is.
    """

    vectors: Array
    words: Sequence[str]
    what: str = "vocabulary"
    at: float | None = None

    def placed(self) -> Array:
        """Where the landmarks are drawn, [word, d_model]."""
        return self.vectors if self.at is None else geometry.unit(self.vectors) * self.at


@dataclass(frozen=True, eq=False)
class _Line:
    """Arrows from point to point: `points` [step, axis], a hover and a label (or "") for each."""

    points: Array
    hover: Sequence[str]
    labels: Sequence[str]


def token_arrows(
    labels: Sequence[str],
    starts: Array,
    moves: Array,
    projection: Projection,
    *,
    what: str,
    theme: Theme,
    chosen: int | None = None,
    landmarks: Sequence[Landmarks] = (),
) -> ChartSpec:
    """E → E + ΔE for every token: `starts` and `moves` [token, d_model], drawn in two or three axes.

    `what` names who adds ("head 0.3"); `chosen` is the token that stands out.
    """
    lines = [_token_line(i, labels[i], starts[i], moves[i], projection, what) for i in range(len(labels))]
    if len(lines) > MOST_LABELS:
        lines = [line if i == chosen else _unlabelled(line) for i, line in enumerate(lines)]
    colour, span = roles(theme), _span([line.points for line in lines])
    chart = _framed(projection, theme)
    for group in landmarks:
        _add_landmarks(chart, group, projection, theme)
    _add_lines(
        chart, [line for i, line in enumerate(lines) if i != chosen], colour["soft"], "other words", 1.4, theme, span
    )
    if chosen is not None:
        _add_lines(chart, [lines[chosen]], colour["delta"], f"{shorten(labels[chosen])} ({chosen})", 3, theme, span)
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

    `stops` names the points ("the door", "after layer 0", …); `tips` are short names for the ends of several paths,
    which then share one name for their beginning.
    """
    chart = _framed(projection, theme)
    for group in landmarks:
        _add_landmarks(chart, group, projection, theme)
    span = _span([projection.points(path) for path in paths])
    palette = CATEGORIES[theme] if len(paths) > 1 else [roles(theme)["delta"]]
    for i, (name, path) in enumerate(zip(names, paths, strict=True)):
        marks = (stops[0], stops[-1]) if tips is None else (stops[0] if i == 0 else "", tips[i])
        line = _route_line(name, path, projection, stops, marks)
        fill, dash = palette[i % len(palette)], DASHES[i % len(DASHES)]
        _add_lines(chart, [line], fill, phrase(name), 2.4, theme, span, dash)
    return chart


def _span(points: Sequence[Array]) -> float:
    """The diagonal of the box that holds all points."""
    return float(geometry.norm(np.ptp(np.concatenate(points), axis=0))) or 1.0


def _token_line(i: int, label: str, start: Array, move: Array, projection: Projection, what: str) -> _Line:
    size, added, turn = geometry.norm(start), geometry.norm(move), geometry.angle(start, start + move)
    drawn = geometry.norm(projection.arrows(move))
    name = f"<b>{escape(label)}</b> ({i})"
    shown = f"<br>drawn here: {percent(float(drawn / added))} of its length" if added > 0 else ""
    tail = f"{name}<br>E, {size:.2f} long"
    tip = f"{name} + {what}<br>ΔE is {added:.2f} long, E is {size:.2f}<br>it turns E by {turn:.1f}°{shown}"
    return _Line(
        np.stack([projection.points(start), projection.points(start + move)]), [tail, tip], [shorten(label), ""]
    )


def _route_line(name: str, path: Array, projection: Projection, stops: Sequence[str], marks: tuple[str, str]) -> _Line:
    hover = []
    for i, here in enumerate(path):
        text = f"<b>{phrase(name)}</b> · {stops[i]}<br>{geometry.norm(here):.2f} long"
        if i > 0:
            step, turn = geometry.norm(here - path[i - 1]), geometry.angle(path[i - 1], here)
            text += f"<br>moved by {step:.2f}, turned by {turn:.1f}°"
            text += f"<br>{geometry.angle(path[0], here):.1f}° from where it began"
        hover.append(text)
    return _Line(projection.points(path), hover, [marks[0], *("" for _ in path[2:]), marks[1]])


def _unlabelled(line: _Line) -> _Line:
    return _Line(line.points, line.hover, ["" for _ in line.labels])


def _add_lines(
    chart: ChartSpec,
    lines: list[_Line],
    colour: str,
    name: str,
    width: float,
    theme: Theme,
    span: float,
    dash: str = "solid",
) -> None:
    """All arrows of one colour as one trace: a gap between lines, a dot where a line begins, heads where it goes."""
    if not lines:
        return
    n_axes = lines[0].points.shape[1]
    gap = np.full((1, n_axes), np.nan)
    points = np.concatenate([part for line in lines for part in (line.points, gap)])
    hover = [text for line in lines for text in (*line.hover, "")]
    first = [n == 0 for line in lines for n in range(len(line.points) + 1)]
    shared: dict[str, Any] = {
        "name": name,
        "mode": "lines+markers",
        "customdata": hover,
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    x, y, *z = points.T
    if not z:
        symbols = ["circle" if start else "arrow" for start in first]
        sizes = [5 if start else 9 + width for start in first]
        marker = {"symbol": symbols, "size": sizes, "angleref": "previous", "color": colour, "line": {"width": 0}}
        chart.add("scatter", x=x, y=y, marker=marker, line={"color": colour, "width": width, "dash": dash}, **shared)
    else:
        style = {"color": colour, "width": 2 * width, "dash": dash if dash in ("solid", "dash", "dot") else "solid"}
        marker = {"size": [4 if start else 0.1 for start in first], "color": colour}
        chart.add("scatter3d", x=x, y=y, z=z[0], marker=marker, line=style, **shared)
        _add_cones(chart, lines, colour, size=0.03 * span)
    _add_labels(chart, lines, colour if width > 2 else roles(theme)["ink"])


def _add_labels(chart: ChartSpec, lines: list[_Line], colour: str) -> None:
    """The words beside the points, as a trace of their own: text on a line with gaps gets lost."""
    at = [(label, point) for line in lines for label, point in zip(line.labels, line.points, strict=True) if label]
    if not at:
        return
    x, y, *z = np.stack([point for _, point in at]).T
    style: dict[str, Any] = {
        "text": [label for label, _ in at],
        "mode": "text",
        "textposition": "top center",
        "textfont": {"size": 12, "color": colour},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    if z:
        chart.add("scatter3d", x=x, y=y, z=z[0], **style)
    else:
        chart.add("scatter", x=x, y=y, **style)


def _add_cones(chart: ChartSpec, lines: list[_Line], colour: str, size: float) -> None:
    """Arrow heads for three dimensions, all of one size: they show where an arrow goes, its line how far."""
    tips = np.concatenate([line.points[1:] for line in lines])
    ways = geometry.unit(np.concatenate([np.diff(line.points, axis=0) for line in lines]))
    (x, y, z), (u, v, w) = tips.T, size * ways.T
    shape = {"sizemode": "raw", "sizeref": 1, "anchor": "tip", "showscale": False, "hoverinfo": "skip"}
    chart.add("cone", x=x, y=y, z=z, u=u, v=v, w=w, colorscale=[[0, colour], [1, colour]], **shape)


def _add_landmarks(chart: ChartSpec, landmarks: Landmarks, projection: Projection, theme: Theme) -> None:
    if not len(landmarks.words):
        return
    names = [escape(word) for word in landmarks.words]
    x, y, *z = projection.points(landmarks.placed()).T
    colour = roles(theme)["soft"]
    truth = "<br>only its direction is true" if landmarks.at is not None else ""
    style: dict[str, Any] = {
        "name": landmarks.what,
        "mode": "markers+text",
        "text": names,
        "hovertemplate": f"<b>%{{text}}</b> · {landmarks.what}{truth}<extra></extra>",
        "textfont": {"size": 11, "color": colour},
    }
    if z:
        chart.add("scatter3d", x=x, y=y, z=z[0], marker={"size": 2, "color": colour}, **style)
    else:
        symbol = "cross-thin-open" if landmarks.at is not None else "circle-open"
        sides = [("bottom center", "middle right", "top center", "middle left")[i % 4] for i in range(len(names))]
        marker = {"size": 5, "color": colour, "symbol": symbol}
        chart.add("scatter", x=x, y=y, marker=marker, textposition=sides, **style)


def _framed(projection: Projection, theme: Theme) -> ChartSpec:
    """The axes, which say how much of the variance they keep."""
    colour, flat = roles(theme), len(projection.axes) == 2
    shares = [percent(float(share)) for share in projection.explained]
    chart = ChartSpec(theme, height=460 if flat else 560)
    chart.lay_out(
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    tickfont = {"size": 10, "color": colour["soft"]}
    axis: dict[str, Any] = {"gridcolor": colour["line"], "zeroline": False, "tickfont": tickfont}
    if flat:
        x, y = ({"text": f"component {i + 1} · {share} of the variance"} for i, share in enumerate(shares))
        axis["automargin"] = True
        chart.lay_out(xaxis={"title": x, **axis}, yaxis={"title": y, "scaleanchor": "x", **axis})
        return chart
    titles = [{"text": f"{i + 1} · {share}"} for i, share in enumerate(shares)]  # there is little room
    box = {
        f"{name}axis": {"title": title, "backgroundcolor": CLEAR, **axis}
        for name, title in zip("xyz", titles, strict=True)
    }
    chart.lay_out(scene={**box, "aspectmode": "data"})
    return chart
