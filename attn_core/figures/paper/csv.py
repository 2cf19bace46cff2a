"""The numbers of a figure as a table: what a saved picture shows can also be read by a program."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.figures import labels

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLUMNS = ["series", "row", "column", "value", "text"]
Row = list[object]


def table(figure: go.Figure, caption: str = "") -> str:
    """Every number that a figure draws as CSV: one line a cell of a matrix, a bar, or a point.

    A point of a scatter has its x as `row` and its y as `value` (in three dimensions y as `column` and z as `value`);
    a masked cell has no value. The caption is the first line's last field.
    """
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow([*COLUMNS, "caption"])
    for i, row in enumerate(
        row for trace in figure.data if not isinstance(trace.meta, str) for row in _rows(figure, trace)
    ):
        lines.writerow([*row, caption if i == 0 else ""])
    return out.getvalue()


def _rows(figure: go.Figure, trace: Any) -> Iterator[Row]:
    if trace.type == "heatmap":
        return _cells(figure, trace)
    if trace.type == "treemap":
        return _boxes(trace)
    return _points(figure, trace) if trace.type in ("bar", "scatter", "scatter3d") else iter(())


def _cells(figure: go.Figure, trace: Any) -> Iterator[Row]:
    about = trace.meta or {}
    name = f"head {about['layer']}.{about['head']}" if "head" in about else _plain(trace.name)
    numbers = np.asarray(trace.z, dtype=float)
    rows = about.get("rows") or _names(figure, trace, "y", numbers.shape[0])
    columns = about.get("columns") or _names(figure, trace, "x", numbers.shape[1])
    for (i, j), number in np.ndenumerate(numbers):
        value: object = "" if np.isnan(number) else float(number)
        if "names" in about and value != "":
            value = about["names"][int(number)]
        said = "" if trace.text is None else _plain(trace.text[i][j])
        yield [name or about.get("value", ""), rows[i], columns[j], value, said]


def _points(figure: go.Figure, trace: Any) -> Iterator[Row]:
    if isinstance(trace.meta, dict) and "cells" in trace.meta:
        yield from ([_plain(trace.name), *cell, ""] for cell in trace.meta["cells"])
        return
    across = trace.orientation == "h" if trace.type == "bar" else False
    places, numbers = (trace.y, trace.x) if across else (trace.x, trace.y)
    if places is None or numbers is None:
        return
    text = trace.text if _is_many(trace.text) else trace.customdata
    text = text if _is_many(text) and isinstance(text[0], str) else None
    names = (trace.meta or {}).get("rows") if isinstance(trace.meta, dict) else None
    names = names or _named(figure, trace, "y" if across else "x", places)
    for i, number in enumerate(numbers):
        said = "" if text is None else _plain(text[i])
        if trace.type == "scatter3d":
            yield [_plain(trace.name), places[i], number, trace.z[i], said]
        elif number is not None and number == number:
            yield [_plain(trace.name), names[i], "", number, said]


def _is_many(text: Any) -> bool:
    return isinstance(text, Sequence | np.ndarray) and not isinstance(text, str) and len(text) > 0


def _boxes(trace: Any) -> Iterator[Row]:
    for path, label, parent, count in zip(trace.ids, trace.labels, trace.parents, trace.values, strict=True):
        yield [_plain(label), path, parent, int(count), ""]


def _names(figure: go.Figure, trace: Any, letter: str, count: int) -> list[object]:
    given = trace[letter]
    return _named(figure, trace, letter, range(count) if given is None else given)


def _named(figure: go.Figure, trace: Any, letter: str, places: Any) -> list[object]:
    """Places along an axis by the words that stand there; the place itself where there is none."""
    if trace.type == "scatter3d":
        return list(places)
    axis = figure.layout[(trace[f"{letter}axis"] or letter).replace(letter, f"{letter}axis", 1)]
    words = {}
    if axis.tickvals is not None and axis.ticktext is not None:
        words = dict(zip(axis.tickvals, map(_plain, axis.ticktext), strict=False))
    return [words.get(place, place) if not isinstance(place, str) else _plain(place) for place in places]


def _plain(text: Any) -> str:
    """Plotly's text as a person reads it."""
    return labels.unescaped(str(text).replace("<br>", ", ")) if text else ""
