"""How much a head reads of what earlier heads write: Q-, K- and V-composition, from the weights.

    through the query   ‖OV₁ QK₂‖  ÷ (‖OV₁‖·‖QK₂‖)
    through the key     ‖OV₁ QK₂ᵀ‖ ÷ (‖OV₁‖·‖QK₂‖)
    through the value   ‖OV₁ OV₂‖  ÷ (‖OV₁‖·‖OV₂‖)          all with rows that are multiplied from the left

Random matrices do not score 0, so what they score is taken off. Between two heads in different layers a norm counts by
its gain; the MLPs between are left out. Under rotary the score depends on how far apart two words are: it is given at
distance 0, with its range over 0 to 64.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits", the part on composition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from attn_core.circuits.direct_path import DirectPaths, Reach
from attn_core.circuits.head_matrices import HeadMatrices, triangle, turned
from attn_core.circuits.writers.additions import Floats
from attn_core.tolerances import SMALLEST

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 8  # of random heads; their scores differ by one part in a hundred
COLUMNS = ("stream", "layer", "head", "through", "score", "baseline", "above", "low", "high")


def composition(
    paths: DirectPaths, own: HeadMatrices, *, progress: Callable[[float], None] | None = None
) -> pd.DataFrame:
    """Every earlier head × "q", "k", "v": stream, layer, head, through, score, baseline, above (score − baseline), low
    and high (of the score over 0 to 64 tokens' distance; the score itself where nothing is turned)."""
    import pandas as pd

    rows: list[tuple[str, int, int, str, float, float, float, float, float]] = []
    reader, baseline = _Reader.of(own), random_score(*own.query.shape)
    calls = paths.writers_before(own.stream, own.layer)
    for done, (stream, layer) in enumerate(calls):
        for through in ("q", "k", "v"):
            reach = paths.between((stream, layer), (own.stream, own.layer), "query" if through == "q" else "key")
            for head in range(paths.trace.n_heads_of(stream)) if reach is not None else ():
                scores = reader.scores(_moved(paths, reach, stream, layer, head), through)  # [offset]
                first = float(scores[0])
                said = first, baseline, first - baseline, float(scores.min()), float(scores.max())
                rows.append((stream, layer, head, through, *said))
        if progress is not None:
            progress((done + 1) / len(calls))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _moved(paths: DirectPaths, reach: Reach | None, stream: str, layer: int, head: int) -> Floats:
    """OV of an earlier head as it comes to a later one, up to what no Frobenius norm sees: [d_head, d_model]."""
    assert reach is not None
    call = paths.trace.stream(stream)
    value = paths.reading(stream, layer, "key").fold(call.w_v(layer, head).astype(np.float64))
    written = reach.stream.carry(call.w_o(layer, head).astype(np.float64))
    if reach.reading.centres:
        written = written - written.mean(axis=1, keepdims=True)
    moved: Floats = triangle(value) @ written
    return moved


@dataclass(frozen=True, eq=False)
class _Reader:
    """The later head: its matrices, and of each what a Frobenius norm sees of it."""

    own: HeadMatrices
    query: Floats  # triangles, [d_head, d_head]
    key: Floats
    output: Floats
    value: Floats
    qk_size: Floats  # [offset]

    @classmethod
    def of(cls, own: HeadMatrices) -> _Reader:
        query, key, value = triangle(own.query), triangle(own.key), triangle(own.value)
        output = triangle(own.output.T)  # [d_model, d_head] → [d_head, d_head]
        return cls(own, query, key, output, value, _sizes(turned(query, own.rotation) @ key.T))

    def scores(self, moved: Floats, through: str) -> Floats:
        """The score of what an earlier head moves [d_head, d_model], by distance: [offset]."""
        size = float(np.linalg.norm(moved))
        if through == "v":
            largest = size * float(np.linalg.norm(self.value @ self.output.T))
            return np.array([np.linalg.norm(moved @ self.own.value @ self.output.T)]) / max(largest, SMALLEST)
        if through == "q":
            met = turned(moved @ self.own.query, self.own.rotation) @ self.key.T  # [offset, d_head, d_head]
        else:
            met = turned(moved @ self.own.key, self.own.rotation, back=True) @ self.query.T
        scores: Floats = _sizes(met) / np.maximum(size * self.qk_size, SMALLEST)
        return scores


def _sizes(matrices: Floats) -> Floats:
    """The Frobenius norm of each matrix: [offset, n, m] → [offset]."""
    sizes: Floats = np.sqrt((matrices**2).sum(axis=(1, 2)))
    return sizes


@cache
def random_score(d_model: int, d_head: int) -> float:
    """What heads with random weights score: the mean of seeded samples, the same for all three kinds."""
    source = np.random.default_rng(0)
    scores = []
    for _ in range(SAMPLES):
        read, write, ask, answer = (source.standard_normal((d_model, d_head)) for _ in range(4))
        moved, key = triangle(read) @ write.T, triangle(answer)
        largest = np.linalg.norm(moved) * np.linalg.norm(triangle(ask) @ key.T)
        scores.append(np.linalg.norm(moved @ ask @ key.T) / largest)
    return float(np.mean(scores))
