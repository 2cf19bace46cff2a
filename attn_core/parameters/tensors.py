"""What a table is made of: sides with names, pieces of tensors, and one row for each tensor of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """One side of a tensor, as the product that explains it.

    >>> width = size(heads=12) * size(d_head=64)
    >>> width.n, width.formula
    (768, 'heads × d_head')
    """

    factors: tuple[tuple[str, int], ...]

    def __mul__(self, other: Size) -> Size:
        return Size(self.factors + other.factors)

    @property
    def n(self) -> int:
        """The product."""
        return math.prod(number for _, number in self.factors)

    @property
    def formula(self) -> str:
        """The names: `heads × d_head`."""
        return " × ".join(name for name, _ in self.factors)

    @property
    def numbers(self) -> str:
        """The numbers: `12 × 64`, with commas in large ones."""
        return " × ".join(f"{number:,}" for _, number in self.factors)


def size(**factors: int) -> Size:
    """A named side of a tensor: `size(d_model=768)`."""
    return Size(tuple(factors.items()))


@dataclass(frozen=True)
class Piece:
    """What one stretch of a tensor is for. Most tensors are one piece; a fused projection is query, key and value."""

    role: str
    size: Size


@dataclass(frozen=True)
class Row:
    """One tensor, and how many times it occurs.

    `name` is the library's own, with `{}` where the number of the block stands; `layers` are those numbers.
    `tied_to` names the tensor whose numbers this one shares: such a row is shown and adds nothing to a total.
    `kind` is matrix, bias, norm or fixed (numbers that are stored but never learnt, such as sinusoids).
    """

    name: str
    what: str
    part: str
    kind: str
    place: str
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]
    layers: Sequence[int] = range(1)
    tied_to: str | None = None
    sublayer: str = ""

    @property
    def count(self) -> int:
        """Numbers in one occurrence."""
        return math.prod(self.shape)

    @property
    def times(self) -> int:
        """How many blocks have one."""
        return len(self.layers)

    @property
    def occurrences(self) -> int:
        """Numbers in all occurrences, whether they are shared or not."""
        return self.count * self.times

    @property
    def total(self) -> int:
        """What the row adds to the model: 0 where the numbers are another tensor's."""
        return 0 if self.tied_to else self.occurrences

    @property
    def formula(self) -> str:
        """The product with its names and its numbers: `d_model × d_ff = 768 × 3,072`."""
        sizes = [piece.size for piece in self.pieces]
        names, numbers = " + ".join(s.formula for s in sizes), " + ".join(s.numbers for s in sizes)
        if len(sizes) > 1 and len({size.factors for size in sizes}) == 1:
            names, numbers = f"{len(sizes)} × {sizes[0].formula}", f"{len(sizes)} × {sizes[0].numbers}"
        return f"{names} = {numbers}" if any(name for size in sizes for name, _ in size.factors) else numbers

    def names(self) -> list[str]:
        """The tensors' real names, one for each occurrence."""
        return [self.name.format(layer) for layer in self.layers] if "{}" in self.name else [self.name]
