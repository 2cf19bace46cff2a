"""Bars that are a table: one row a word, one column a quantity, each number beside its bar. Arrays in, HTML out.

The HTML takes its colours from the page's stylesheet, by role, so it follows light and dark by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from attn_core.tolerances import SMALLEST


@dataclass(frozen=True)
class Column:
    """One quantity: its title, a number and a text a row, and the role that colours its bars.

    Bars are as long as a number's share of `most`, the largest by default.
    """

    title: str
    numbers: Sequence[float] | np.ndarray
    texts: Sequence[str]
    role: str = "weight"
    most: float | None = None


def bars(
    labels: Sequence[str],
    columns: Sequence[Column],
    *,
    head: str = "word",
    marks: dict[int, tuple[str, str]] | None = None,
) -> Markup:
    """A table of bars as HTML. `marks` gives rows a role ("query", "key", "special") and a word that says why."""
    marks = marks or {}
    titles = Markup("").join(Markup('<th scope="col">{}</th>').format(column.title) for column in columns)
    rows = Markup("").join(_row(i, label, columns, marks.get(i)) for i, label in enumerate(labels))
    table = '<table class="hl-bars"><thead><tr><th scope="col">{}</th>{}</tr></thead><tbody>{}</tbody></table>'
    return Markup(table).format(head, titles, rows)


def _row(i: int, label: str, columns: Sequence[Column], mark: tuple[str, str] | None) -> Markup:
    role, why = mark or ("", "")
    said = Markup("<small>{}</small>").format(why) if why else ""
    cells = Markup("").join(_cell(column, i) for column in columns)
    return Markup('<tr class="{}"><th scope="row">{}{}</th>{}</tr>').format(role, label, said, cells)


def _cell(column: Column, i: int) -> Markup:
    """Negative bars grow to the left of a middle line, positive ones to the right."""
    numbers = np.nan_to_num(np.asarray(column.numbers, dtype=float), neginf=0.0, posinf=0.0)
    most = max(SMALLEST, float(np.abs(numbers).max(initial=0.0)) if column.most is None else column.most)
    share = min(1.0, abs(numbers[i]) / most)
    bar = Markup('<i class="{}" style="width:{:.2f}%"></i>').format(column.role, 100 * share)
    if (numbers < 0).any():
        halves = (bar, "") if numbers[i] < 0 else ("", bar)
        bar = Markup('<span class="below">{}</span><span class="above">{}</span>').format(*halves)
    return Markup('<td><div><b>{}</b><span class="track">{}</span></div></td>').format(column.texts[i], bar)
