"""Bars that are a table: one row a word, one column a quantity, each number beside its bar. Arrays in, HTML out.

The HTML takes its colours from the page's stylesheet, by role, so it follows light and dark by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np


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
) -> str:
    """A table of bars as HTML. `marks` gives rows a role ("query", "key", "special") and a word that says why."""
    marks = marks or {}
    titles = "".join(f'<th scope="col">{escape(column.title)}</th>' for column in columns)
    rows = "".join(_row(i, label, columns, marks.get(i)) for i, label in enumerate(labels))
    return (
        f'<table class="hl-bars"><thead><tr><th scope="col">{escape(head)}</th>{titles}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _row(i: int, label: str, columns: Sequence[Column], mark: tuple[str, str] | None) -> str:
    role, why = mark or ("", "")
    said = f"<small>{escape(why)}</small>" if why else ""
    cells = "".join(_cell(column, i) for column in columns)
    return f'<tr class="{role}"><th scope="row">{escape(label)}{said}</th>{cells}</tr>'


def _cell(column: Column, i: int) -> str:
    """Negative bars grow to the left of a middle line, positive ones to the right."""
    numbers = np.nan_to_num(np.asarray(column.numbers, dtype=float), neginf=0.0, posinf=0.0)
    most = max(1e-12, float(np.abs(numbers).max(initial=0.0)) if column.most is None else column.most)
    share = min(1.0, abs(numbers[i]) / most)
    bar = f'<i class="{column.role}" style="width:{100 * share:.2f}%"></i>'
    if (numbers < 0).any():
        halves = (bar, "") if numbers[i] < 0 else ("", bar)
        bar = f'<span class="below">{halves[0]}</span><span class="above">{halves[1]}</span>'
    return f'<td><div><b>{escape(column.texts[i])}</b><span class="track">{bar}</span></div></td>'
