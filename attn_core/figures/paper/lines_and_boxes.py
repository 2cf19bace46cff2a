"""Lines between words, boxes in boxes and tables of bars, as Plotly figures for paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from attn_core.figures.canvas.links import MASKED_LINK
from attn_core.figures.colours import CATEGORIES
from attn_core.figures.html.bar_table import Column
from attn_core.figures.html.vector_arrows import Arrow, points
from attn_core.figures.labels import MONO, escape, phrase, shorten
from attn_core.figures.paper.layout import COLOUR, WIDTH, Header, finished
from attn_core.tolerances import SMALLEST

SHADES = 20  # steps of a line's strength; its weight itself is exact in the table of the picture
ROW = 22


def links(header: Header, body: bytes, view: Mapping[str, Any]) -> go.Figure:
    """Heads as lines between two columns of words, the stronger the line the larger the weight.

    Of a word that was chosen all lines are drawn, and no others; else those that are not below the faintest, which
    the picture says.
    """
    asks, answers = header["sides"]
    n_query, n_key = len(asks["labels"]), len(answers["labels"])
    cells = np.frombuffer(body, "<u2").reshape(len(header["heads"]), n_query, n_key)
    weights = np.where(cells == MASKED_LINK, 0, cells / 65_534)
    side, seen = _seen(view.get("pinned"), (n_query, n_key))
    figure = go.Figure()
    for i, (name, pattern) in enumerate(zip(header["names"], weights, strict=True)):
        one = COLOUR["soft"] if seen is None else COLOUR[side]
        colour = CATEGORIES["light"][i] if len(weights) > 1 else one
        pattern = np.where(seen if seen is not None else pattern >= header["faintest"], pattern, 0)
        for shade in range(SHADES, 0, -1):
            at = np.ceil(np.sqrt(pattern) * SHADES) == shade
            if at.any():
                words = asks["labels"], answers["labels"]
                _lines(figure, at, pattern, name, colour, _style(shade / SHADES, seen is not None), words)
    most = max(n_query, n_key)
    row = min(ROW, 900 / most)
    for x, side, place in ((0, asks, "middle left"), (1, answers, "middle right")):
        _words(figure, x, side, place, min(12, 0.8 * row))
        role = header["roles"][x]
        title = {"size": 12, "color": COLOUR[role]}
        text = phrase(f"{role} {header['captions'][x]}")
        figure.add_annotation(x=x, y=-1.1, text=text, showarrow=False, font=title)
    if seen is None:
        small = {"size": 11, "color": COLOUR["soft"]}
        figure.add_annotation(x=0.5, y=most, text=phrase(header["note"]), showarrow=False, font=small)
    figure.update_xaxes(visible=False, range=[-0.02, 1.02])
    figure.update_yaxes(visible=False, range=[most + 0.5, -1.7])
    figure.update_layout(showlegend=len(weights) > 1, margin={"r": 150})
    return finished(figure, row * (most + 2.8) + 20, bottom=8, top=8, left=150)


def _seen(pinned: Mapping[str, Any] | None, shape: tuple[int, int]) -> tuple[str, np.ndarray | None]:
    """The side of the chosen word, and which lines are its; the queries' side and None without one."""
    if pinned is None:
        return "query", None
    rows, columns = np.indices(shape)
    return pinned["side"], (rows if pinned["side"] == "query" else columns) == pinned["position"]


def _words(figure: go.Figure, x: float, side: Any, place: str, size: float) -> None:
    """A column of words, special tokens dimmed."""
    dim, words = set(side["special"]), side["labels"]
    shades = [COLOUR["soft"] if i in dim else COLOUR["ink"] for i in range(len(words))]
    figure.add_scatter(
        x=[x] * len(words),
        y=list(range(len(words))),
        text=[f" {shorten(word)} " for word in words],
        mode="text",
        textposition=place,
        textfont={"family": MONO, "size": size, "color": shades},
        cliponaxis=False,
        showlegend=False,
        meta="words",
    )


def _lines(
    figure: go.Figure,
    at: np.ndarray,
    weights: np.ndarray,
    name: str,
    colour: str,
    style: tuple[float, float],
    words: Any,
) -> None:
    queries, keys = np.nonzero(at)
    gap = [None] * len(queries)
    ends = {"x": np.array([[0, 1, None]] * len(queries)).ravel(), "y": np.array([queries, keys, gap]).T.ravel()}
    told = [
        [f"{q} {words[0][q]}", f"{k} {words[1][k]}", float(weights[q, k])] for q, k in zip(queries, keys, strict=True)
    ]
    width, opacity = style
    line = {"color": colour, "width": width}
    figure.add_scatter(**ends, mode="lines", line=line, opacity=opacity, name=name, meta={"cells": told})


def _style(root: float, chosen: bool) -> tuple[float, float]:
    """Width and opacity of a line by the root of its weight: as on screen, those of a chosen word stand out."""
    if chosen:
        return 0.6 + 2.6 * root, min(1.0, 1.25 * root)
    return 1.0, 0.5 * min(1.0, 1.6 * root**2 + 0.03)


def boxes(header: Header, body: bytes, view: Mapping[str, Any]) -> go.Figure:
    """Boxes in boxes, each as large as its share of the box around it; the one that was entered fills the picture."""
    nodes = header["nodes"]
    paths: list[str] = []
    for i, (parent, label, *_) in enumerate(nodes):
        above = paths[parent] if i else ""
        paths.append(f"{above}/{label}".strip("/") if i else "")
    ids = [path or "model" for path in paths]
    fills = header["fills"]["light"]
    figure = go.Figure(
        go.Treemap(
            ids=ids,
            labels=[phrase(label) for _, label, *_ in nodes],
            parents=["" if i == 0 else ids[parent] for i, (parent, *_) in enumerate(nodes)],
            values=[count for _, _, count, *_ in nodes],
            branchvalues="total",
            text=[text for *_, text in nodes],
            textinfo="label+text",
            level=view.get("inside") or "model",
            maxdepth=4,
            marker={
                "colors": [fills.get(kind, COLOUR["card"]) for _, _, _, kind, _ in nodes],
                "line": {"width": 1, "color": COLOUR["card"]},
            },
            tiling={"pad": 1},
            pathbar={"visible": bool(view.get("inside"))},
        )
    )
    return finished(figure, 520, bottom=8, top=26 if view.get("inside") else 8, left=8)


def table(labels: Sequence[str], columns: Sequence[Column], head: str = "word") -> go.Figure:
    """A table of bars (`bars.bars`): one row a word, one column a quantity, each number beside its bar."""
    side = 7.4 * max(len(shorten(label, 30)) for label in labels)
    figure = go.Figure()
    for i, column in enumerate(columns):
        _add_column(figure, column, labels, head, (i, len(columns)))
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=[shorten(label, 30).replace("␠", " ") for label in labels],
        tickfont={"family": MONO, "size": 12},
        range=[len(labels) - 0.5, -0.5],
    )
    figure.update_layout(showlegend=False, bargap=0.35, margin={"r": 16})
    return finished(figure, 26 * len(labels) + 50, bottom=10, top=40, left=min(240, round(24 + side)))


def _add_column(figure: go.Figure, column: Column, labels: Sequence[str], head: str, place: tuple[int, int]) -> None:
    """One quantity's bars with their numbers, on an axis of its own; `place` is (which column, of how many)."""
    i, n = place
    name = "" if i == 0 else str(i + 1)
    numbers = np.nan_to_num(np.asarray(column.numbers, dtype=float), neginf=0.0, posinf=0.0)
    most = max(SMALLEST, float(np.abs(numbers).max(initial=0.0)) if column.most is None else column.most)
    figure.add_bar(
        x=np.asarray(column.numbers, dtype=float),
        y=list(range(len(labels))),
        orientation="h",
        xaxis=f"x{name}",
        yaxis="y",
        name=column.title,
        marker={"color": COLOUR.get(column.role, COLOUR["soft"] if column.role == "plain" else COLOUR["accent"])},
        text=[escape(text).replace("␠", " ") for text in column.texts],
        textposition="outside",
        cliponaxis=False,
        textfont={"size": 11},
        meta={"rows": list(labels), "row": head},
    )
    axis = {
        "domain": [(i + 0.04) / n, (i + 0.96) / n],
        "anchor": "y",
        "range": [-1.35 * most if (numbers < 0).any() else 0.0, 1.35 * most],
        "showticklabels": False,
        "side": "top",
        "title": {"text": phrase(column.title), "font": {"size": 12}, "standoff": 4},
    }
    figure.update_layout({f"xaxis{name}": axis})


def to_scale(drawn: Sequence[Arrow]) -> go.Figure:
    """Arrows in one plane (`vectors.arrows`), at their true lengths and angles; each is named with its length."""
    figure = go.Figure()
    for arrow, start, end in zip(drawn, *points(drawn), strict=True):
        colour = COLOUR.get(arrow.role, COLOUR["ink"])
        marker = {"symbol": ["circle", "arrow"], "size": [4, 13], "angleref": "previous"}
        figure.add_scatter(
            x=[start[0], end[0]],
            y=[start[1], end[1]],
            mode="lines+markers",
            name=f"{arrow.name}: {arrow.length:.3g} long, at {arrow.degrees:.0f}°",
            marker={**marker, "color": colour},
            line={"color": colour, "width": 3},
        )
    figure.update_yaxes(visible=False, scaleanchor="x")
    figure.update_xaxes(visible=False)
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}, margin={"r": 40})
    return finished(figure, 330, bottom=24, top=40, left=40)


def strengths(values: np.ndarray) -> go.Figure:
    """Singular values [direction], the strongest first, as standing bars."""
    figure = go.Figure()
    figure.add_bar(
        x=list(range(1, len(values) + 1)), y=values, name="singular value", marker={"color": COLOUR["value"]}
    )
    figure.update_xaxes(title={"text": "direction, strongest first", "standoff": 4})
    figure.update_layout(showlegend=False, bargap=0.25)
    return finished(figure, 260, bottom=52, top=10)


def dot_product(query: np.ndarray, key: np.ndarray, query_name: str, key_name: str) -> go.Figure:
    """The numbers of a query, those of a key, and their products, above each other; the first two on one scale."""
    rows = ((query, "query", query_name), (key, "key", key_name), (query * key, "accent", "product"))
    size = float(np.abs(np.concatenate([query, key])).max(initial=SMALLEST))
    figure = go.Figure()
    for i, (numbers, role, title) in enumerate(rows):
        name = "" if i == 0 else str(i + 1)
        top = size if i < 2 else float(np.abs(numbers).max(initial=SMALLEST))
        figure.add_bar(
            x=list(range(len(numbers))),
            y=numbers,
            name=f"{title} ({role})" if i < 2 else title,
            marker={"color": COLOUR[role]},
            yaxis=f"y{name}",
        )
        axis = {"domain": [1 - (i + 0.92) / 3, 1 - (i + 0.06) / 3], "range": [-1.05 * top, 1.05 * top], "nticks": 3}
        axis |= {"title": {"text": phrase(title)[:18], "font": {"size": 11.5, "color": COLOUR[role]}}}
        figure.update_layout({f"yaxis{name}": axis})
    figure.update_xaxes(title={"text": "number of d_head", "standoff": 4}, anchor="y3")
    figure.update_layout(showlegend=False, bargap=0.25, width=WIDTH)
    made = finished(figure, 360, bottom=52, top=10)
    return made.update_yaxes(zeroline=True, zerolinecolor=COLOUR["line"])
