"""Find the head that does it: paint the cells you expect, and rank heads by the weight they put there.

A head that always looks one word back puts much weight on every cell below the diagonal, painted or not. So a head is
ranked by its weight *above its own habits*: above what it puts, on average, at the same distance elsewhere in this
sentence, and for a cell in a sink's column above what it puts on that sink from other queries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from attn_core.heads import Bools, Floats


@dataclass(frozen=True)
class Found:
    """How well every head fits the painted cells, [head] each, means over those cells.

    `score` = `weight` − `baseline`, between −1 and 1: what is ranked.
    """

    weight: Floats
    baseline: Floats

    @property
    def score(self) -> Floats:
        return self.weight - self.baseline


def painted_cells(cells: Iterable[tuple[int, int]], n_query: int, n_key: int) -> Bools:
    """(query, key) pairs as bool [query, key]. Raises IndexError for a cell outside the picture."""
    painted = np.zeros((n_query, n_key), dtype=bool)
    for query, key in cells:
        if not (0 <= query < n_query and 0 <= key < n_key):
            raise IndexError(f"cell ({query}, {key}) lies outside the {n_query} × {n_key} cells of this sentence")
        painted[query, key] = True
    return painted


def find(pattern: Floats, painted: Bools, may_look: Bools, sink: Bools) -> Found:
    """Score heads by the painted cells: pattern [head, query, key], painted and may_look bool, sink bool [key].

    Painted cells that the mask forbids count as weight 0 with baseline 0. Raises ValueError when nothing is painted.
    """
    if not painted.any():
        raise ValueError("paint at least one cell to search for")
    habits = np.stack([_habit(pattern, q, k, painted, may_look, sink) for q, k in np.argwhere(painted)])
    return Found(pattern[..., painted].mean(axis=-1, dtype=float), habits.mean(axis=0))


def _habit(pattern: Floats, query: int, key: int, painted: Bools, may_look: Bools, sink: Bools) -> Floats:
    """What every head usually puts on a cell like this one, [head]: the mean over unpainted cells of its peer group.

    Peers of a sink's cell are the other cells of that column; peers of any other cell lie at the same distance outside
    the sink's columns. A cell without peers (the far corner) is compared with all unpainted cells outside the sink.
    """
    n_query, n_key = painted.shape
    if not may_look[query, key]:
        return np.zeros(pattern.shape[:-2])
    free = may_look & ~painted
    column = np.arange(n_key)[None, :] == key
    distance = np.arange(n_key)[None, :] - np.arange(n_query)[:, None] == key - query
    for peers in (free & column if sink[key] else free & distance & ~sink, free & ~sink):
        if peers.any():
            return pattern[..., peers].mean(axis=-1, dtype=float)
    return np.zeros(pattern.shape[:-2])
