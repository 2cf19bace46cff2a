"""What patching found as a table: of one pair of sentences, or the mean over several with its interval."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn_core.circuits.patching.answers import LogitDifference
from attn_core.circuits.patching.contrast import Contrast
from attn_core.circuits.patching.pairing import Pairs
from attn_core.places import Place

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["layer", "head", "position", "d_a", "d_b", "d_patched", "effect"]


class PatchedPair(NamedTuple):
    """Two sentences, how their positions are paired, what was put where, and a row of the table for each.

    On a path `places` are the senders, and no positions are paired where only whole tensors are exchanged.
    """

    contrast: Contrast
    pairs: Pairs | None
    places: list[Place]
    rows: list[tuple[Any, ...]]


def table_of_pairs(done: Sequence[PatchedPair]) -> pd.DataFrame:
    """The rows of one pair, or the means over several; what is to be said of them all is in `frame.attrs`."""
    frame = table_of(done[0].rows) if len(done) == 1 else _means([pair.rows for pair in done])
    contrasts = [pair.contrast for pair in done]
    frame.attrs["direction"], frame.attrs["measures"] = contrasts[0].direction, contrasts[0].answer.says
    frame.attrs["alike"] = list(dict.fromkeys(found.alike for found in contrasts if found.alike))
    frame.attrs["left_out"] = [said for pair in done if pair.pairs is not None and (said := pair.pairs.left_out())]
    frame.attrs["words"] = [f.answer.names for f in contrasts if isinstance(f.answer, LogitDifference)]
    for said in frame.attrs["alike"]:
        warnings.warn(said, stacklevel=3)
    return frame


def table_of(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """Rows as a table; layer, head and position are whole numbers, NA where they do not apply."""
    import pandas as pd

    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[:3], "Int64"))


def _means(pairs: Sequence[list[tuple[Any, ...]]]) -> pd.DataFrame:
    """Means over pairs, of the effect with its interval; pairs that answer alike have no effect and are not in `n`."""
    numbers = np.array([[row[3:] for row in rows] for rows in pairs], dtype=float)  # [pair, row, number]
    means = numbers.mean(axis=0)
    effects = numbers[~np.isnan(numbers[:, 0, 3]), :, 3]  # [pair that answers differently, row]
    n = len(effects)
    mean = effects.mean(axis=0) if n else np.full(len(means), np.nan)
    half = half_interval(effects)
    frame = table_of([(*row[:3], *own[:3], effect) for row, own, effect in zip(pairs[0], means, mean, strict=True)])
    return frame.assign(n=n, low=mean - half, high=mean + half)


def half_interval(effects: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Half the 95 % interval of the mean over pairs, [pair, row] → [row], by Student's t; NaN for fewer than two."""
    from scipy.stats import t

    n = len(effects)
    if n < 2:
        return np.full(effects.shape[1], np.nan)
    half: np.ndarray[Any, Any] = t.ppf(0.975, n - 1) * effects.std(axis=0, ddof=1) / np.sqrt(n)
    return half
