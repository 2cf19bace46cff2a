"""How far two patterns are apart, how far all heads of one model are from all heads of another, and which heads a
fine-tuning changed.

Distances are Jensen–Shannon distances (the square root of the divergence, base 2): 0 for equal rows, 1 for rows that
never look at the same key, and a metric, so that "between" means something. Source: Lin 1991; Endres & Schindelin 2003;
used for attention heads by Clark et al. 2019, section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attn_core.errors import HeadlightError
from attn_core.heads.sink import Bools, Floats
from attn_core.tolerances import SMALLEST

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from attn_core.capture.model import Model
    from attn_core.traces.stream import StreamTrace

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


# --------------------------------------------------------------------------- a model, and what was made of it since

MATRICES = ("query", "key", "value", "output")


class HeadChanges(NamedTuple):
    """How far every head of a model is from the same head of another of its shape, such as a fine-tuned one.

    `patterns` [layer, head]: the mean Jensen–Shannon distance of their rows, over the queries of each sentence and then
    over sentences; 0 equal, 1 nothing in common. `weights` [layer, head, 4]: ‖ΔW‖ ÷ ‖W‖ of W_Q, W_K, W_V and W_O, the
    head's own columns (of W_O: rows), by Frobenius norms, W being the first model's. NaN where a matrix could not be
    found, or where the first model's is zero.
    """

    patterns: Floats
    weights: Floats

    def frame(self) -> pd.DataFrame:
        """One row a head, the most changed pattern first: layer, head, pattern, query, key, value, output."""
        import pandas as pd

        layer, head = np.indices(self.patterns.shape).reshape(2, -1)
        weights = dict(zip(MATRICES, self.weights.reshape(-1, len(MATRICES)).T, strict=True))
        table = pd.DataFrame({"layer": layer, "head": head, "pattern": self.patterns.ravel(), **weights})
        return table.sort_values("pattern", ascending=False, kind="stable", ignore_index=True)


def changed_heads(
    before: Model | str | Path, after: Model | str | Path, texts: Iterable[str], *, stream: str = "self"
) -> pd.DataFrame:
    """Which heads differ most between two models of one shape: a base model and its fine-tuned one, two checkpoints,
    an adapter and what it was merged into, a model and its quantised copy.

    Both read every text; see `HeadChanges` for the columns and their laws. Raises HeadlightError for models of
    different shapes, or that cut a text into different tokens, and ValueError where there is no text.
    """
    from attn_core.capture.batches import trace_many  # brings in torch, which patterns alone do without
    from attn_core.capture.model import model_of

    texts, models = list(texts), [model_of(model) for model in (before, after)]
    if not texts:
        raise ValueError("patterns are compared over sentences: give at least one")
    both = zip(*(trace_many(model, texts) for model in models), strict=True)
    return head_changes((a.stream(stream), b.stream(stream)) for a, b in both).frame()


def head_changes(pairs: Iterable[tuple[StreamTrace, StreamTrace]]) -> HeadChanges:
    """The same of traces: the same stream of the first and the second model, for each of one or more sentences."""
    distances, weights = [], None
    for first, second in pairs:
        _refuse_another_shape(first, second)
        layers = range(first.n_layers)
        distances.append(np.stack([change(first.patterns(layer), second.patterns(layer)) for layer in layers]))
        weights = weight_changes(first, second) if weights is None else weights
    if weights is None:
        raise ValueError("patterns are compared over sentences: give at least one")
    return HeadChanges(np.mean(distances, axis=0), weights)


def same_shape(first: StreamTrace, second: StreamTrace) -> bool:
    """Whether two models' streams have as many layers, heads and features, so that each head has its counterpart."""
    sizes = [(own.name, own.n_layers, own.n_heads, own.d_head, own.d_model) for own in (first, second)]
    return sizes[0] == sizes[1]


def _refuse_another_shape(first: StreamTrace, second: StreamTrace) -> None:
    names = f"{first.model_name} and {second.model_name}"
    if not same_shape(first, second):
        raise HeadlightError(f"{names} are of different shapes, so their heads have no counterparts.")
    if first.tokens.ids != second.tokens.ids or first.key_tokens.ids != second.key_tokens.ids:
        raise HeadlightError(f"{names} cut this text into different tokens, so their patterns have no common axes.")


def weight_changes(first: StreamTrace, second: StreamTrace) -> Floats:
    """‖ΔW‖ ÷ ‖W‖ of each head's W_Q, W_K, W_V and W_O: [layer, head, 4]."""
    changes = np.full((first.n_layers, first.n_heads, len(MATRICES)), np.nan)
    for layer, head in np.ndindex(changes.shape[:2]):
        of_both = zip(_matrices(first, layer, head), _matrices(second, layer, head), strict=True)
        for i, (w, other) in enumerate(of_both):
            size = 0.0 if w is None else float(np.linalg.norm(w))
            if w is not None and other is not None and size > 0:
                changes[layer, head, i] = np.linalg.norm(other - w) / size
    return changes


def _matrices(stream: StreamTrace, layer: int, head: int) -> list[Floats | None]:
    """W_Q, W_K, W_V and W_O of a head in float64; None for what could not be found."""
    try:
        found = stream.projections(layer, head)
    except HeadlightError:  # a norm follows W_Q and W_K, so that they are not found
        return [None, None, _value_matrix(stream, layer, head), stream.w_o(layer, head).astype(float)]
    return [w.double().numpy() for w in (found.w_q, found.w_k, found.w_v, found.w_o)]


def _value_matrix(stream: StreamTrace, layer: int, head: int) -> Floats | None:
    try:
        return stream.w_v(layer, head).astype(float)
    except HeadlightError:
        return None
