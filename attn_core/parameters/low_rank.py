"""Why the value matrix is two thin ones: a head can only write what fits through its d_head numbers.

A full value matrix would take any vector of d_model numbers to any other. W_V takes them down to d_head, W_O's rows of
that head take them up again, and the product can have no more than d_head directions: its rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Factored:
    """The lesson's comparison for one head: numbers in a full value matrix and in the two thin ones.

    >>> gpt3 = Factored(d_model=12_288, d_head=128)
    >>> gpt3.full, gpt3.thin, gpt3.times
    (150994944, 3145728, 48.0)
    """

    d_model: int
    d_head: int

    @property
    def full(self) -> int:
        """d_model × d_model."""
        return self.d_model**2

    @property
    def thin(self) -> int:
        """2 × d_model × d_head: value (down) and output (value up)."""
        return 2 * self.d_model * self.d_head

    @property
    def query_and_key(self) -> int:
        """Numbers in the same head's query and key matrices."""
        return self.d_model * self.d_head + self.d_model * self.d_head

    @property
    def times(self) -> float:
        """How many times larger the full one is; below 1 the two are no saving, from d_head = d_model / 2 on."""
        return self.full / self.thin


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The singular values of one head's W_V · W_O, float64 [d_model], largest first, and how many are not nothing.

    `d_head` is what the rank can be at most. `rank` counts values above `floor`, the size of what float64 itself
    leaves behind: largest × d_model × 2⁻⁵² (numpy's rule for a rank).
    """

    values: np.ndarray
    d_head: int
    floor: float

    @property
    def rank(self) -> int:
        """How many directions the head can write to."""
        return int((self.values > self.floor).sum())

    @property
    def directions_for(self) -> dict[float, int]:
        """How many of the largest directions carry 50, 90 and 99 % of the sum of squares."""
        shares = np.cumsum(self.values**2) / (self.values**2).sum()
        return {share: int(np.searchsorted(shares, share) + 1) for share in (0.5, 0.9, 0.99)}


def thin_spectrum(w_v: np.ndarray, w_o: np.ndarray) -> Spectrum:
    """The same singular values as `spectrum` finds, but only the d_head that can be more than nothing, [d_head].

    They are those of a small square, R_V · R_Oᵀ, that is left once both thin matrices are written as directions times
    strengths (QR); for a page that needs them at once. Raises ValueError if the two do not fit.
    """
    _check_shapes(w_v, w_o)
    r_v = np.asarray(np.linalg.qr(w_v.astype(np.float64), mode="r"))  # [d_head, d_head]
    r_o = np.asarray(np.linalg.qr(w_o.astype(np.float64).T, mode="r"))  # [d_head, d_head]
    values = np.linalg.svd(r_v @ r_o.T, compute_uv=False)
    floor = float(values[0] * w_v.shape[0] * np.finfo(np.float64).eps)
    return Spectrum(values, w_v.shape[1], floor)


def spectrum(w_v: np.ndarray, w_o: np.ndarray) -> Spectrum:
    """The singular values of the whole product, computed from all d_model × d_model numbers and not from its factors.

    w_v: [d_model, d_head], w_o: [d_head, d_model]. Raises ValueError if they do not fit.
    """
    _check_shapes(w_v, w_o)
    product = w_v.astype(np.float64) @ w_o.astype(np.float64)
    values = np.linalg.svd(product, compute_uv=False)
    floor = float(values[0] * max(product.shape) * np.finfo(np.float64).eps)
    return Spectrum(values, w_v.shape[1], floor)


def _check_shapes(w_v: np.ndarray, w_o: np.ndarray) -> None:
    if w_v.ndim != 2 or w_o.ndim != 2 or w_v.shape[1] != w_o.shape[0]:
        raise ValueError(f"W_V {w_v.shape} and W_O {w_o.shape} do not fit; [d_model, d_head] and [d_head, d_model] do")
