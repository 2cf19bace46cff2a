"""Arrows in two or three dimensions as Plotly's traces: lines with heads, the words beside them, landmarks, axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_core.figures.charts.spec import CLEAR, ChartSpec
from attn_core.figures.colours import Theme, roles
from attn_core.figures.labels import escape
from attn_core.residual import geometry
from attn_core.residual.geometry import Projection
from attn_core.text.numbers import percent

Array = NDArray[np.floating]


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
class Line:
    """Arrows from point to point: `points` [step, axis], a hover and a label (or "") for each."""

    points: Array
    hover: Sequence[str]
    labels: Sequence[str]


def add_lines(
    chart: ChartSpec,
    lines: list[Line],
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


def _add_labels(chart: ChartSpec, lines: list[Line], colour: str) -> None:
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


def _add_cones(chart: ChartSpec, lines: list[Line], colour: str, size: float) -> None:
    """Arrow heads for three dimensions, all of one size: they show where an arrow goes, its line how far."""
    tips = np.concatenate([line.points[1:] for line in lines])
    ways = geometry.unit(np.concatenate([np.diff(line.points, axis=0) for line in lines]))
    (x, y, z), (u, v, w) = tips.T, size * ways.T
    shape = {"sizemode": "raw", "sizeref": 1, "anchor": "tip", "showscale": False, "hoverinfo": "skip"}
    chart.add("cone", x=x, y=y, z=z, u=u, v=v, w=w, colorscale=[[0, colour], [1, colour]], **shape)


def add_landmarks(chart: ChartSpec, landmarks: Landmarks, projection: Projection, theme: Theme) -> None:
    """Words to find one's way by, as marks with their names."""
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


def framed(projection: Projection, theme: Theme) -> ChartSpec:
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
