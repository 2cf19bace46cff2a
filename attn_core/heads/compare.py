"""How far two patterns are apart, and how far all heads of one model are from all heads of another.

Distances are Jensen–Shannon distances (the square root of the divergence, base 2): 0 for equal rows, 1 for rows that
never look at the same key, and a metric, so that "between" means something. Source: Lin 1991; Endres & Schindelin 2003;
used for attention heads by Clark et al. 2019, section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attn_core.heads.sink import Bools, Floats
from attn_core.tolerances import SMALLEST

SECONDS_A_CELL = 15e-9  # 5 to 12 were measured on one core


def jensen_shannon(a: Floats, b: Floats) -> Floats:
    """The distance between rows of weights, [..., query, key] twice → [..., query], between 0 and 1.

    >>> jensen_shannon(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])).tolist()
    [1.0]
    """
    a, b = _exact(a), _exact(b)
    middle = (a + b) / 2
    divergence = _negative_entropy(a) / 2 + _negative_entropy(b) / 2 - _negative_entropy(middle)
    return np.sqrt(np.clip(divergence, 0.0, 1.0))


def _exact(p: Floats) -> Floats:
    """The rows in float64, summing to 1 to the last digit: in float32 they miss it by 1e-7, and a root makes that 3e-4.

    A row of zeros (a word that a sentence has not) stays so.
    """
    p = np.asarray(p, dtype=float)
    total = p.sum(axis=-1, keepdims=True)
    result: Floats = np.divide(p, total, out=np.zeros_like(p), where=total > 0)
    return result


def _negative_entropy(p: Floats) -> Floats:
    """Σ p·log₂ p over keys, with 0·log 0 = 0."""
    result: Floats = (p * np.log2(p, out=np.zeros_like(p), where=p > 0)).sum(axis=-1)
    return result


def correlation(a: Floats, b: Floats, cells: Bools | None = None) -> float:
    """Pearson's r between two patterns over `cells` (those visible in both; None: all). NaN when one is constant.

    >>> correlation(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    -1.0
    """
    x, y = (a.ravel(), b.ravel()) if cells is None else (a[cells], b[cells])
    x, y = x - x.mean(dtype=float), y - y.mean(dtype=float)
    size = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / size) if size > SMALLEST else float("nan")


@dataclass(frozen=True)
class Difference:
    """Two patterns in numbers: `rows` [query] and `overall` (their mean) are Jensen–Shannon distances.

    `most_changed` is the query whose row moved furthest; `correlation` is Pearson's r over the cells visible in both.
    """

    rows: Floats
    overall: float
    correlation: float
    most_changed: int


def difference(a: Floats, b: Floats, cells: Bools | None = None) -> Difference:
    """Compare two patterns of one shape, [query, key]. Raises ValueError when their shapes differ."""
    if a.shape != b.shape:
        raise ValueError(f"patterns of {a.shape} and {b.shape} cells have no common axes: align them first")
    rows = jensen_shannon(a, b)
    return Difference(rows, float(rows.mean()), correlation(a, b, cells), int(rows.argmax()))


def change(a: Floats, b: Floats, rows: Sequence[int] | NDArray[np.int_] | None = None) -> Floats:
    """How much every head changed, [..., query, key] twice, on shared axes → [...], between 0 and 1.

    The mean Jensen–Shannon distance over queries (`rows`: those that both sentences have; see `alignment`). Weight on a
    word that only one sentence has counts as changed.
    """
    some = slice(None) if rows is None else np.asarray(rows)
    result: Floats = jensen_shannon(a[..., some, :], b[..., some, :]).mean(axis=-1)
    return result


def distance_matrix(
    a: Floats, b: Floats, *, block: int = 2_000_000, progress: Callable[[float], None] | None = None
) -> Floats:
    """The mean Jensen–Shannon distance between every head of `a` and every head of `b`.

    [head_a, query, key] and [head_b, query, key] on the same axes → [head_a, head_b]. At most about `block` cells are
    held at a time (in float64), whatever the number of heads. `progress` is told the finished share, 0 to 1.
    """
    step = max(1, block // max(1, a[0].size))
    out = np.empty((len(a), len(b)))
    for start in range(0, len(b), step):
        some = slice(start, start + step)
        theirs = _exact(b[some])
        their_own = _negative_entropy(theirs)  # [head, query]
        for i, head in enumerate(a):
            ours = _exact(head)
            both = _negative_entropy((ours[None] + theirs) / 2)
            divergence = np.clip(_negative_entropy(ours) / 2 + their_own / 2 - both, 0.0, 1.0)
            out[i, some] = np.sqrt(divergence).mean(axis=-1)
            if progress is not None:
                progress((start * len(a) + (i + 1) * len(theirs)) / out.size)
    return out


def seconds_needed(n_a: int, n_b: int, n_query: int, n_key: int) -> float:
    """A rough forecast for `distance_matrix`."""
    return n_a * n_b * n_query * n_key * SECONDS_A_CELL
