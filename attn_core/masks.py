"""Which query may look at which key. True means "may look", everywhere in this library.

A mask is kept as a rule, never as a square of cells, so that what a trace holds grows with the sentence and not with
its square; `Mask.may_look` draws the square when somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def causal(n_query: int, n_key: int) -> Tensor:
    """A word may look at itself and back, never ahead: bool [query, key].

    >>> causal(2, 2).tolist()
    [[True, False], [True, True]]
    """
    return torch.ones(n_query, n_key, dtype=torch.bool).tril()


def window(n_query: int, n_key: int, size: int) -> Tensor:
    """A causal mask that also forgets: a word sees itself and the `size` − 1 words before it, bool [query, key].

    >>> window(3, 3, size=2)[2].tolist()
    [False, True, True]
    """
    return torch.ones(n_query, n_key, dtype=torch.bool).tril().triu(1 - size)


def padding(real: Tensor, n_query: int) -> Tensor:
    """Nobody may look at filler: `real` bool [key], True where a key is a real token → bool [query, key].

    >>> padding(torch.tensor([True, False]), n_query=1).tolist()
    [[True, False]]
    """
    return real.expand(n_query, -1)


@dataclass(frozen=True, eq=False)
class Mask:
    """The rule by which queries may see keys: how far back, how far ahead (None: no limit), and which keys are real.

    `cells` is only set where a model's mask follows no such rule; it then holds the square itself.

    >>> Mask(ahead=0).may_look(2, 2).tolist()
    [[True, False], [True, True]]
    """

    back: int | None = None
    ahead: int | None = None
    real: Tensor | None = None
    cells: Tensor | None = None

    @property
    def is_open(self) -> bool:
        """Whether every query may see every key."""
        return self.back is None and self.ahead is None and self.real is None and self.cells is None

    @property
    def is_causal(self) -> bool:
        """Whether no query may look at a later key."""
        return self.ahead == 0

    def may_look(self, n_query: int, n_key: int) -> Tensor:
        """The mask as a square, bool [query, key]."""
        if self.cells is not None:
            return self.cells
        allowed = torch.ones(n_query, n_key, dtype=torch.bool)
        if self.ahead is not None:
            allowed = allowed.tril(self.ahead)
        if self.back is not None:
            allowed = allowed.triu(-self.back)
        if self.real is not None:
            allowed = allowed & padding(self.real, n_query)
        return allowed

    @classmethod
    def of(cls, cells: Tensor) -> Mask:
        """Find the rule behind a square of cells, bool [query, key]; keep the square where there is none."""
        n_query, n_key = cells.shape
        real = cells.any(dim=0)
        every = None if bool(real.all()) else real
        offset = torch.arange(n_key)[None, :] - torch.arange(n_query)[:, None]  # how far ahead a key lies
        seen = offset[cells]
        if seen.numel() == 0:
            return cls(cells=cells)
        ahead, back = int(seen.max()), -int(seen.min())
        rule = cls(back=None if back >= n_query - 1 else back, ahead=None if ahead >= n_key - 1 else ahead, real=every)
        return rule if bool((rule.may_look(n_query, n_key) == cells).all()) else cls(cells=cells.clone())
