"""Patterns side by side on one scale, and matrices of any numbers, as Plotly figures for paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from attn_core.figures.labels import phrase, shorten, ticks
from attn_core.figures.paper.layout import COLOUR, WIDTH, Header, colour_bar, finished, said, tokens

LETTER = 6.4  # pixels of a letter of a tick, on average
ACROSS = 2  # panels beside each other
MOST_TICKS = 24


def panels(header: Header, body: bytes, view: Mapping[str, Any]) -> go.Figure:
    """One to five patterns on the same axes, weights on [0, 1], differences on one scale of their own."""
    shown, pool = header["panels"], header["pool"]
    shape = -(-header["queries"] // pool), -(-header["keys"] // pool)
    cells = np.frombuffer(body, "<f4").reshape(len(shown), *shape)
    across = min(ACROSS, len(shown))
    down = -(-len(shown) // across)
    grid = _Grid(across, down, shown, shape)
    figure = go.Figure()
    for i, (panel, numbers) in enumerate(zip(shown, cells, strict=True)):
        _panel(figure, i, panel, numbers, header, view.get("scale", "sqrt"), grid)
    if view.get("query") is not None:
        _rows(figure, len(shown), int(view["query"]) // pool, shape[1])
    for query, key in view.get("painted") or ():
        box = {"x0": key - 0.5, "x1": key + 0.5, "y0": query - 0.5, "y1": query + 0.5}
        figure.add_shape(type="rect", line={"color": COLOUR["accent"], "width": 2.5}, **box)
    figure.update_layout(margin={"r": grid.right})
    return finished(figure, grid.height, bottom=grid.bottom, top=grid.top, left=grid.left)


class _Grid:
    """Where panels stand, in pixels: square cells, and between panels room for words and titles."""

    def __init__(self, across: int, down: int, shown: list[Any], shape: tuple[int, int]) -> None:
        self.across, self.down = across, down
        side = LETTER * max(len(shorten(word or "–")) for panel in shown for word in panel["query_labels"])
        lean = LETTER * max(len(shorten(word or "–")) for panel in shown for word in panel["key_labels"])
        self.left, self.right = round(40 + side), 24
        self.head = round(78 + 0.85 * lean)  # a panel's title, its note and its slanted words
        self.top, self.bottom = self.head, 66
        between = self.left if across > 1 else 0
        self.wide = (WIDTH - self.left - self.right - between * (across - 1)) / across
        cell = min(self.wide / shape[1], 30.0)
        self.wide, self.tall = cell * shape[1], min(cell * shape[0], 620.0)
        self.right = round(WIDTH - self.left - self.wide * across - between * (across - 1))
        self.between = between
        self.inside = self.tall * down + self.head * (down - 1)
        self.height = self.inside + self.top + self.bottom

    def domain(self, i: int) -> tuple[list[float], list[float]]:
        """A panel's part of the plot, across and up."""
        row, column = divmod(i, self.across)
        whole = self.wide * self.across + self.between * (self.across - 1)
        x, y = column * (self.wide + self.between), row * (self.tall + self.head)
        return [x / whole, (x + self.wide) / whole], [1 - (y + self.tall) / self.inside, 1 - y / self.inside]


def _panel(figure: go.Figure, i: int, panel: Any, numbers: np.ndarray, header: Header, scale: Any, grid: _Grid) -> None:
    name = "" if i == 0 else str(i + 1)
    is_first = i == [p["signed"] for p in header["panels"]].index(panel["signed"])
    what = "difference" if panel["signed"] else "weight"
    colours = colour_bar(header["bars"][what], scale)
    colours["colorbar"] |= {"x": 0.55 if panel["signed"] else 0, "len": 0.4}
    asks, answers = (_places(panel[f"{side}_labels"], header["pool"]) for side in SIDES)
    figure.add_heatmap(
        z=np.where(np.isfinite(numbers), numbers, np.nan),
        showscale=is_first,
        **colours,
        xaxis=f"x{name}",
        yaxis=f"y{name}",
        name=panel["title"],
        meta=said(what, "query", "key", asks, answers),
    )
    if panel["second"] is not None:
        _between(figure, panel["second"], numbers.shape, False, name)
    x, y = grid.domain(i)
    masked = ~np.isfinite(numbers)
    if masked.any():
        _masked(figure, masked, name)
    figure.update_layout(_panel_axes(i, name, panel, numbers.shape, grid))
    told = " · ".join(filter(None, (panel["note"], header["pooled"])))
    note = f"<br><span style='font-size:10.5px'>{phrase(told)}</span>" if told else ""
    figure.add_annotation(
        text=f"<b>{phrase(panel['title'])}</b>{note}", x=x[0], y=y[1], xref="paper", yref="paper", xanchor="left",
        yanchor="bottom", yshift=grid.head - 44, xshift=8 - grid.left, align="left", showarrow=False,
    )  # fmt: skip


def _panel_axes(i: int, name: str, panel: Any, shape: tuple[int, ...], grid: _Grid) -> dict[str, Any]:
    """Its words: keys along the top, queries down the side, as many as there is room for."""
    x, y = grid.domain(i)
    most = min(MOST_TICKS, max(4, int(grid.wide / 13)))
    asking = "query (asks)" if i % grid.across == 0 else " "
    down = tokens(asking, panel["query_labels"], panel["query_special"], COLOUR["query"], most, grid.left - 24)
    along = tokens("key (answers)", panel["key_labels"], panel["key_special"], COLOUR["key"], most, grid.head - 68)
    n_query, n_key = shape
    return {
        f"xaxis{name}": {**along, "domain": x, "anchor": f"y{name}", "side": "top", "tickangle": -56}
        | {"range": [-0.5, n_key - 0.5]},
        f"yaxis{name}": {**down, "domain": y, "anchor": f"x{name}", "range": [n_query - 0.5, -0.5]},
    }


SIDES = ("query", "key")


def _places(labels: list[str | None], pool: int) -> list[str]:
    """Full names of rows or columns, "4 creature"; where words share a cell, of the first of each."""
    return [f"{at * pool} {word or ''}" for at, word in enumerate(labels)]


def _masked(figure: go.Figure, masked: np.ndarray, name: str) -> None:
    """Cells that do not exist or may not be looked at: grey, which no weight and no difference is."""
    grey = [[0, COLOUR["masked"]], [1, COLOUR["masked"]]]
    z = np.where(masked, 1.0, np.nan)
    figure.add_heatmap(
        z=z, colorscale=grey, opacity=0.6, showscale=False, xaxis=f"x{name}", yaxis=f"y{name}", meta="masked"
    )


def _rows(figure: go.Figure, count: int, query: int, n_key: int) -> None:
    """A frame around the chosen query's row in every panel."""
    for i in range(count):
        name = "" if i == 0 else str(i + 1)
        line = {"color": COLOUR["query"], "width": 2}
        box = {"x0": -0.5, "x1": n_key - 0.5, "y0": query - 0.5, "y1": query + 0.5}
        figure.add_shape(type="rect", xref=f"x{name}", yref=f"y{name}", line=line, **box)


def matrix(header: Header, body: bytes, view: Mapping[str, Any]) -> go.Figure:
    """A matrix with the names of its rows and columns: vectors as strips, or a grid of pairs."""
    shape = tuple(header["shape"])
    numbers = np.frombuffer(body, "<f4").reshape(shape)
    rows, columns = header["rows"], header["columns"]
    if header["turned"]:
        numbers, rows, columns = numbers.T, columns, rows
    masked = ~np.isfinite(numbers)
    figure = go.Figure(
        go.Heatmap(
            z=np.where(masked, np.nan, numbers),
            showscale=header["legend"],
            **colour_bar(header["bar"], header["scale"]),
            meta=said(
                "value",
                rows["name"] or "row",
                columns["name"] or "number",
                *map(_names, (rows, columns), numbers.shape),
            ),
        )
    )
    if masked.any():
        _masked(figure, masked, "")
    side = LETTER * max((len(shorten(word)) for word in rows["texts"]), default=0)
    lean = LETTER * max((len(shorten(word)) for word in columns["texts"]), default=2)
    left, top = round(40 + side), round(34 + 0.85 * lean)
    cell = min(34.0, (WIDTH - left - 16) / numbers.shape[1]) if header["square"] else 20.0
    tall = min(640.0, max(numbers.shape[0] * cell, 24))
    _axis(figure.update_yaxes, rows, numbers.shape[0], down=True)
    _axis(figure.update_xaxes, columns, numbers.shape[1], down=False)
    if header["square"]:
        figure.update_layout(margin={"r": WIDTH - left - cell * numbers.shape[1]})
    _frame(figure, header)
    if header["segments"] is not None:
        _between(figure, header["segments"]["at"], header["shape"], header["turned"])
    below = 62 if header["legend"] else 12
    return finished(figure, tall + top + below, bottom=below, top=top, left=left)


def _between(figure: go.Figure, at: Sequence[float], shape: Sequence[int], turned: bool, name: str = "") -> None:
    """A line between the two segments of a pair, across and down."""
    (row, column), (n_rows, n_columns) = at, shape
    down, across, tall, wide = (column, row, n_columns, n_rows) if turned else (row, column, n_rows, n_columns)
    for ends in (
        {"x0": -0.5, "x1": wide - 0.5, "y0": down - 0.5, "y1": down - 0.5},
        {"x0": across - 0.5, "x1": across - 0.5, "y0": -0.5, "y1": tall - 0.5},
    ):
        axes = {"xref": f"x{name}", "yref": f"y{name}"}
        figure.add_shape(type="line", line={"color": COLOUR["ink"], "width": 1}, **ends, **axes)


def _names(side: Any, count: int) -> list[str]:
    """Full names of all rows or columns; numbers where nobody named them."""
    if not side["texts"]:
        return [str(i) for i in range(count)]
    return [f"{side['first'] + i} {word}" if side["name"] else word for i, word in enumerate(side["texts"])]


def _axis(update: Any, side: Any, count: int, *, down: bool) -> None:
    span = [count - 0.5, -0.5] if down else [-0.5, count - 0.5]
    colour = COLOUR.get(side["role"], COLOUR["ink"])
    if side["texts"]:
        long = LETTER * max(len(shorten(word)) for word in side["texts"])
        far = 10 + (long if down else 0.85 * long)
        found = tokens(side["name"], side["texts"], side["special"], colour, 40, far)
    else:
        at, words = ticks([str(i) for i in range(count)])
        found = {"tickvals": at, "ticktext": words, "tickfont": {"size": 10}}
    update(range=span, **found, **({} if down else {"side": "top", "tickangle": -56 if side["texts"] else 0}))


def _frame(figure: go.Figure, header: Header) -> None:
    """The chosen row, a column where the rows run along the top, and the chosen cell."""
    (row, column), turned = header["chosen"], header["turned"]
    if row < 0:
        return
    _box(
        figure, row, (-0.5, header["shape"][1] - 0.5), turned, COLOUR.get(header["rows"]["role"], COLOUR["accent"]), 1.5
    )
    if column >= 0:
        _box(figure, row, (column - 0.5, column + 0.5), turned, COLOUR["accent"], 2.5)


def _box(figure: go.Figure, row: int, along: tuple[float, float], turned: bool, colour: str, width: float) -> None:
    """A frame around a part of one row of the packet."""
    thick = (row - 0.5, row + 0.5)
    x, y = (thick, along) if turned else (along, thick)
    figure.add_shape(type="rect", x0=x[0], x1=x[1], y0=y[0], y1=y[1], line={"color": colour, "width": width})
