"""Why scores are divided by √d: how widely dot products of real vectors spread, for vectors of more and more numbers.

A score is a sum of d products. Where products know nothing of each other their variances add up, so the spread
(standard deviation) of the sum grows like √d. Source: Vaswani et al. 2017, section 3.2.1, footnote 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attn_core.traces.stream import StreamTrace

Array = NDArray[np.float32]
SIZES = (8, 16, 32, 64, 128, 256, 512)
DRAWS = 12  # which numbers take part is drawn so often for each size
MOST_WORDS = 24  # of a long sentence: so many words already give thousands of scores


@dataclass(frozen=True, eq=False)
class ScoreSpread:
    """Scores of vectors of `d` numbers, float32 [score], as they are and divided by √d."""

    d: int
    scores: Array

    @property
    def divided(self) -> Array:
        return self.scores / np.float32(np.sqrt(self.d))

    @property
    def spread(self) -> float:
        """Standard deviation of the scores."""
        return float(self.scores.std())


def score_spreads(query: Array, key: Array, sizes: tuple[int, ...] = SIZES) -> list[ScoreSpread]:
    """Dot products of queries [query, n] and keys [key, n] over `d` of their n numbers, for every size `d` up to n.

    The d numbers of the queries and the d numbers of the keys are drawn apart, so that what a head has learnt of one
    with the other plays no part; the mean of all words is taken off first, so that only differences count. The draws
    are the same at every call.
    """
    query, key = query - query.mean(axis=0), key - key.mean(axis=0)
    n, dice = query.shape[1], np.random.default_rng(0)
    found = []
    for d in (size for size in sizes if size <= n):
        draws = [
            (query[:, dice.permutation(n)[:d]] @ key[:, dice.permutation(n)[:d]].T).ravel()  # [query · key]
            for _ in range(DRAWS)
        ]
        found.append(ScoreSpread(d, np.concatenate(draws).astype(np.float32)))
    return found


def spreads_of(stream: StreamTrace) -> list[ScoreSpread]:
    """`score_spreads` of the queries and keys of all heads of a model, side by side, for the words that it has read.

    Rows of a trace that are no numbers (padding) are left out.
    """
    heads = [(layer, head) for layer in range(stream.n_layers) for head in range(stream.n_heads)]
    query = np.concatenate([stream.query(*each)[:MOST_WORDS] for each in heads], axis=1)  # [query, layer·head·d_head]
    key = np.concatenate([stream.key(*each)[:MOST_WORDS] for each in heads], axis=1)  # [key, layer·head·d_head]
    return score_spreads(query[np.isfinite(query).all(axis=1)], key[np.isfinite(key).all(axis=1)])
