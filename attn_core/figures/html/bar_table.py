"""Bars that are a table: one row a word, one column a quantity, each number beside its bar. Arrays in, HTML out.

The HTML takes its colours from the page's stylesheet, by role, so it follows light and dark by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from attn_core.text.decoding import with_name
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
    cells = [_cells(column) for column in columns]  # [column][row]
    rows = Markup("").join(_row(label, [own[i] for own in cells], marks.get(i)) for i, label in enumerate(labels))
    table = '<table class="hl-bars"><thead><tr><th scope="col">{}</th>{}</tr></thead><tbody>{}</tbody></table>'
    return Markup(table).format(head, titles, rows)


def _row(label: str, cells: Sequence[Markup], mark: tuple[str, str] | None) -> Markup:
    role, why = mark or ("", "")
    said = Markup("<small>{}</small>").format(why) if why else ""
    row = Markup('<tr class="{}"><th scope="row">{}{}</th>{}</tr>')
    return row.format(role, with_name(label), said, Markup("").join(cells))


def _cells(column: Column) -> list[Markup]:
    """A column's cells; negative bars grow to the left of a middle line, positive ones to the right."""
    numbers = np.nan_to_num(np.asarray(column.numbers, dtype=float), neginf=0.0, posinf=0.0)
    most = max(SMALLEST, float(np.abs(numbers).max(initial=0.0)) if column.most is None else column.most)
    two_sided = bool((numbers < 0).any())
    return [_cell(float(n), column.texts[i], column.role, most, two_sided) for i, n in enumerate(numbers)]


def _cell(number: float, text: str, role: str, most: float, two_sided: bool) -> Markup:
    bar = Markup('<i class="{}" style="width:{:.2f}%"></i>').format(role, 100 * min(1.0, abs(number) / most))
    if two_sided:
        halves = (bar, "") if number < 0 else ("", bar)
        bar = Markup('<span class="below">{}</span><span class="above">{}</span>').format(*halves)
    return Markup('<td><div><b>{}</b><span class="track">{}</span></div></td>').format(text, bar)
