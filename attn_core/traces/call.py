"""One attention call of a trace as it is kept: q, k, v, and the rules by which scores and patterns follow from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from attn_core import attention
from attn_core.blocks import CELLS, row_slices
from attn_core.masks import Mask, RelativeBias
from attn_core.precision import without_autocast


class Replaced(NamedTuple):
    """What stands in place of a head's part: `part` [query, d_head], put there in `rows`, bool [query], by a change."""

    part: Tensor
    rows: Tensor


@dataclass(frozen=True, eq=False)
class Call:
    """One attention call: query [head, query, d_head], key and value [group, key, d_head], and the rules for scores.

    `weighted_values` [query, head·d_head] is what the model's own attention returned: pattern · value, heads in a row;
    None in a trace that does not keep it, where it is computed.
    `replaced` holds what was put in place of a head's part of it, `forced` the patterns that were put in place of a
    head's own. The last `mask.beside` keys stand for no word; `sink` [head] is what each head has learnt as the
    score of the very last, whose value is 0.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Mask
    bias: RelativeBias | None
    scaling: float
    soft_cap: float | None
    weighted_values: Tensor | None
    replaced: Mapping[int, Replaced] = field(default_factory=dict)
    forced: Mapping[int, Tensor] = field(default_factory=dict)
    computed: Mapping[str, Tensor] = field(default_factory=dict)
    sink: Tensor | None = None

    @property
    def n_heads(self) -> int:
        return self.query.shape[0]

    def heads(self, which: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """(query, key, value) of one head, or of all of them, groups repeated: each [head, token, d_head]."""
        if which is None:
            shares = self.n_heads // self.key.shape[0]  # 1 where every head has a key of its own: nothing to repeat
            key, value = (
                x if shares == 1 else attention.repeat_groups(x, self.n_heads) for x in (self.key, self.value)
            )
            return self.query, key, value
        group = which // (self.n_heads // self.key.shape[0])
        one, shared = slice(which, which + 1), slice(group, group + 1)
        return self.query[one], self.key[shared], self.value[shared]  # [1, token, d_head] each: the head axis stays

    @property
    def n_query(self) -> int:
        return self.query.shape[1]

    @property
    def n_key(self) -> int:
        return self.key.shape[1]

    @property
    def n_words(self) -> int:
        """How many of the keys are words; the others come after them."""
        return self.n_key - self.mask.beside

    def rows(self, rows: slice) -> Call:
        """The same call as some queries alone make it, so that scores are a few rows and never a square.

        Where no query looks ahead, keys behind the last of these queries are left out.
        """
        n_key = min(rows.stop, self.n_key) if self.mask.is_causal else self.n_key
        return replace(
            self,
            query=self.query[:, rows],
            key=self.key[:, :n_key],
            value=self.value[:, :n_key],
            mask=self.mask if self.mask.is_open else Mask(cells=self.mask.rows(rows, n_key), beside=self.mask.beside),
            bias=None if self.bias is None else self.bias.rows(rows, self.n_query, min(n_key, self.n_words)),
            weighted_values=None if self.weighted_values is None else self.weighted_values[rows],
            replaced={head: Replaced(p.part[rows], p.rows[rows]) for head, p in self.replaced.items()},
            forced={head: cells[rows, :n_key] for head, cells in self.forced.items()},
        )

    def row_blocks(self, n_heads: int = 1) -> Iterator[tuple[slice, Call]]:
        """The call in blocks of queries, at most `blocks.CELLS` scores of `n_heads` heads each: (rows, their call)."""
        if self.is_one_block(n_heads):
            return iter([(slice(0, self.n_query), self)])
        return ((rows, self.rows(rows)) for rows in self._row_slices(n_heads))

    def is_one_block(self, n_heads: int = 1) -> bool:
        """Whether all of it is one of its `row_blocks`."""
        return len([*self._row_slices(n_heads)]) == 1

    def _row_slices(self, n_heads: int) -> Iterator[slice]:
        n_heads = n_heads if self.bias is None else self.n_heads  # rows of a bias are those of every head
        return row_slices(self.n_query, self.n_key * n_heads)

    @without_autocast()
    def scores(self, which: int | None) -> Tensor:
        """Before the softmax, [head, query, key]: scaled, capped, shifted by a position bias, masked cells −∞.

        Rows of filler, which may look nowhere, are NaN.
        """
        query, key, _ = self.heads(which)
        scores = attention.raw_scores(query, key) * self.scaling  # [head, query, d_head] · [head, d_head, key]
        if self.soft_cap is not None:
            scores = attention.soft_cap(scores, self.soft_cap)
        bias = self.position_bias(which)
        if bias is not None:
            scores = scores + bias  # one [query, key] a head
        if self.sink is not None:
            learnt = self.sink if which is None else self.sink[which : which + 1]
            scores[..., -1] = learnt[:, None]  # [head] → [head, query]
        if self.mask.is_open:
            return scores
        may_look = self.mask.may_look(*scores.shape[-2:]).to(scores.device)  # [query, key], alike for all heads
        blind = self.blind
        if blind is None:
            return attention.mask_scores(scores, may_look)
        return attention.mask_scores(scores, may_look | blind[:, None]).masked_fill(blind[:, None], math.nan)

    def position_bias(self, which: int | None) -> Tensor | None:
        """What a relative position adds to the scores of one head or of all, [head, query, key]; 0 beside words."""
        if self.bias is None:
            return None
        cells = self.bias.cells(which, self.n_query, self.n_words)  # [head, query, word]
        return torch.nn.functional.pad(cells, (0, self.mask.beside)) if self.mask.beside else cells

    @property
    def blind(self) -> Tensor | None:
        """Which queries are filler, which may look nowhere, bool [query]; None where there is none."""
        found = self.mask.blind(self.n_query, self.n_key)
        return None if found is None else found.to(self.query.device)

    def patterns(self, which: int | None) -> Tensor:
        """After the softmax, [head, query, key], computed a block at a time."""
        if which is None and self.n_heads * self.n_query * self.n_key > CELLS:
            return torch.cat([self.patterns(head) for head in range(self.n_heads)])  # [1, query, key] each
        n_heads = self.n_heads if which is None else 1
        if self.is_one_block(n_heads):
            return self._whole_patterns(which)
        patterns = self.query.new_zeros(1, self.n_query, self.n_key)  # what lies beyond a block's keys is masked
        for rows, block in self.row_blocks(n_heads):
            patterns[:, rows, : block.n_key] = block._whole_patterns(which)
        blind = self.blind
        return patterns if blind is None else patterns.masked_fill_(blind[:, None], math.nan)

    def _whole_patterns(self, which: int | None) -> Tensor:
        patterns = attention.softmax(self.scores(which))
        for head, cells in self.forced.items():
            if which in (None, head):
                patterns[0 if which == head else head] = cells
        return patterns

    @without_autocast()
    def weigh_values(self, which: int | None) -> Tensor:
        """pattern · value, computed anew, [head, query, d_head]; a replaced head gives what was put in its place."""
        if which is None and self.n_heads * self.n_query * self.n_key > CELLS:
            return torch.cat([self.weigh_values(head) for head in range(self.n_heads)])  # [1, query, d_head] each
        parts = [
            attention.weighted_values(block._whole_patterns(which), block.heads(which)[2])
            for _, block in self.row_blocks(self.n_heads if which is None else 1)
        ]
        weighted = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)  # [head, row, d_head] → all queries
        for head, (part, rows) in self.replaced.items():
            if which in (None, head):
                weighted[0 if which == head else head, rows] = part[rows]
        return weighted

    def given_values(self, which: int | None) -> Tensor:
        """pattern · value as the model's own attention returned it, [head, query, d_head]; a view of what is kept.

        What was forced or put in a head's place in this pass is in it. Computed anew where it was not kept.
        """
        if self.weighted_values is None:
            return self.weigh_values(which)
        heads = attention.split_heads(
            self.weighted_values, self.n_heads
        )  # [query, head·d_head] → [head, query, d_head]
        return heads if which is None else heads[which : which + 1]

    def given_rows(self, rows: slice | None = None) -> Tensor:
        """The same of all heads side by side, [query, head·d_head], or of some queries."""
        rows = slice(None) if rows is None else rows
        return (
            attention.join_heads(self.weigh_values(None))[rows]
            if self.weighted_values is None
            else self.weighted_values[rows]
        )
