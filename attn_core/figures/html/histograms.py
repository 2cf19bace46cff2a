"""Histograms under each other, a table with one silhouette a row: how widely numbers spread, and how that changes.

Arrays in, HTML out; the silhouettes are cut out of coloured boxes, and take their colours from the page's stylesheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

BINS = 41


@dataclass(frozen=True)
class Spread:
    """A column of histograms: its title, one array a row, and what is said beside each.

    All silhouettes of a column run from −limit to limit; what lies beyond is counted in the last bin.
    """

    title: str
    numbers: Sequence[np.ndarray]
    texts: Sequence[str]
    limit: float
    role: str = "plain"


def heights(numbers: np.ndarray, limit: float) -> np.ndarray:
    """The counts in `BINS` equal bins from −limit to limit as shares of the largest, float64 [bin]."""
    inside = np.clip(numbers, -limit, limit)
    counts, _ = np.histogram(inside, bins=BINS, range=(-limit, limit))
    shares: np.ndarray = counts / max(1, counts.max())
    return shares


def histograms(labels: Sequence[str], columns: Sequence[Spread], head: str) -> Markup:
    """A row for each label, a silhouette with its text for each column, as HTML."""
    titles = Markup("").join(Markup('<th scope="col">{}</th>').format(column.title) for column in columns)
    rows = Markup("").join(_row(i, label, columns) for i, label in enumerate(labels))
    table = '<table class="hl-spreads"><thead><tr><th scope="col">{}</th>{}</tr></thead><tbody>{}</tbody></table>'
    return Markup(table).format(head, titles, rows)


def _row(i: int, label: str, columns: Sequence[Spread]) -> Markup:
    cells = Markup("").join(
        Markup('<td><div><i class="{}" style="clip-path:polygon({})"></i><b>{}</b></div></td>').format(
            column.role, _outline(heights(column.numbers[i], column.limit)), column.texts[i]
        )
        for column in columns
    )
    return Markup('<tr><th scope="row">{}</th>{}</tr>').format(label, cells)


def _outline(shares: np.ndarray) -> str:
    """A silhouette as the points of a CSS polygon, in percent of its box."""
    points = [f"{100 * (i + 0.5) / len(shares):.1f}% {100 * (1 - share):.0f}%" for i, share in enumerate(shares)]
    return ",".join(["0% 100%", *points, "100% 100%"])
