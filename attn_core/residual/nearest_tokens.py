"""Directions read as words: which entries of a vocabulary a vector points to, and which of them beat chance.

Nothing here copies the vocabulary: it is read in chunks, so that 250,000 words cost no more memory than 8,192.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.floating]
CHUNK = 8192
CHANCE = 0.05  # how often something without meaning may stand out


@dataclass(frozen=True, eq=False)
class NearestTokens:
    """The words that score highest, best first: `ids` and `scores` [vector, rank].

    `mean` and `spread` [vector] describe the scores of the *whole* vocabulary, so that a reader can tell a word that
    stands out from the best of many that do not.
    """

    ids: NDArray[np.int64]
    scores: Array
    mean: Array
    spread: Array
    n_words: int

    @property
    def deviations(self) -> Array:
        """How many standard deviations each score lies above the vocabulary's mean, [vector, rank]."""
        above = self.scores - self.mean[:, None]
        return np.divide(above, self.spread[:, None], out=np.zeros_like(above), where=self.spread[:, None] > 0)

    @property
    def stands_out(self) -> NDArray[np.bool_]:
        """Which words lie further out than chance explains, bool [vector, rank]."""
        return np.abs(self.deviations) > self.chance_level

    @property
    def chance_level(self) -> float:
        """In standard deviations, what the best of n words without meaning passes in one case of twenty.

        Exact for independent normal scores, with both ends of every vector that was looked up at once: all of them
        stay below with probability 0.95 (30,522 words: 4.79 for one vector, 5.32 for 16). Random directions through
        a real vocabulary pass it as rarely: 4 % of 2,000 in MiniLM's.
        """
        tested = max(self.n_words, 2) * max(len(self.ids), 1) * 2
        beyond = -math.expm1(math.log(1 - CHANCE) / tested)  # for a single word: 1 − 0.95^(1/tested)
        return -NormalDist().inv_cdf(beyond)


def nearest(
    matrix: Tensor,
    vectors: Array,
    count: int,
    *,
    measure: Literal["cosine", "dot"] = "cosine",
    away: bool = False,
    chunk: int = CHUNK,
) -> NearestTokens:
    """The words of `matrix` [word, d_model] nearest to each of `vectors` [vector, d_model].

    `measure` is the cosine of the angle, or the plain dot product: for an unembedding, what is added to the logit.
    `away` finds the words that the vector points away from; their scores keep their own (negative) sign. Equal to a
    search of the whole table, but never holds more than `chunk` rows of scores.
    """
    targets = torch.as_tensor(np.asarray(vectors), dtype=torch.float32)
    targets = _unit(targets) if measure == "cosine" else targets
    sign = -1.0 if away else 1.0
    count = min(count, len(matrix))
    best, ids = torch.empty(len(targets), 0), torch.empty(len(targets), 0, dtype=torch.long)
    total, squares = torch.zeros(len(targets), dtype=torch.float64), torch.zeros(len(targets), dtype=torch.float64)
    for start in range(0, len(matrix), chunk):
        rows = matrix[start : start + chunk].detach().float()
        scores = sign * (targets @ (_unit(rows) if measure == "cosine" else rows).T)  # [vector, chunk]
        total += scores.double().sum(1)
        squares += scores.double().square().sum(1)
        top = scores.topk(min(count, len(rows)))
        best, place = torch.cat([best, top.values], 1).topk(min(count, best.shape[1] + top.values.shape[1]))
        ids = torch.cat([ids, top.indices + start], 1).gather(1, place)
    mean = total / len(matrix)
    spread = (squares / len(matrix) - mean.square()).clamp(min=0).sqrt()
    return NearestTokens(ids.numpy(), sign * best.numpy(), sign * mean.numpy(), spread.numpy(), len(matrix))


def _unit(rows: Tensor) -> Tensor:
    result: Tensor = rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-30)
    return result
