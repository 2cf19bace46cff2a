"""Which other heads of a stream are most like one: by their weights, or by any value that each head has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attn_core.circuits.direct_path import DirectPaths
from attn_core.circuits.head_matrices import HeadMatrices, head_matrices, triangle
from attn_core.circuits.writers.additions import Floats
from attn_core.tolerances import SMALLEST

NEAREST = 5


class NearHead(NamedTuple):
    """Another head of the stream: by behaviour a Jensen–Shannon distance (0: looks alike), by weights a cosine."""

    layer: int
    head: int
    value: float


def cosines_of_weights(paths: DirectPaths, own: HeadMatrices) -> tuple[Floats, Floats]:
    """The cosines of QK and of OV with those of every head of the stream, as matrices: [layer, head] each."""
    call = paths.trace.stream(own.stream)
    shape = (call.n_layers, call.n_heads)
    qk, ov = np.zeros(shape), np.zeros(shape)
    for layer, head in np.ndindex(shape):
        other = head_matrices(paths, own.stream, layer, head)
        qk[layer, head] = _cosine((own.query, own.key), (other.query, other.key))
        ov[layer, head] = _cosine((own.value, own.output.T), (other.value, other.output.T))
    return qk, ov


def _cosine(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> float:
    """The cosine of two products A·Bᵀ of tall matrices, as vectors of their numbers."""
    inner = float(((one[0].T @ other[0]) * (one[1].T @ other[1])).sum())
    sizes = [float(np.linalg.norm(triangle(a) @ triangle(b).T)) for a, b in (one, other)]
    return inner / max(sizes[0] * sizes[1], SMALLEST)


def nearest(values: Floats, layer: int, head: int, *, smallest: bool = False) -> tuple[NearHead, ...]:
    order = np.argsort(values if smallest else -values, axis=None, kind="stable")
    places = [divmod(int(at), values.shape[1]) for at in order]
    found = [NearHead(a, b, float(values[a, b])) for a, b in places if (a, b) != (layer, head)]
    return tuple(found[:NEAREST])
