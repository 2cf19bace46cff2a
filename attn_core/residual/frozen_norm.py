"""A LayerNorm or RMSNorm held at the scale that it really had, so that it is linear and sums can be read part by part.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (norms folded into what follows).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attn_core.tolerances import SMALLEST_SQUARE

Array = NDArray[np.floating]
Floats = NDArray[np.float64]
CENTRED = 1e-3  # a norm that takes the mean away loses a constant, up to rounding of the larger numbers
EXPLAINED = 1e-4  # relative: what a frozen norm may miss of the norm's own result, which is float32


@dataclass(frozen=True, eq=False)
class FrozenNorm:
    """A normalisation held at what it did to one token or to several, which makes it linear.

    x → (x − mean x)·scale + shift, with `scale` [..., d_model] one row a token and `shift` [d_model].
    LayerNorm: scale = γ / √(var + ε), shift = β. RMSNorm: `centred` is False, scale = γ / √(mean square + ε), shift 0.
    With the scale frozen the parts of a sum may be read one by one; in truth each of them also changes the scale.
    """

    scale: Floats
    shift: Floats
    centred: bool

    @classmethod
    def of(cls, norm: Callable[[Array], Array], x: Array) -> FrozenNorm:
        """Freeze any LayerNorm or RMSNorm, a function [..., d_model] → the same, at what it does to `x` [..., d_model].

        Found by what it computes: of zeros it makes its shift, of ±1 its scale up to one factor, of a constant added
        to x nothing if it is centred. Raises ValueError where the result does not give norm(x): it is another norm.
        What is not a number gives parts that are none.
        """
        x = np.asarray(x, dtype=np.float64)
        signs = np.where(np.arange(x.shape[-1]) % 2, -1.0, 1.0)  # [d_model]
        rows = x.reshape(-1, x.shape[-1])  # [..., d_model] → [row, d_model]
        asked = np.concatenate([np.zeros((1, x.shape[-1])), signs[None], rows, rows + np.abs(x).max()])
        answers = norm(asked).astype(np.float64)  # once for all: a norm looks at each row alone
        shift, of_signs = answers[0], answers[1]  # [d_model] each
        result, moved = (part.reshape(x.shape) for part in np.split(answers[2:], 2))
        centred = bool(np.abs(moved - result).max() < CENTRED * np.abs(result).max())
        shape = (of_signs - shift) * signs  # γ ÷ √(1 + ε)
        plain = cls(shape, shift, centred).part(x)
        sizes = np.maximum((plain**2).sum(axis=-1, keepdims=True), SMALLEST_SQUARE)
        factor = ((result - shift) * plain).sum(axis=-1, keepdims=True) / sizes  # [..., 1]: least squares, one a token
        frozen = cls(shape * factor, shift, centred)
        missed = np.abs(frozen.whole(x) - result).max()
        if np.isfinite(result).all() and not missed <= EXPLAINED * np.abs(result).max():
            raise ValueError("this is neither a LayerNorm nor an RMSNorm, so it cannot be read part by part")
        return frozen

    def part(self, x: Array) -> Floats:
        """What one part of the sum becomes, [..., d_model]; the shift belongs to no part."""
        x = np.asarray(x, dtype=np.float64)
        if not self.centred:
            return x * self.scale
        part: Floats = x - x.mean(axis=-1, keepdims=True)
        part *= self.scale
        return part

    def whole(self, x: Array) -> Floats:
        """What the sum itself becomes, [..., d_model]: `part` plus the shift."""
        return self.part(x) + self.shift

    def direction_before(self, direction: Array) -> Floats:
        """The direction before the norm along which x has what `part(x)` has along this one, [..., d_model].

        part(x) · direction = x · direction_before(direction), so what follows a norm can be read off before it.
        """
        scaled = np.asarray(direction, dtype=np.float64) * self.scale
        before: Floats = scaled - scaled.mean(axis=-1, keepdims=True) if self.centred else scaled
        return before
