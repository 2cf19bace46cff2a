"""How far two patterns are apart, and which sentence's token stands where the other's does.

Distances are Jensen–Shannon distances (the square root of the divergence, base 2): 0 for equal rows, 1 for rows that
never look at the same key, and a metric, so that "between" means something. Source: Lin 1991; Endres & Schindelin 2003;
used for attention heads by Clark et al. 2019, section 6.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attn_core.heads import Bools, Floats


def jensen_shannon(a: Floats, b: Floats) -> Floats:
    """The distance between rows of weights, [..., query, key] twice → [..., query], between 0 and 1.

    >>> jensen_shannon(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])).tolist()
    [1.0]
    """
    middle = (a + b) / 2
    divergence = _negative_entropy(a) / 2 + _negative_entropy(b) / 2 - _negative_entropy(middle)
    return np.sqrt(np.clip(divergence, 0.0, 1.0))


def _negative_entropy(p: Floats) -> Floats:
    """Σ p·log₂ p over keys, in float64, with 0·log 0 = 0."""
    p = np.asarray(p, dtype=float)
    return (p * np.log2(p, out=np.zeros_like(p), where=p > 0)).sum(axis=-1)


def correlation(a: Floats, b: Floats, cells: Bools | None = None) -> float:
    """Pearson's r between two patterns over `cells` (those visible in both; None: all). NaN when one is constant.

    >>> correlation(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    -1.0
    """
    x, y = (a.ravel(), b.ravel()) if cells is None else (a[cells], b[cells])
    x, y = x - x.mean(dtype=float), y - y.mean(dtype=float)
    size = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / size) if size > 1e-12 else float("nan")


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


# ------------------------------------------------------------------------------------------------ two token sequences


@dataclass(frozen=True)
class Alignment:
    """Two sequences on one axis: `a[i]` and `b[i]` are the positions that stand at place i, None for a gap.

    `exact[i]` says whether both hold the same token there: a substitution, "are"/"is", shares a place but is not exact.
    """

    a: tuple[int | None, ...]
    b: tuple[int | None, ...]
    exact: tuple[bool, ...]

    @property
    def paired(self) -> NDArray[np.int_]:
        """The places at which both sequences have a token."""
        both = (x is not None and y is not None for x, y in zip(self.a, self.b, strict=True))
        return np.flatnonzero(list(both))


def align(a: Sequence[Hashable], b: Sequence[Hashable]) -> Alignment:
    """Lay two token sequences side by side; equal runs meet, replaced tokens pair off in order, the rest are gaps.

    Source: Ratcliff & Metzener 1988, as in `difflib`.

    >>> align(["keys", "are", "here"], ["keys", "is", "not", "here"]).b
    (0, 1, 2, 3)
    >>> align(["keys", "are", "here"], ["keys", "is", "not", "here"]).a
    (0, 1, None, 2)
    """
    left: list[int | None] = []
    right: list[int | None] = []
    for _, a_from, a_to, b_from, b_to in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        length = max(a_to - a_from, b_to - b_from)
        left += [*range(a_from, a_to), *[None] * (length - (a_to - a_from))]
        right += [*range(b_from, b_to), *[None] * (length - (b_to - b_from))]
    exact = tuple(x is not None and y is not None and a[x] == b[y] for x, y in zip(left, right, strict=True))
    return Alignment(tuple(left), tuple(right), exact)


def on_axis(pattern: Floats, places: Sequence[int | None]) -> Floats:
    """Move a pattern [..., query, key] onto a shared axis, [..., place, place]; rows and columns of gaps are 0."""
    return on_axes(pattern, places, places)


def on_axes(pattern: Floats, queries: Sequence[int | None], keys: Sequence[int | None]) -> Floats:
    """As `on_axis`, with separate places for queries and keys."""
    rows = [i for i, q in enumerate(queries) if q is not None]
    columns = [i for i, k in enumerate(keys) if k is not None]
    moved = np.zeros((*pattern.shape[:-2], len(queries), len(keys)), dtype=pattern.dtype)
    source = pattern[..., [q for q in queries if q is not None], :][..., [k for k in keys if k is not None]]
    moved[..., np.array(rows, dtype=int)[:, None], np.array(columns, dtype=int)] = source
    return moved


def change(a: Floats, b: Floats, alignment: Alignment) -> Floats:
    """How much every head changed between two sentences: patterns [..., query, key] of each → [...], 0 to 1.

    The mean Jensen–Shannon distance over queries that both sentences have. Weight on a word that only one sentence has
    counts as changed.
    """
    paired = alignment.paired
    rows = jensen_shannon(on_axis(a, alignment.a)[..., paired, :], on_axis(b, alignment.b)[..., paired, :])
    return rows.mean(axis=-1)


# ------------------------------------------------------------------------------------------------------- many heads


def distance_matrix(
    a: Floats, b: Floats, *, block: int = 2_000_000, progress: Callable[[float], None] | None = None
) -> Floats:
    """The mean Jensen–Shannon distance between every head of `a` and every head of `b`.

    [head_a, query, key] and [head_b, query, key] on the same axes → [head_a, head_b]. At most about `block` cells are
    held at a time (in float64), whatever the number of heads. `progress` is told the finished share, 0 to 1.
    """
    own_a, own_b = (np.stack([_negative_entropy(head) for head in heads]) for heads in (a, b))  # [head, query]
    step = max(1, block // max(1, a[0].size))
    out = np.empty((len(a), len(b)))
    for i, one in enumerate(a):
        for start in range(0, len(b), step):
            some = slice(start, start + step)
            middle = _negative_entropy((one[None] + b[some]) / 2)
            divergence = np.clip(own_a[i] / 2 + own_b[some] / 2 - middle, 0.0, 1.0)
            out[i, some] = np.sqrt(divergence).mean(axis=-1)
        if progress is not None:
            progress((i + 1) / len(a))
    return out


def seconds_needed(n_a: int, n_b: int, n_query: int, n_key: int) -> float:
    """A rough forecast for `distance_matrix`: 10 nanoseconds a cell (7 to 14 were measured on one core)."""
    return n_a * n_b * n_query * n_key * 10e-9
