"""A chart as plain data: what Plotly draws, without building and validating an object for every part of it.

    chart = ChartSpec("light", height=200)
    chart.add("bar", x=[0, 1], y=np.array([2.0, 3.0]))
    chart.lay_out(xaxis={"title": {"text": "layer"}})
    chart.figure()                                     # the same as a real, validated `go.Figure`

Validation costs several times as much as everything else about a chart, so pages send a spec as it is
(`figures/unvalidated.py`); tests build the real figure of every chart and compare the two. Nothing here imports Plotly
before it is needed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from copy import copy
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from attn_core.figures.colours import Theme, roles
from attn_core.figures.labels import SANS

if TYPE_CHECKING:
    import plotly.graph_objects as go

P = ParamSpec("P")
CLEAR = "rgba(0,0,0,0)"


class ChartSpec:
    """Traces and layout as dictionaries, in Plotly's own words; nothing is checked before `figure()`.

    Every chart begins with one layout: the page's colours and letters, no background of its own, and its height.
    """

    def __init__(self, theme: Theme, *, height: float, letters: float = 12) -> None:
        role = roles(theme)
        self._traces: list[dict[str, Any]] = []
        self._whole: dict[str, Any] = {
            "height": height,
            "paper_bgcolor": CLEAR,
            "plot_bgcolor": CLEAR,
            "font": {"color": role["ink"], "size": letters, "family": SANS},
            "hoverlabel": {
                "align": "left",
                "bgcolor": role["card"],
                "bordercolor": role["line"],
                "font": {"color": role["ink"], "family": SANS, "size": 13},
            },
        }

    def add(self, kind: str, **trace: Any) -> None:
        """A trace: "bar", "scatter", "heatmap", …"""
        self._traces.append({"type": kind, **trace})

    def lay_out(self, **parts: Any) -> None:
        """Set parts of the layout; what is set already and not named here stays, down to the last dictionary."""
        _merge(self._whole, parts)

    def add_shape(self, **shape: Any) -> None:
        """A line or a rectangle."""
        self._whole.setdefault("shapes", []).append(shape)

    def add_annotation(self, **words: Any) -> None:
        """Words at a place."""
        self._whole.setdefault("annotations", []).append(words)

    def add_vertical(self, x: float, line: Mapping[str, Any]) -> None:
        """A line from the bottom to the top."""
        self.add_shape(type="line", x0=x, x1=x, xref="x", y0=0, y1=1, yref="y domain", line=line)

    def add_band(self, between: tuple[float, float], colour: str) -> None:
        """A faint band from the bottom to the top."""
        left, right = between
        self.add_shape(
            type="rect", x0=left, x1=right, xref="x", y0=0, y1=1, yref="y domain", fillcolor=colour, opacity=0.14,
            line={"width": 0}, layer="below",
        )  # fmt: skip

    def add_horizontal(self, y: float, line: Mapping[str, Any]) -> None:
        """A line from side to side."""
        self.add_shape(type="line", y0=y, y1=y, yref="y", x0=0, x1=1, xref="x domain", line=line)

    def enlarged(self, by: float) -> ChartSpec:
        """The same chart with letters, marks, margins and height `by` times as large, for a projector; letters that are
        smaller than the usual 12 become as large as those.
        """
        larger = copy(self)
        larger._traces = [_enlarged(trace, by) for trace in self._traces]
        larger._whole = _enlarged(self._whole, by)
        return larger

    def to_dict(self) -> dict[str, Any]:
        """What goes to the browser: numbers as typed arrays, and no template of Plotly's or Streamlit's beside it."""
        return {"data": [_sent(trace) for trace in self._traces], "layout": _sent(self._whole)}

    def figure(self) -> go.Figure:
        """The real figure, each part of it validated. Raises ValueError where Plotly knows no such part."""
        import plotly.graph_objects as go

        return go.Figure(data=self._traces, layout=self._whole)


def validated(chart: Callable[P, ChartSpec]) -> Callable[P, go.Figure]:
    """The same function, giving real figures: for notebooks and files."""

    @wraps(chart)
    def figure(*args: P.args, **options: P.kwargs) -> go.Figure:
        return chart(*args, **options).figure()

    return figure


# What Plotly measures in pixels, besides the size of letters; a colour bar's length and thickness may be shares.
_LENGTHS = ("height", "standoff", "ax", "ay", "xshift", "yshift", "thickness", "xpad", "ypad", "ticklen", "itemwidth")
_SMALLEST = 12  # pixels of a letter, before it is enlarged


def _enlarged(part: Any, by: float, name: str = "", within: str = "") -> Any:
    """A part of a chart, called `name` within another, with its pixels `by` times as many."""
    if isinstance(part, Mapping):
        return {key: _enlarged(each, by, key, name) for key, each in part.items()}
    if isinstance(part, list | tuple):
        return [_enlarged(each, by, name, within) for each in part]
    if isinstance(part, bool) or not isinstance(part, int | float):
        return part
    if name == "size" and within.endswith("font"):
        return by * max(part, _SMALLEST)
    return by * part if name in _LENGTHS or within == "margin" or (name, within) == ("size", "marker") else part


def _merge(into: dict[str, Any], parts: Mapping[str, Any]) -> None:
    for name, part in parts.items():
        if isinstance(part, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], part)
        else:
            into[name] = dict(part) if isinstance(part, Mapping) else part


_FLOATS = {"<f4": "f4", "<f8": "f8"}


def _sent(part: Any) -> Any:
    """A copy in which Plotly's own conversion makes typed arrays of numpy's numbers; arrays of words stay arrays."""
    if isinstance(part, Mapping):
        return {name: _sent(each) for name, each in part.items()}
    if not isinstance(part, np.ndarray):
        return part
    kind = _FLOATS.get(part.dtype.str)
    if kind is not None and part.size:  # as Plotly writes them; it would first look for every library of tables
        sent = {"dtype": kind, "bdata": base64.b64encode(part.tobytes()).decode("ascii")}
        return sent if part.ndim == 1 else {**sent, "shape": ", ".join(map(str, part.shape))}
    from plotly.basedatatypes import convert_to_base64

    held = {"numbers": part}
    convert_to_base64(held)
    return held["numbers"]
