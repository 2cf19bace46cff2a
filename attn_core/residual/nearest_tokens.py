"""Directions read as words: which entries of a vocabulary a vector points to, and which of them beat chance.

Nothing here copies the vocabulary: it is read in chunks, so that 250,000 words cost no more memory than 8,192.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attn_core.tolerances import SMALLEST_NORM

Array = NDArray[np.floating]
CHUNK = 1024  # rows of 384 numbers stay in a core's own cache while they are read twice: a sixth faster than 2048
AHEAD = 8  # chunks whose scores are put in order at once
FEW = 8  # vectors: for fewer the product is twice as fast with the vocabulary first
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

    def part(self, vectors: Sequence[int], count: int) -> NearestTokens:
        """Some of the vectors and their best `count` words, judged as if only they had been looked up."""
        at = list(vectors)
        return NearestTokens(
            self.ids[at, :count], self.scores[at, :count], self.mean[at], self.spread[at], self.n_words
        )

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
    search of the whole table, but never holds more than `chunk` · `AHEAD` scores of a vector.
    """
    return _ends(matrix, vectors, count, (not away,), measure, chunk)[0]


def both_ends(
    matrix: Tensor,
    vectors: Array,
    count: int,
    *,
    measure: Literal["cosine", "dot"] = "cosine",
    chunk: int = CHUNK,
) -> tuple[NearestTokens, NearestTokens]:
    """The words that each vector points to, and those that it points away from, in one pass through the vocabulary."""
    towards, away = _ends(matrix, vectors, count, (True, False), measure, chunk)
    return towards, away


def _ends(
    matrix: Tensor, vectors: Array, count: int, wanted: Sequence[bool], measure: Literal["cosine", "dot"], chunk: int
) -> list[NearestTokens]:
    """For each of `wanted`: the words with the largest scores (True) or with the smallest."""
    targets = torch.as_tensor(np.asarray(vectors), dtype=torch.float32)
    targets = targets / _lengths(targets)[:, None] if measure == "cosine" else targets  # ÷ [vector, 1]
    ends = [_Best(len(targets), min(count, len(matrix)), largest) for largest in wanted]
    total, squares = torch.zeros(len(targets), dtype=torch.float64), torch.zeros(len(targets), dtype=torch.float64)
    for start in range(0, len(matrix), chunk * AHEAD):
        rows = matrix[start : start + chunk * AHEAD].detach()
        parts = [_scores(rows[at : at + chunk], targets, measure) for at in range(0, len(rows), chunk)]
        scores = torch.cat(parts, dim=1)  # [vector, up to chunk · AHEAD]
        total += scores.sum(1, dtype=torch.float64)
        squares += scores.double().square_().sum(1)
        for end in ends:
            end.add(scores, start)
    mean = total / len(matrix)
    spread = (squares / len(matrix) - mean.square()).clamp(min=0).sqrt()
    return [
        NearestTokens(end.ids.numpy(), end.scores.numpy(), mean.numpy(), spread.numpy(), len(matrix)) for end in ends
    ]


def _scores(rows: Tensor, targets: Tensor, measure: Literal["cosine", "dot"]) -> Tensor:
    """What the words `rows` [word, d_model] score with the targets, [vector, word]."""
    rows = rows.to(device="cpu", dtype=torch.float32)
    scores = (rows @ targets.T).T if len(targets) < FEW else targets @ rows.T
    return scores / _lengths(rows) if measure == "cosine" else scores


class _Best:
    """The `count` largest (or smallest) scores of each vector so far, and whose they are."""

    def __init__(self, n_vectors: int, count: int, largest: bool) -> None:
        self.scores = torch.empty(n_vectors, 0)
        self.ids = torch.empty(n_vectors, 0, dtype=torch.long)
        self._count, self._largest = count, largest

    def add(self, scores: Tensor, start: int) -> None:
        """Scores [vector, word] of the words from `start` on."""
        top = scores.topk(min(self._count, scores.shape[1]), largest=self._largest)
        both = torch.cat([self.scores, top.values], 1)
        self.scores, place = both.topk(min(self._count, both.shape[1]), largest=self._largest)
        self.ids = torch.cat([self.ids, top.indices + start], 1).gather(1, place)


def _lengths(rows: Tensor) -> Tensor:
    """The length of every row."""
    result: Tensor = torch.linalg.vector_norm(rows, dim=-1).clamp_(min=SMALLEST_NORM)
    return result
