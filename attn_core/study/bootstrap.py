"""The Poisson bootstrap over sentences: weights that depend on a row's number alone, and the interval of a mean.

In each replicate every sentence counts a random number of times, drawn from Poisson(1). The weight follows from the
seed, the sentence's row in the whole input and the replicate, so any machine draws the same, and shards add up.
Sources: Efron 1979; Hanley & MacGibbon 2006 (Poisson weights); Chamandy et al. 2012 (over several machines).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.stats import poisson

from attn_core.heads.sink import Floats

REPLICATES = 400
FEWEST = 20  # sentences from which an interval is given: of nominally 95 %, one of 5 sentences covers 83 %
LEVEL = 0.95
_CDF = poisson.cdf(np.arange(32), 1)  # P(weight ≤ 0), P(weight ≤ 1), …


def weights(seed: int, rows: Iterable[int], replicates: int) -> Floats:
    """How often each row counts in each replicate, [row, replicate]: Poisson(1) from a counter-based generator.

    >>> a = weights(0, [3, 8], 4); bool((a[1] == weights(0, [8], 4)[0]).all())
    True
    """
    raw = np.array([np.random.Philox(key=seed, counter=[0, 0, 0, row]).random_raw(replicates) for row in rows])
    uniform = (raw.reshape(-1, replicates) >> np.uint64(11)) * 2.0**-53  # [row, replicate], each in [0, 1)
    drawn: Floats = np.searchsorted(_CDF, uniform, side="right").astype(float)
    return drawn


def replicate_means(weighted: Floats, drawn: Floats) -> Floats:
    """The mean in every replicate: Σ weight · value ÷ Σ weight; NaN in an empty one, where no sentence was drawn."""
    means: Floats = np.divide(weighted, drawn, out=np.full(weighted.shape, np.nan), where=drawn > 0)
    return means


def interval(replicates: Floats) -> tuple[Floats, Floats]:
    """The middle `LEVEL` of the replicates' means, [replicate, number] → (low, high); empty replicates are left out."""
    found = np.full((2, replicates.shape[1]), np.nan)
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    there = ~np.isnan(replicates)
    whole = there.all(axis=0)
    found[:, whole] = np.quantile(replicates[:, whole], ends, axis=0)
    for column in np.flatnonzero(there.any(axis=0) & ~whole):
        found[:, column] = np.quantile(replicates[there[:, column], column], ends)
    return found[0], found[1]
