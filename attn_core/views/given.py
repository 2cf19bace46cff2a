"""Anybody's attention weights as something that can be shown: an array and the words that it is between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_core.text.tokens import Tokens
from attn_core.traces.parity import ROW_SUM, Parity
from attn_core.traces.reader import rows_in
from attn_core.views.array_reader import ArrayReader

MOST_NAMED = 3  # rows that are named, of those that do not sum to 1


@dataclass(frozen=True, eq=False)
class GivenAttention(ArrayReader):
    """Weights [layer, head, query, key] between tokens, read as a trace is; there is no model to compare them with."""

    model_name: str
    tokens: Tokens
    key_tokens: Tokens
    weights: NDArray[np.float32]

    @property
    def name(self) -> str:
        """ "self", or "cross" where queries and keys are other words."""
        return "self" if self.key_tokens is self.tokens else "cross"

    @property
    def is_causal(self) -> bool:
        """Whether no query looks ahead anywhere."""
        return self.name == "self" and len(self.tokens) > 1 and not np.triu(self.weights, 1).any()

    @property
    def kind(self) -> str:
        return "encoder-decoder" if self.name == "cross" else "decoder" if self.is_causal else "encoder"

    @property
    def wrapped(self) -> bool:
        return True

    def may_look(self, layer: int, rows: slice | None = None) -> NDArray[np.bool_]:
        n_query, n_key = self.weights.shape[-2:]
        some = rows_in(rows, n_query)
        n_rows = some.stop - some.start
        return np.tri(n_rows, n_key, some.start, dtype=np.bool_) if self.is_causal else np.ones((n_rows, n_key), bool)

    def delta_e_sizes(self, layer: int) -> NDArray[np.float32]:
        """NaN, [head, query]: weights alone do not say what a head adds."""
        return np.full(self.weights.shape[1:3], np.nan, np.float32)

    def check(self) -> Parity:
        return Parity(None, None, None)

    @property
    def uneven(self) -> str:
        """The rows that do not sum to 1, in words; "" where all do. They are shown as they are."""
        sums = self.weights.sum(axis=-1, dtype=float)  # [layer, head, query]
        off = np.argwhere(np.abs(sums - 1) > ROW_SUM)
        if not len(off):
            return ""
        named = [
            f"{self.tokens.labels[q]} (row {q}) of head {n}.{h}: {sums[n, h, q]:.3g}" for n, h, q in off[:MOST_NAMED]
        ]
        more = f", and {len(off) - MOST_NAMED} more" if len(off) > MOST_NAMED else ""
        rows = "1 row does" if len(off) == 1 else f"{len(off)} rows do"
        return f"{rows} not sum to 1: {', '.join(named)}{more}."


def given_attention(
    attention: Any, tokens: Sequence[str], key_tokens: Sequence[str] | None = None, name: str = "given weights"
) -> GivenAttention:
    """Weights [query, key], [head, query, key] or [layer, head, query, key], or one array of heads a layer.

    Raises ValueError for weights that are no numbers from 0 up, or do not fit the tokens.
    """
    layers = [_as_array(layer) for layer in attention] if isinstance(attention, list | tuple) else _as_array(attention)
    weights = np.asarray(layers, np.float32)
    if weights.ndim == 5 and weights.shape[1] == 1:  # as transformers gives it, with a batch of one
        weights = weights[:, 0]
    weights = weights.reshape((1,) * (4 - weights.ndim) + weights.shape) if 2 <= weights.ndim < 4 else weights
    asks = _tokens(tokens)
    keys = asks if key_tokens is None else _tokens(key_tokens)
    if weights.ndim != 4 or weights.shape[-2:] != (len(asks), len(keys)) or 0 in weights.shape:
        raise ValueError(
            f"attention must be [query, key], [head, query, key] or [layer, head, query, key] with {len(asks)} queries "
            f"and {len(keys)} keys; got {list(weights.shape)}"
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("attention weights are numbers from 0 up; some here are negative or no finite numbers")
    return GivenAttention(name, asks, keys, weights)


def _as_array(weights: Any) -> NDArray[np.float32]:
    if hasattr(weights, "detach"):  # a tensor, wherever it is
        weights = weights.detach().cpu().float().numpy()
    try:
        found = np.asarray(weights)
    except ValueError:
        found = np.array("rows of several lengths")
    if found.dtype.kind not in "fiub":
        raise ValueError("attention must hold real numbers, in rows of one length")
    return found.astype(np.float32)


def _tokens(labels: Sequence[str]) -> Tokens:
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise ValueError("tokens must be a list of words, one a position")
    own, n = list(labels), len(labels)
    return Tokens(" ".join(own), list(range(n)), own, [False] * n, list(range(n)), own)
