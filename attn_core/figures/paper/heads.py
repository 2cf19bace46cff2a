"""All heads as figures for paper: a tile a head, one number a head, or its kind. `figures.paper.draw` calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from attn_core.figures.canvas.heads import MASKED
from attn_core.figures.colours import CATEGORIES, diverging, sequential
from attn_core.figures.labels import phrase, ticks
from attn_core.figures.paper.layout import COLOUR, LEFT, RIGHT, TOP, WIDTH, Header, bar, finished, said
from attn_core.text.numbers import MINUS


def values(header: Header, body: bytes, view: Mapping[str, Any]) -> go.Figure:
    """One number a head, layers × heads; the number stands in its square where there is room."""
    numbers = np.array(header["values"], dtype=float)
    most = float(np.abs(numbers).max(initial=0.0)) or 1.0
    scale = diverging("light") if header["signed"] else sequential("light")
    figure = go.Figure(
        go.Heatmap(
            z=numbers,
            zmin=-most if header["signed"] else 0,
            zmax=most,
            colorscale=scale,
            xgap=2,
            ygap=2,
            colorbar=bar(header["name"]) | _ends(numbers, header["texts"], most, header["signed"]),
            meta=said(header["name"], "layer", "head", range(len(numbers)), range(numbers.shape[1])),
        )
    )
    if numbers.shape[1] <= 24:
        figure.update_traces(text=header["texts"], texttemplate="%{text}", textfont={"size": 10})
    height = _layers_by_heads(figure, *numbers.shape)
    return _chosen(finished(figure, height + 56, bottom=64), view)


def _ends(numbers: np.ndarray, texts: Sequence[Sequence[str]], most: float, signed: bool) -> dict[str, Any]:
    """The ends of the colours, in the unit that the squares are read in; nothing where the largest has no number."""
    layer, head = np.unravel_index(np.abs(numbers).argmax(), numbers.shape)
    size = texts[layer][head].lstrip(f"+-{MINUS}")
    if not size[:1].isdigit():
        return {}
    if signed:
        return {"tickvals": [-most, 0, most], "ticktext": [f"{MINUS}{size}", "0", f"+{size}"]}
    return {"tickvals": [0, most], "ticktext": ["0", size]}


def kinds(header: Header, body: bytes, view: Mapping[str, Any]) -> go.Figure:
    """The kind of every head, by colour and by its name's first letters; what is no kind stays grey."""
    meanings = header["meanings"]
    grid = np.array(header["kinds"], dtype=object)
    names = [*meanings, *(name for name in dict.fromkeys(grid.ravel()) if name not in meanings)]
    fills = [CATEGORIES["light"][i] if name in meanings else COLOUR["line"] for i, name in enumerate(names)]
    steps = [(at / len(names), fill) for i, fill in enumerate(fills) for at in (i, i + 1)]
    figure = go.Figure(
        go.Heatmap(
            z=np.vectorize(names.index)(grid),
            zmin=-0.5,
            zmax=len(names) - 0.5,
            colorscale=steps,
            showscale=False,
            xgap=2,
            ygap=2,
            opacity=0.75,
            text=[["" if name not in meanings else letters(name) for name in row] for row in grid],
            texttemplate="%{text}",
            textfont={"size": 11, "color": COLOUR["ink"]},
            meta={**said("kind", "layer", "head", range(len(grid)), range(grid.shape[1])), "names": names},
        )
    )
    height = _layers_by_heads(figure, *grid.shape)
    present = [name for name in names if name in grid]
    for name in present:
        told = f"{letters(name)} · {name}: {meanings[name]}" if name in meanings else name
        mark = {"symbol": "square", "size": 11, "color": fills[names.index(name)], "opacity": 0.75}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=phrase(told), marker=mark)
    figure.update_layout(showlegend=True, legend={"x": 0, "y": 0, "yanchor": "top", "font": {"size": 11.5}})
    below = 16 + 19 * len(present)
    return _chosen(finished(figure, height + below, bottom=below), view)


def letters(name: str) -> str:
    """The first letters of a kind's words: "previous token" is PT."""
    return "".join(word[0] for word in name.split()).upper()


def overview(header: Header, body: bytes, view: Mapping[str, Any]) -> go.Figure:
    """Every head's pattern as a tile of one large grid, on one scale; masked cells are grey, never the colour of 0."""
    n_layers, n_heads, pool = header["layers"], header["heads"], header["pool"]
    n_query, n_key = -(-header["queries"] // pool), -(-header["keys"] // pool)
    tiles = np.frombuffer(body, np.uint8).reshape(n_layers, n_heads, n_query, n_key)
    weights = np.where(tiles == MASKED, np.nan, (tiles / 254.0) ** 2)
    x, y = (_places(n_heads, n_key), _places(n_layers, n_query))
    flat = weights.transpose(0, 2, 1, 3).reshape(n_layers * n_query, n_heads * n_key)
    hidden = np.where(np.isnan(flat), 1.0, np.nan)
    scale = view.get("scale", "sqrt")
    figure = go.Figure()
    for block in _tiles(n_layers, n_heads, n_query, n_key):
        rows, columns = block
        place = {"x": x[columns], "y": y[rows]}
        if not np.isnan(hidden[rows, columns]).all():
            grey = [[0, COLOUR["masked"]], [1, COLOUR["masked"]]]
            figure.add_heatmap(z=hidden[rows, columns], colorscale=grey, showscale=False, meta="masked", **place)
        layer, head = rows.start // n_query, columns.start // n_key
        figure.add_heatmap(
            z=flat[rows, columns].astype(np.float32),
            zmin=0,
            zmax=1,
            colorscale=sequential("light", scale),
            showscale=layer == head == 0,
            colorbar=bar(f"weight, {'√' if scale == 'sqrt' else 'linear'} scale", percent=True),
            meta=said("weight", "query", "key", *_labels(header, pool)) | {"layer": layer, "head": head},
            **place,
        )
    height = _layers_by_heads(figure, n_layers, n_heads)
    return _chosen(finished(figure, height + 56, bottom=64), view)


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
