"""All heads as figures for paper: a tile a head, one number a head, or its kind. `figures.paper.draw` calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from attn_core.figures.canvas.heads import MASKED
from attn_core.figures.colours import DIVERGING, SEQUENTIAL, ink_on, shade
from attn_core.figures.labels import escape, phrase, ticks
from attn_core.figures.paper.layout import COLOUR, LEFT, RIGHT, TOP, WIDTH, Header, colour_bar, finished, said

MOST_WRITTEN = 24  # heads beside each other that leave room for a number in each square


def values(header: Header, body: bytes, view: Mapping[str, Any]) -> go.Figure:
    """One number a head, layers × heads; the number stands in its square where there is room."""
    numbers = np.array(header["values"], dtype=float)
    bar = header["bar"]
    figure = go.Figure(
        go.Heatmap(
            z=numbers,
            xgap=2,
            ygap=2,
            text=header["texts"],
            meta=said(bar["titles"]["linear"], "layer", "head", range(len(numbers)), range(numbers.shape[1])),
            **colour_bar(bar),
        )
    )
    if numbers.shape[1] <= MOST_WRITTEN:
        steps = (DIVERGING if bar["signed"] else SEQUENTIAL)["light"]
        low, high = bar["domain"]
        fills = [shade(steps, (number - low) / (high - low)) for number in numbers.ravel()]
        _write(figure, header["texts"], [ink_on(fill) for fill in fills], size=10)
    height = _layers_by_heads(figure, *numbers.shape)
    return _chosen(finished(figure, height + 56, bottom=64), view)


def kinds(header: Header, body: bytes, view: Mapping[str, Any]) -> go.Figure:
    """The kind of every head, by colour and by letters; what is no kind stays grey."""
    grid = np.array(header["kinds"], dtype=object)
    *named, other = header["legend"]
    entries = {entry["name"]: entry for entry in named}
    entries |= {name: other for name in dict.fromkeys(grid.ravel()) if name not in entries}
    fills = [entry["fills"]["light"] for entry in entries.values()]
    steps = [(at / len(fills), fill) for i, fill in enumerate(fills) for at in (i, i + 1)]
    names = list(entries)
    figure = go.Figure(
        go.Heatmap(
            z=np.vectorize(names.index)(grid),
            zmin=-0.5,
            zmax=len(names) - 0.5,
            colorscale=steps,
            showscale=False,
            xgap=2,
            ygap=2,
            meta={**said("kind", "layer", "head", range(len(grid)), range(grid.shape[1])), "names": names},
        )
    )
    shown = [[entries[name] for name in row] for row in grid]
    inks = [ink_on(entry["fills"]["light"]) for row in shown for entry in row]
    _write(figure, [[entry["letters"] for entry in row] for row in shown], inks, size=11)
    height = _layers_by_heads(figure, *grid.shape)
    present = [entry for entry in header["legend"] if any(entry in row for row in shown)]
    for entry in present:
        mark = {"symbol": "square", "size": 11, "color": entry["fills"]["light"]}
        text = phrase(f"{entry['letters']} {entry['says']}")
        figure.add_scatter(x=[None], y=[None], mode="markers", name=text, marker=mark)
    figure.update_layout(showlegend=True, legend={"x": 0, "y": 0, "yanchor": "top", "font": {"size": 11.5}})
    below = 16 + 19 * len(present)
    return _chosen(finished(figure, height + below, bottom=below), view)


def _write(figure: go.Figure, texts: Sequence[Sequence[str]], inks: Sequence[str], size: float) -> None:
    """A word in the middle of every square, in an ink that can be read on it."""
    layers, heads = np.indices(np.shape(texts))
    figure.add_scatter(
        x=heads.ravel(),
        y=layers.ravel(),
        text=[escape(text) for row in texts for text in row],
        mode="text",
        textfont={"size": size, "color": list(inks)},
        showlegend=False,
        meta="words",
    )


def overview(header: Header, body: bytes, view: Mapping[str, Any]) -> go.Figure:
    """Every head's pattern as a tile of one large grid, on one scale; masked cells are grey, never the colour of 0."""
    n_layers, n_heads, pool = header["layers"], header["heads"], header["pool"]
    n_query, n_key = -(-header["queries"] // pool), -(-header["keys"] // pool)
    tiles = np.frombuffer(body, np.uint8).reshape(n_layers, n_heads, n_query, n_key)
    weights = np.where(tiles == MASKED, np.nan, (tiles / 254.0) ** 2)
    x, y = (_places(n_heads, n_key), _places(n_layers, n_query))
    flat = weights.transpose(0, 2, 1, 3).reshape(n_layers * n_query, n_heads * n_key)
    masked = np.where(np.isnan(flat), 1.0, np.nan)
    scale = view.get("scale", "sqrt")
    figure = go.Figure()
    for block in _tiles(n_layers, n_heads, n_query, n_key):
        rows, columns = block
        place = {"x": x[columns], "y": y[rows]}
        if not np.isnan(masked[rows, columns]).all():
            grey = [[0, COLOUR["masked"]], [1, COLOUR["masked"]]]
            figure.add_heatmap(z=masked[rows, columns], colorscale=grey, showscale=False, meta="masked", **place)
        layer, head = rows.start // n_query, columns.start // n_key
        figure.add_heatmap(
            z=flat[rows, columns].astype(np.float32),
            showscale=layer == head == 0,
            **colour_bar(header["bar"], scale),
            meta=said("weight", "query", "key", *_labels(header, pool)) | {"layer": layer, "head": head},
            **place,
        )
    height = _layers_by_heads(figure, n_layers, n_heads)
    if header["second"] is not None:
        _second(figure, header["second"], (header["queries"], header["keys"]), n_layers, n_heads)
    return _chosen(finished(figure, height + 56, bottom=64), view)


def _second(figure: go.Figure, at: Sequence[int], size: tuple[int, int], n_layers: int, n_heads: int) -> None:
    """A line in every tile where the second segment of a pair begins, down and across: one trace for all of them."""
    (down, across) = (0.92 * part / whole - 0.46 for part, whole in zip(at, size, strict=True))
    x: list[float | None] = []
    y: list[float | None] = []
    for layer, head in np.ndindex(n_layers, n_heads):
        x += [head - 0.46, head + 0.46, None, head + across, head + across, None]
        y += [layer + down, layer + down, None, layer - 0.46, layer + 0.46, None]
    line = {"color": COLOUR["ink"], "width": 0.5}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, showlegend=False, hoverinfo="skip", meta="segments")


def _tiles(n_layers: int, n_heads: int, n_query: int, n_key: int) -> list[tuple[slice, slice]]:
    return [
        (slice(i * n_query, (i + 1) * n_query), slice(j * n_key, (j + 1) * n_key))
        for i in range(n_layers)
        for j in range(n_heads)
    ]


def _places(tiles: int, cells: int) -> np.ndarray:
    """The middles of all cells along one side, where a tile is 1 wide and leaves a gap to the next."""
    inside = (np.arange(cells) + 0.5) / cells * 0.92 - 0.46
    return (np.arange(tiles)[:, None] + inside).ravel()


def _labels(header: Header, pool: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """Full names of a tile's rows and columns; where cells are pooled, of the first of each."""
    asks = header["query_labels"]
    answers = header["key_labels"] or asks
    return [f"{i} {asks[i]}" for i in range(0, len(asks), pool)], [
        f"{i} {answers[i]}" for i in range(0, len(answers), pool)
    ]


def _layers_by_heads(figure: go.Figure, n_layers: int, n_heads: int) -> int:
    """Axes for layers down and heads across, on squares; gives the height without what comes below."""
    side = min(58.0, (WIDTH - LEFT - RIGHT) / n_heads)
    for update, count, name in ((figure.update_yaxes, n_layers, "layer"), (figure.update_xaxes, n_heads, "head")):
        at, words = ticks([str(i) for i in range(count)], most=40)
        update(tickvals=at, ticktext=words, title={"text": name, "standoff": 6}, range=[-0.5, count - 0.5])
    figure.update_yaxes(range=[n_layers - 0.5, -0.5])
    figure.update_xaxes(side="top")
    figure.update_layout(margin={"r": max(RIGHT, WIDTH - LEFT - side * n_heads)})
    return round(TOP + side * n_layers)


def _chosen(figure: go.Figure, view: Mapping[str, Any]) -> go.Figure:
    """A frame around the opened head."""
    if view.get("selected"):
        layer, head = view["selected"]
        line = {"color": COLOUR["accent"], "width": 2.5}
        figure.add_shape(type="rect", x0=head - 0.5, x1=head + 0.5, y0=layer - 0.5, y1=layer + 0.5, line=line)
    return figure
