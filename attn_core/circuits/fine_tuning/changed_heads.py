"""Which heads differ most between two models of one shape: patterns over sentences, and weights.

    ac.changed_heads("bert-base-uncased", "./my-fine-tuned-bert", ["the food was great", "it never works"])

Sources: Lin 1991 (the Jensen–Shannon distance); Kovaleva et al. 2019, "Revealing the Dark Secrets of BERT", section 4.3
(attention before and after fine-tuning).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_core.blocks import row_slices
from attn_core.circuits.fine_tuning.weights import MATRICES, weight_changes
from attn_core.errors import HeadlightError
from attn_core.heads.compare import change
from attn_core.heads.sink import Floats
from attn_core.options import check_several

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from attn_core.capture.model import Model
    from attn_core.traces.stream import StreamTrace


class HeadChanges(NamedTuple):
    """How far every head of a model is from the same head of another of its shape, such as a fine-tuned one.

    `patterns` [layer, head]: the mean Jensen–Shannon distance of their rows, over the queries of each sentence and then
    over sentences; 0 equal, 1 nothing in common. `weights` [layer, head, 4]: ‖ΔW‖ ÷ ‖W‖ of W_Q, W_K, W_V and W_O, the
    head's own columns (of W_O: rows), by Frobenius norms, W being the first model's. Where a norm follows W_Q and W_K
    they are the matrices before it: a change that the norm takes out again, such as of their scale, counts. NaN where a
    matrix could not be found, or where the first model's is zero.
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

    check_several("texts", texts, "sentences")
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
        distances.append(np.stack([_distances(first, second, layer) for layer in layers]))
        weights = weight_changes(first, second) if weights is None else weights
    if weights is None:
        raise ValueError("patterns are compared over sentences: give at least one")
    return HeadChanges(np.mean(distances, axis=0), weights)


def _distances(first: StreamTrace, second: StreamTrace, layer: int) -> Floats:
    """The mean distance of the rows of every head of a layer, [head], a block of rows at a time."""
    total, n_query = np.zeros(first.n_heads), len(first.tokens)
    for rows in row_slices(n_query, 4 * len(first.key_tokens) * first.n_heads):  # of float64, and several of them
        both = first.patterns(layer, rows), second.patterns(layer, rows)  # [head, row, key] each
        total += change(*both) * both[0].shape[1]
    return total / n_query


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
