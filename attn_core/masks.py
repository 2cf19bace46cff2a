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


@dataclass(frozen=True, eq=False)
class RelativeBias:
    """What a relative position adds to scores, one number a head and distance, as T5 has it (Raffel et al. 2020, 2.1).

    `values` is [head, distance], the distance key − query counted from −(n_query − 1); where a model's bias is no
    function of the distance, the square [head, query, key] itself.
    """

    values: Tensor

    @classmethod
    def of(cls, cells: Tensor) -> RelativeBias | None:
        """Find the rule behind [head, query, key]; None where nothing is added."""
        if not bool(cells.any()):
            return None
        n_query = cells.shape[1]
        rule = cls(torch.cat([cells[:, :, 0].flip(-1), cells[:, 0, 1:]], dim=-1).contiguous())
        same = torch.equal(rule.cells(None, n_query, cells.shape[2]), cells)
        return rule if same else cls(cells.clone())

    def cells(self, head: int | None, n_query: int, n_key: int) -> Tensor:
        """The bias as a square, of one head or of all: [head, query, key].

        >>> RelativeBias(torch.tensor([[-1.0, 0.0, 1.0]])).cells(0, 2, 2)[0].tolist()
        [[0.0, 1.0], [-1.0, 0.0]]
        """
        values = self.values if head is None else self.values[head : head + 1]
        if values.dim() == 3:
            return values
        distance = torch.arange(n_key)[None, :] - torch.arange(n_query)[:, None] + n_query - 1
        return values[:, distance]

    def row(self, query: int, n_query: int, n_key: int) -> RelativeBias:
        """The same bias for one query alone, [head, 1, key], without the square."""
        if self.values.dim() == 3:
            return RelativeBias(self.values[:, query : query + 1])
        start = n_query - 1 - query
        return RelativeBias(self.values[:, None, start : start + n_key])
