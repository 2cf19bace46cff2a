"""When each word was said: cross-attention of a few heads, and the cheapest way through it that never goes back.

Source: Radford et al. 2022, section 4.1 and the code published with it (`whisper/timing.py`): normalise each head over
the words, smooth over time, take the mean, and align by dynamic time warping (Sakoe and Chiba 1978).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attn_core.tolerances import SMALLEST

Floats = NDArray[np.floating[Any]]
POSITIONS_A_SECOND = 50  # of the encoder: two frames of 10 ms each
SMOOTHED = 7  # positions under the median


class Step(NamedTuple):
    """A step of the way: a row, and the time at which it is entered or stayed in."""

    row: int
    time: int


def token_starts(weights: Floats, opening: int = 1) -> Floats:
    """Cross-attention [head, row, position] of some heads, cut to the recording → when each token begins, in seconds.

    Rows are those of a whole transcript: its first `opening` signs, after which row i produces token i, and its end
    sign, which produces nothing. So there is one time more than tokens: where the last one ends. They begin in order,
    the first at 0.
    """
    from scipy.ndimage import median_filter

    shares = weights / np.maximum(weights.sum(axis=-1, keepdims=True), SMALLEST)  # of what fell on the recording
    spread = shares.std(axis=1, keepdims=True)  # over the rows: what every word looks at says nothing of one
    normal = (shares - shares.mean(axis=1, keepdims=True)) / np.maximum(spread, SMALLEST)
    clear = median_filter(normal, size=(1, 1, SMOOTHED), mode="reflect").mean(axis=0)[opening:-1]  # [row, position]
    way = cheapest_way(-clear)
    first = {step.row: step.time for step in reversed(way)}  # the earliest time of each row
    return np.array([first[row] / POSITIONS_A_SECOND for row in range(len(clear))])


def cheapest_way(cost: Floats) -> list[Step]:
    """The cells from the first to the last of a matrix [row, time] whose costs sum to least; a step goes on by one row,
    one time, or both.

    >>> [tuple(step) for step in cheapest_way(np.array([[0.0, 0.0, 9.0], [9.0, 9.0, 0.0]]))]
    [(0, 0), (0, 1), (1, 2)]
    """
    n_rows, n_times = cost.shape
    total = np.full((n_rows + 1, n_times + 1), np.inf)
    total[0, 0] = 0
    came = np.zeros((n_rows + 1, n_times + 1), dtype=np.int8)  # 0: from both, 1: from the row before, 2: from the time
    for row in range(1, n_rows + 1):
        above, here, own, from_ = total[row - 1].tolist(), total[row].tolist(), cost[row - 1].tolist(), came[row]
        for time in range(1, n_times + 1):
            both, before, stayed = above[time - 1], above[time], here[time - 1]
            if both < before and both < stayed:
                best, way = both, 0
            elif before < both and before < stayed:
                best, way = before, 1
            else:
                best, way = stayed, 2
            here[time], from_[time] = own[time - 1] + best, way
        total[row] = here
    return _traced_back(came)


def _traced_back(came: NDArray[np.int8]) -> list[Step]:
    row, time = came.shape[0] - 1, came.shape[1] - 1
    came[0, :], came[:, 0] = 2, 1
    way = []
    while row > 0 or time > 0:
        way.append(Step(row - 1, time - 1))
        step = came[row, time]
        row, time = row - int(step != 2), time - int(step != 1)
    return [step for step in way[::-1] if step.row >= 0 and step.time >= 0]
