"""Find the head that does it: paint the cells you expect, and rank heads by the weight they put there.

A head that always looks one word back puts much weight on every cell below the diagonal, painted or not. So a head is
ranked by its weight *above its own baseline*: above what it puts, on average, at the same distance elsewhere in this
sentence, and for a cell in a sink's column also above what it puts on that sink from other queries. On request the
baseline is also what the key gets anyway, so that a head which looks at one word from everywhere does not win either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from attn_core.heads.sink import Bools, Floats


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


def find(pattern: Floats, painted: Bools, may_look: Bools, sink: Bools, *, above_key_mean: bool = False) -> Found:
    """Score heads by the painted cells: pattern [head, query, key], painted and may_look bool, sink bool [key].

    With `above_key_mean` the baseline of a cell is at least what its key gets, on average, from other queries. Painted
    cells that the mask forbids count as weight 0 with baseline 0. Raises ValueError when nothing is painted.
    """
    if not painted.any():
        raise ValueError("paint at least one cell to search for")
    cells = np.argwhere(painted)
    baselines = np.stack([_baseline(pattern, q, k, painted, may_look, sink) for q, k in cells])
    if above_key_mean:
        columns = [may_look & ~painted & (np.arange(painted.shape[1]) == k) for _, k in cells]
        baselines = np.maximum(baselines, [_mean_over(pattern, column) for column in columns])
    return Found(pattern[..., painted].mean(axis=-1, dtype=float), baselines.mean(axis=0))


def _baseline(pattern: Floats, query: int, key: int, painted: Bools, may_look: Bools, sink: Bools) -> Floats:
    """What every head usually puts on a cell like this one, [head]: the mean over its unpainted peers.

    Peers lie at the same distance, outside the sink's columns. A sink's cell also has those of its column, and the
    larger mean counts, so that neither a sink head nor one that looks one word back wins there by default. A cell
    without peers (the far corner) is compared with all unpainted cells outside the sink.
    """
    n_query, n_key = painted.shape
    if not may_look[query, key]:
        return np.zeros(pattern.shape[:-2])
    free = may_look & ~painted
    distance = np.arange(n_key)[None, :] - np.arange(n_query)[:, None] == key - query
    peers = [free & ~sink & distance]
    if sink[key]:
        peers.append(free & (np.arange(n_key)[None, :] == key))
    baselines = [_mean_over(pattern, cells) for cells in peers if cells.any()]
    return np.max(baselines, axis=0) if baselines else _mean_over(pattern, free & ~sink)


def _mean_over(pattern: Floats, cells: Bools) -> Floats:
    """The mean weight on some cells, [head]; 0 where there are none."""
    return pattern[..., cells].mean(axis=-1, dtype=float) if cells.any() else np.zeros(pattern.shape[:-2])
