"""How far the matrices of every head are from those of the same head in another model of its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attn_core.circuits.projections import query_and_key_projections
from attn_core.errors import HeadlightError
from attn_core.heads.sink import Floats

if TYPE_CHECKING:
    from attn_core.traces.stream import StreamTrace

MATRICES = ("query", "key", "value", "output")


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
    except HeadlightError:  # a norm follows W_Q and W_K
        normed = _normed_matrices(stream, layer, head)
        return [*normed, _value_matrix(stream, layer, head), stream.w_o(layer, head).astype(float)]
    return [w.double().numpy() for w in (found.w_q, found.w_k, found.w_v, found.w_o)]


def _normed_matrices(stream: StreamTrace, layer: int, head: int) -> list[Floats | None]:
    """W_Q and W_K before their norms; they have a length like any matrix, though q·k is not their product any more."""
    try:
        both, _ = query_and_key_projections(stream, layer, head)
    except HeadlightError:
        return [None, None]
    return [own.weight[:, own.columns] for own in both]


def _value_matrix(stream: StreamTrace, layer: int, head: int) -> Floats | None:
    try:
        return stream.w_v(layer, head).astype(float)
    except HeadlightError:
        return None
