"""Rotary positions: a query and a key are turned by an angle that grows with their place in the sentence.

Two numbers of a vector make a point in a plane; the word at place m has that point turned by m·θ, one θ for each pair.
The dot product of a turned query and a turned key then depends on how far apart the two words are, not on where they
stand.

Source: Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from attn_core.tolerances import SMALLEST_SQUARE


@dataclass(frozen=True, eq=False)
class Rotation:
    """How far each pair of dimensions is turned at each place; dimensions in no pair stay as they are.

    `cos` and `sin` are [token, pair]; `first` and `second` [pair] say which two dimensions make a pair.
    """

    cos: Tensor
    sin: Tensor
    first: Tensor
    second: Tensor

    @property
    def angles(self) -> Tensor:
        """The turns in radians, between −π and π, [token, pair]."""
        return torch.atan2(self.sin, self.cos)

    def at(self, places: Tensor) -> Rotation:
        """The same rotation for words that stand at other places: row i is what place `places[i]` had.

        >>> pair = torch.tensor([0]), torch.tensor([1])
        >>> Rotation(torch.zeros(2, 1), torch.tensor([[0.0], [1.0]]), *pair).at(torch.tensor([1, 0])).sin.tolist()
        [[1.0], [0.0]]
        """
        return Rotation(self.cos[places], self.sin[places], self.first, self.second)


def apply_rotary(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn every pair of dimensions by its angle: [token, d_head] → [token, d_head]. Lengths do not change.

    >>> quarter = Rotation(torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([0]), torch.tensor([1]))
    >>> apply_rotary(torch.tensor([[1.0, 0.0, 5.0]]), quarter).tolist()
    [[0.0, 1.0, 5.0]]
    """
    across, up = x[..., rotation.first], x[..., rotation.second]  # [token, pair] each
    turned = x.clone()
    turned[..., rotation.first] = across * rotation.cos - up * rotation.sin
    turned[..., rotation.second] = across * rotation.sin + up * rotation.cos
    return turned


def fit_rotary(before: Tensor, after: Tensor, tolerance: float) -> Rotation | None:
    """The rotation that leads from `before` to `after`, both [vector, token, d_head]; None where none does.

    Families differ in which dimensions make a pair, in how many are turned and in how θ is chosen. Rather than keep a
    table of them, this tries every pairing, reads the angle of each pair off the vectors, and keeps what fits.
    """
    for first, second in _pairings(before.shape[-1]):
        rotation = _fit(before, after, first, second)
        miss = apply_rotary(before, rotation) - after
        if miss.norm() <= tolerance * after.norm():
            return rotation
    return None


def _pairings(d_head: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Halves (0 with w/2, 1 with w/2 + 1, …) and neighbours (0 with 1, 2 with 3, …), of the first w dimensions."""
    for width in range(d_head - d_head % 2, 0, -2):
        yield torch.arange(width // 2), torch.arange(width // 2, width)
        yield torch.arange(0, width, 2), torch.arange(1, width, 2)


def _fit(before: Tensor, after: Tensor, first: Tensor, second: Tensor) -> Rotation:
    """The turn of each pair that explains all vectors best: the least-squares factor between complex numbers."""
    old = torch.complex(before[..., first].double(), before[..., second].double())  # [vector, token, pair]
    new = torch.complex(after[..., first].double(), after[..., second].double())
    length = (old.abs() ** 2).sum(dim=0)  # [token, pair]
    factor = (old.conj() * new).sum(dim=0) / length.clamp_min(SMALLEST_SQUARE)
    factor = torch.where(length > 0, factor, torch.ones_like(factor))
    return Rotation(factor.real.to(before.dtype), factor.imag.to(before.dtype), first, second)
