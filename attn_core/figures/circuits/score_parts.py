"""Pictures of one score in parts: writers of the query × writers of the key, and the largest pairs as links."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.circuits.signed_cells import add_cells, write_numbers
from attn_core.figures.colours import Theme, diverging, roles
from attn_core.figures.labels import phrase, shorten
from attn_core.text.numbers import hundredths, signed
from attn_core.tolerances import CANCELLED

Array = NDArray[np.floating]
MOST_NUMBERS = 14  # of rows and of columns: in more of them a number has no room
NARROW = 13  # characters of a writer's name that have room beside the lines on a phone
Link = tuple[str, str, float]  # who wrote the query, who wrote the key, how much that is of the score


def writer_matrix(
    query_names: Sequence[str], key_names: Sequence[str], matrix: Array, *, query: str, key: str, theme: Theme
) -> ChartSpec:
    """Parts of a score [query writer, key writer], blue where they pull it down; `query`, `key` are the two words."""
    role, limit = roles(theme), float(np.abs(matrix).max()) or 1.0
    chart = ChartSpec(theme, height=130 + max(26, 34 if len(query_names) < 9 else 22) * len(query_names))
    texts = np.array([[signed(_number(float(x), limit)) for x in row] for row in matrix], dtype=object)
    add_cells(
        chart,
        matrix,
        limit,
        theme=theme,
        xgap=1,
        ygap=1,
        customdata=[[[phrase(a), phrase(b)] for b in key_names] for a in query_names],
        text=texts,
        hovertemplate="%{customdata[0]} in the query × %{customdata[1]} in the key: <b>%{text}</b><extra></extra>",
    )
    if max(matrix.shape) <= MOST_NUMBERS:
        write_numbers(chart, matrix, limit, hundredths, size=10.5, theme=theme)
    chart.lay_out(
        margin={"t": 8, "l": 8, "r": 8, "b": 8},
        xaxis={
            **_writers_axis(key_names, key, "key", role["key"]),
            "autotickangles": [0, -45, -90],  # a turned name ends below its column: none is cut at the right edge
        },
        yaxis={**_writers_axis(query_names, query, "query", role["query"]), "autorange": "reversed"},
    )
    return chart


def _writers_axis(names: Sequence[str], word: str, side: str, colour: str) -> dict[str, Any]:
    return {
        "title": {"text": f"who wrote {phrase(shorten(word))} ({side})", "font": {"color": colour}},
        "tickvals": list(range(len(names))),
        "ticktext": [phrase(name) for name in names],
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }


def _number(part: float, limit: float) -> float:
    """A part as it is written: what float64 leaves of numbers that cancel exactly is 0."""
    return 0.0 if abs(part) < CANCELLED * limit else float(part)


def _in_two_lines(name: str) -> str:
    """A writer's name in at most two lines of about the same length, for a narrow picture."""
    width = max(NARROW, len(name) // 2 + 3)
    return "<br>".join(phrase(line) for line in textwrap.wrap(name, width, break_long_words=False))


def pair_links(links: Sequence[Link], *, query: str, key: str, theme: Theme) -> ChartSpec:
    """The largest pairs as lines between the writers of two words: as wide as they are large, coloured by sign."""
    role, steps = roles(theme), [colour for _, colour in diverging(theme)]
    left, right = list(dict.fromkeys(a for a, _, _ in links)), list(dict.fromkeys(b for _, b, _ in links))
    rows = max(len(left), len(right), 1)
    limit = max([abs(part) for *_, part in links], default=1.0)
    chart = ChartSpec(theme, height=70 + 30 * rows)
    heights = [
        {name: (i + 0.5) * rows / len(names) for i, name in enumerate(names)} for names in (left, right)
    ]  # each side spread over the whole height
    for a, b, part in sorted(links, key=lambda link: abs(link[2])):
        chart.add(
            "scatter",
            x=[0, 0.5, 1],
            y=[heights[0][a], (heights[0][a] + heights[1][b]) / 2, heights[1][b]],
            mode="lines",
            line={"color": steps[-2] if part > 0 else steps[1], "width": 1 + 9 * abs(part) / limit},
            text=f"{phrase(a)} × {phrase(b)}: <b>{signed(part)}</b>",
            hoverinfo="text",
        )
    for names, at, side in ((left, 0, "right"), (right, 1, "left")):
        for name in names:
            where = {"x": at, "y": heights[at][name], "xanchor": side, "xshift": -8 if at == 0 else 8}
            chart.add_annotation(text=_in_two_lines(name), showarrow=False, **where)
    for word, at, colour in ((query, 0, "query"), (key, 1, "key")):
        font = {"color": role[colour], "size": 14}
        chart.add_annotation(x=at, y=-0.2, text=f"<b>{phrase(shorten(word))}</b>", showarrow=False, font=font)
    hidden = {"visible": False, "fixedrange": True}
    chart.lay_out(
        margin={"t": 8, "l": 8, "r": 8, "b": 8},
        showlegend=False,
        hovermode="closest",
        xaxis={**hidden, "range": [-0.75, 1.75]},
        yaxis={**hidden, "range": [rows + 0.2, -0.7]},
    )
    return chart
