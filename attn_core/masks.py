"""Which query may look at which key. True means "may look", everywhere in this library.

A mask is kept as a rule, never as a square of cells, so that what a trace holds grows with the sentence and not with
its square; `Mask.may_look` draws the square when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attn_core.blocks import row_slices


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

    `cells` is only set where a model's mask follows no such rule; it then holds the square itself. `beside` counts the
    last keys that stand for no word (virtual tokens, a learned sink): the rule is of the words before them, and every
    query may see those of them that are real. `asks` is set where some queries are filler, which look nowhere: bool
    [query], True where a query is a real token.

    >>> Mask(ahead=0).may_look(2, 2).tolist()
    [[True, False], [True, True]]
    """

    back: int | None = None
    ahead: int | None = None
    real: Tensor | None = None
    cells: Tensor | None = None
    beside: int = 0
    asks: Tensor | None = None

    @property
    def is_open(self) -> bool:
        """Whether every query may see every key."""
        return self.back is None and all(x is None for x in (self.ahead, self.real, self.cells, self.asks))

    @property
    def is_causal(self) -> bool:
        """Whether no query may look at a later key."""
        return self.ahead == 0 and not self.beside

    def may_look(self, n_query: int, n_key: int) -> Tensor:
        """The mask as a square, bool [query, key]."""
        return self.cells if self.cells is not None else self.rows(slice(0, n_query), n_key)

    def rows(self, rows: slice, n_key: int) -> Tensor:
        """Some rows of the square, bool [row, key], without the others.

        >>> Mask(ahead=0).rows(slice(2, 3), 4).tolist()
        [[True, True, True, False]]
        """
        if self.cells is not None:
            return self.cells[rows, :n_key]
        may_look = torch.ones(rows.stop - rows.start, n_key - self.beside, dtype=torch.bool)
        if self.ahead is not None:
            may_look.tril_(self.ahead + rows.start)
        if self.back is not None:
            may_look.triu_(rows.start - self.back)
        if self.beside:  # [row, word] → [row, key]
            may_look = torch.cat([may_look, may_look.new_ones(len(may_look), self.beside)], dim=1)
        if self.real is not None:
            may_look &= padding(self.real[:n_key], len(may_look))
        if self.asks is not None:
            may_look &= self.asks[rows, None]
        return may_look

    def everyone_sees(self, n_query: int, n_key: int) -> bool:
        """Whether every query has a key that it may look at; of a rule without drawing its square.

        >>> Mask(back=-1).everyone_sees(2, 2), Mask(ahead=0).everyone_sees(2, 2)
        (False, True)
        """
        return self._sees_itself(n_query, n_key) or bool(self._sees(n_query, n_key).all())

    def _sees_itself(self, n_query: int, n_key: int) -> bool:
        """Whether the two distances alone say that each query sees the key in its own place, or one before it."""
        if not (self.real is self.cells is self.asks is None) or (self.ahead or 0) < 0:
            return False
        return self.back is None or (self.back >= 0 and n_query <= n_key - self.beside)

    def _sees(self, n_query: int, n_key: int) -> Tensor:
        """Which queries have a key that they may look at, bool [query]; of a rule without drawing its square."""
        if self.cells is not None:
            return self.cells.any(dim=-1)
        real = torch.ones(n_key, dtype=torch.bool) if self.real is None else self.real
        n_words = n_key - self.beside
        query = torch.arange(n_query)
        first = torch.zeros_like(query) if self.back is None else (query - self.back).clamp(0, n_words)
        end = torch.full_like(query, n_words) if self.ahead is None else (query + self.ahead + 1).clamp(0, n_words)
        before = torch.cat([torch.zeros(1, dtype=torch.long), real.cumsum(dim=0)])  # real keys before each: [key + 1]
        sees = (before[end] > before[first]) | real[n_words:].any()
        return sees if self.asks is None else sees & self.asks

    def blind(self, n_query: int, n_key: int) -> Tensor | None:
        """Which queries may look at no key, bool [query]; None where each has one. Filler alone has none.

        >>> Mask(ahead=0, real=torch.tensor([False, True])).blind(2, 2).tolist()
        [True, False]
        """
        return None if self.everyone_sees(n_query, n_key) else ~self._sees(n_query, n_key)

    def with_keys(self, n: int, n_key: int, seen: bool = True) -> Mask:
        """The same with `n` keys more after its `n_key`, which stand for no word and which every query sees, or none.

        >>> Mask(ahead=0).with_keys(1, 2).may_look(2, 3).tolist()
        [[True, False, True], [True, True, True]]
        """
        real = torch.ones(n_key, dtype=torch.bool) if self.real is None and not seen else self.real

        def wider(flags: Tensor | None) -> Tensor | None:
            return None if flags is None else torch.cat([flags, flags.new_full((*flags.shape[:-1], n), seen)], dim=-1)

        return replace(self, real=wider(real), cells=wider(self.cells), beside=self.beside + n)

    @classmethod
    def of(cls, square: Tensor, filler: Tensor | None = None) -> Mask:
        """Find the rule behind a square [query, key] of flags, or of what is added to scores, see `flags`.

        Queries that are `filler`, bool [query], look nowhere, whatever the square says. Where there is no rule, its
        flags are kept.

        >>> right = padding(torch.tensor([True, True, False]), n_query=3) & causal(3, 3)
        >>> Mask.of(right, filler=torch.tensor([False, False, True])).may_look(3, 3)[2].tolist()
        [False, False, False]
        """
        n_query, n_key = square.shape
        real = torch.zeros(n_key, dtype=torch.bool)

        def seen(rows: slice) -> Tensor:
            found = flags(square[rows])
            return found if filler is None else found & ~filler[rows, None]

        for rows in row_slices(n_query, n_key):
            real |= seen(rows).any(dim=0)
        if not bool(real.any()):
            return cls(cells=torch.zeros(n_query, n_key, dtype=torch.bool))
        ahead, back = _reach(seen, n_query, n_key)
        rule = cls(
            back=None if back >= n_query - 1 else back,
            ahead=None if ahead >= n_key - 1 else ahead,
            real=None if bool(real.all()) else real,
        )
        for found in [rule] if filler is None else [rule, replace(rule, asks=~filler)]:
            if all(torch.equal(found.rows(rows, n_key), seen(rows)) for rows in row_slices(n_query, n_key)):
                return found
        return cls(cells=torch.cat([seen(rows) for rows in row_slices(n_query, n_key)]))


def flags(square: Tensor) -> Tensor:
    """Which cells may be seen, bool: of what a model adds to scores, those that get no number as low as there is.

    >>> flags(torch.tensor([0.0, -1.5, -3.4e38])).tolist()
    [True, True, False]
    """
    return square if square.dtype == torch.bool else square > torch.finfo(square.dtype).min / 2


def _reach(seen: Callable[[slice], Tensor], n_query: int, n_key: int) -> tuple[int, int]:
    """How far ahead and how far back queries look at most; `seen(rows)` is bool [row, key], with something to see."""
    ahead, back = -n_query, -n_key
    for rows in row_slices(n_query, n_key):
        may_look = seen(rows)
        some = may_look.any(dim=-1)
        if not bool(some.any()):
            continue
        query = torch.arange(rows.start, rows.stop)[some]
        numbers = may_look[some].to(torch.uint8)
        first, from_end = numbers.argmax(dim=-1), numbers.flip(-1).argmax(dim=-1)  # argmax is the first of equals
        ahead = max(ahead, int((n_key - 1 - from_end - query).max()))
        back = max(back, int((query - first).max()))
    return ahead, back


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
        n_key = cells.shape[2]
        pieces = row_slices(n_query, n_key * len(cells))
        same = all(torch.equal(rule.rows(rows, n_query, n_key).values, cells[:, rows]) for rows in pieces)
        return rule if same else cls(cells.clone())

    def cells(self, head: int | None, n_query: int, n_key: int) -> Tensor:
        """The bias as a square, of one head or of all: [head, query, key].

        >>> RelativeBias(torch.tensor([[-1.0, 0.0, 1.0]])).cells(0, 2, 2)[0].tolist()
        [[0.0, 1.0], [-1.0, 0.0]]
        """
        heads = slice(None) if head is None else slice(head, head + 1)
        return RelativeBias(self.values[heads]).rows(slice(0, n_query), n_query, n_key).values

    def rows(self, rows: slice, n_query: int, n_key: int) -> RelativeBias:
        """The same bias for some queries alone, [head, row, key], without the square."""
        if self.values.dim() == 3:
            return RelativeBias(self.values[:, rows, :n_key])
        # Row q of the square is the part of `values` that begins at distance −q: windows that move back one a row.
        windows = self.values.unfold(-1, n_key, 1)  # [head, distance] → [head, start, key], a view
        return RelativeBias(windows[:, n_query - rows.stop : n_query - rows.start].flip(1))
