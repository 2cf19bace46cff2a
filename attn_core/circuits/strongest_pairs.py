"""The largest dot products between two tables of vectors, exactly, without ever holding more than a block of them.

|q·k| ≤ ‖q‖·‖k‖: with both tables sorted by length, whatever lies behind the first block that is too short is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attn_core.circuits.writers.additions import Floats

CELLS = 4_000_000  # scores that are held at a time: 32 MB
ROWS = 1024  # of the first table in one block


class Pair(NamedTuple):
    """A row of the first table, a row of the second, and their dot product."""

    first: int
    second: int
    score: float


def strongest_pairs(
    first: Floats,
    second: Floats,
    count: int,
    *,
    cells: int = CELLS,
    progress: Callable[[float], None] | None = None,
) -> list[Pair]:
    """The `count` pairs with the largest dot products of [n, d] and [m, d], the largest first; each row of the first
    table stands in at most one of them, with its best of the second."""
    if not len(first) or not len(second) or count < 1:
        return []
    rows, columns = _by_length(first), _by_length(second)
    left, right = np.linalg.norm(first[rows], axis=1), np.linalg.norm(second[columns], axis=1)
    height = min(ROWS, cells)
    width = max(1, cells // height)
    best = _Best(count)
    for start in range(0, len(rows), height):
        if left[start] * right[0] <= best.floor:
            break
        here = rows[start : start + height]
        scores, partners = np.full(len(here), -np.inf), np.zeros(len(here), dtype=np.intp)
        for at in range(0, len(columns), width):
            if left[start] * right[at] <= best.floor:
                break
            products = first[here] @ second[columns[at : at + width]].T  # [row, column]
            place = products.argmax(axis=1)
            largest = products[np.arange(len(here)), place]
            better = largest > scores
            scores, partners = np.where(better, largest, scores), np.where(better, columns[at + place], partners)
        best.add(here, partners, scores)
        if progress is not None:
            progress(min(1.0, (start + height) / len(rows)))
    return best.pairs


def _by_length(table: Floats) -> NDArray[np.intp]:
    return np.argsort(-np.linalg.norm(table, axis=1), kind="stable")


class _Best:
    """The best pairs so far; `floor` is what another one must be larger than."""

    def __init__(self, count: int) -> None:
        self.count, self.pairs = count, list[Pair]()

    @property
    def floor(self) -> float:
        return self.pairs[-1].score if len(self.pairs) == self.count else -np.inf

    def add(self, rows: NDArray[np.intp], partners: NDArray[np.intp], scores: Floats) -> None:
        some = np.flatnonzero(scores > self.floor)
        new = [Pair(int(rows[i]), int(partners[i]), float(scores[i])) for i in some]
        self.pairs = sorted([*self.pairs, *new], key=lambda pair: -pair.score)[: self.count]
