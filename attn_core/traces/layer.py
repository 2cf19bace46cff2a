"""One layer of a trace as it is kept: q, k, v, the rules for scores, and the tensors around the attention call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple, overload

import torch
from torch import Tensor, nn

from attn_core import attention
from attn_core.errors import HeadlightError
from attn_core.masks import CELLS, Mask, RelativeBias, row_slices
from attn_core.precision import through, without_autocast
from attn_core.tolerances import CHANGED, SMALLEST, TOLERANCES
from attn_core.traces.wiring import Site, Tap, changed_weights


class Replaced(NamedTuple):
    """What stands in place of a head's part: `part` [query, d_head], put there in `rows`, bool [query], by a change."""

    part: Tensor
    rows: Tensor


@dataclass(frozen=True, eq=False)
class Call:
    """One attention call: query [head, query, d_head], key and value [group, key, d_head], and the rules for scores.

    `weighted_values` [query, head·d_head] is what the model's own attention returned: pattern · value, heads in a row.
    `replaced` holds what was put in place of a head's part of it, `forced` the patterns that were put in place of a
    head's own.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Mask
    bias: RelativeBias | None
    scaling: float
    soft_cap: float | None
    weighted_values: Tensor
    replaced: Mapping[int, Replaced] = field(default_factory=dict)
    forced: Mapping[int, Tensor] = field(default_factory=dict)
    computed: Mapping[str, Tensor] = field(default_factory=dict)

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
            mask=self.mask if self.mask.is_open else Mask(cells=self.mask.rows(rows, n_key)),
            bias=None if self.bias is None else self.bias.rows(rows, self.n_query, n_key),
            weighted_values=self.weighted_values[rows],
            replaced={head: Replaced(p.part[rows], p.rows[rows]) for head, p in self.replaced.items()},
            forced={head: cells[rows, :n_key] for head, cells in self.forced.items()},
        )

    def row_blocks(self, n_heads: int = 1) -> Iterator[tuple[slice, Call]]:
        """The call in blocks of queries, at most `masks.CELLS` scores of `n_heads` heads each: (rows, their call)."""
        n_heads = n_heads if self.bias is None else self.n_heads  # rows of a bias are those of every head
        blocks = [*row_slices(self.n_query, self.n_key * n_heads)]
        return ((rows, self if len(blocks) == 1 else self.rows(rows)) for rows in blocks)

    @without_autocast()
    def scores(self, which: int | None) -> Tensor:
        """Before the softmax, [head, query, key]: scaled, capped, shifted by a position bias, masked cells −∞.

        Rows of filler, which may look nowhere, are NaN.
        """
        query, key, _ = self.heads(which)
        scores = attention.raw_scores(query, key) * self.scaling  # [head, query, d_head] · [head, d_head, key]
        if self.soft_cap is not None:
            scores = attention.soft_cap(scores, self.soft_cap)
        if self.bias is not None:
            scores = scores + self.bias.cells(which, *scores.shape[-2:])  # one [query, key] a head
        if self.mask.is_open:
            return scores
        may_look = self.mask.may_look(*scores.shape[-2:]).to(scores.device)  # [query, key], alike for all heads
        blind = self.blind
        if blind is None:
            return attention.mask_scores(scores, may_look)
        return attention.mask_scores(scores, may_look | blind[:, None]).masked_fill(blind[:, None], math.nan)

    @property
    def blind(self) -> Tensor | None:
        """Which queries are filler, which may look nowhere, bool [query]; None where there is none."""
        found = self.mask.blind(self.n_query, self.n_key)
        return None if found is None else found.to(self.query.device)

    def patterns(self, which: int | None) -> Tensor:
        """After the softmax, [head, query, key], computed a block at a time."""
        if which is None and self.n_heads * self.n_query * self.n_key > CELLS:
            return torch.cat([self.patterns(head) for head in range(self.n_heads)])  # [1, query, key] each
        blocks = [*self.row_blocks(self.n_heads if which is None else 1)]
        if len(blocks) == 1:
            return self._whole_patterns(which)
        patterns = self.query.new_zeros(1, self.n_query, self.n_key)  # what lies beyond a block's keys is masked
        for rows, block in blocks:
            patterns[:, rows, : block.n_key] = block._whole_patterns(which)
        return patterns

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

        What was forced or put in a head's place in this pass is in it.
        """
        heads = attention.split_heads(
            self.weighted_values, self.n_heads
        )  # [query, head·d_head] → [head, query, d_head]
        return heads if which is None else heads[which : which + 1]


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of one stream: its attention call, its wiring, and the tensors around it [token, d_model].

    `taps` holds what the model went on with; `computed`, what it had computed itself where a patch put something else.
    All of it is float32; `precision` names the number type that the model had it in.
    """

    site: Site
    call: Call
    taps: Mapping[Tap, Tensor]
    computed: Mapping[Tap, Tensor] = field(default_factory=dict)
    precision: str = "float32"

    def tap(self, tap: Tap | None, what: str) -> Tensor:
        """A tensor that was kept; raises HeadlightError, which says `what` is missing, where it could not be found."""
        if tap is None:
            raise HeadlightError(f"In this model's layer {self.site.layer}, {what} could not be found.")
        return self.taps[tap]

    def own(self, tap: Tap) -> Tensor:
        """What the model computed there itself, whether or not it went on with it: [token, d_model]."""
        return self.computed.get(tap, self.taps[tap])

    def put(self, tap: Tap | None) -> Tensor | None:
        """What a patch added there, [token, d_model]: what the model went on with minus what it had computed."""
        return None if tap is None or tap not in self.computed else self.taps[tap] - self.computed[tap]

    @without_autocast()
    def w_o(self, model: nn.Module) -> Tensor:
        """The output matrix W_O cut into heads: [head·d_head, d_model] → [head, d_head, d_model].

        Raises HeadlightError where it does not give what it gave in this pass: the weights were changed since.
        """
        weight = self._w_o(model)
        some = slice(None, None, max(1, self.call.n_query // 4))  # every row went through all of W_O: a few will do
        given, bias = self.own(self.site.projected)[some], self._bias(model)
        ours = self.call.weighted_values[some] @ weight
        if _differ(ours if bias is None else ours + bias, given, max(CHANGED, 2 * TOLERANCES[self.precision])):
            raise changed_weights()
        return weight.reshape(self.call.n_heads, -1, weight.shape[-1])

    def _w_o(self, model: nn.Module) -> Tensor:
        return self.site.output.weight(model).to(self.call.query)

    def _bias(self, model: nn.Module) -> Tensor | None:
        bias = self.site.output.bias(model)
        return None if bias is None else bias.to(self.call.query)

    @without_autocast()
    def attention_output(self, model: nn.Module, joined: Tensor | None = None) -> Tensor:
        """Σ over heads of ΔE plus the output bias, [query, d_model].

        `joined` [query, head·d_head] is what takes the place of the weighted values that the model gave.
        """
        joined = self.call.weighted_values if joined is None else joined
        total, bias = joined @ self._w_o(model), self._bias(model)
        return total if bias is None else total + bias

    def through(self, model: nn.Module, name: str, vectors: Tensor) -> Tensor:
        """What a module of the model makes of float32 vectors [..., d_model], on their device."""
        return through(model.get_submodule(name), vectors)

    def tensors(self) -> list[Tensor]:
        """Everything that it keeps in memory."""
        call = self.call
        kept = [call.query, call.key, call.value, call.weighted_values, call.mask.cells, call.mask.real]
        kept += [call.bias.values if call.bias else None, *self.taps.values(), *self.computed.values()]
        kept += [*(each for put in call.replaced.values() for each in put), *call.forced.values()]
        return [t for t in [*kept, *call.computed.values()] if t is not None]


def _differ(ours: Tensor, given: Tensor, tolerance: float) -> bool:
    """Whether some row [n, features] is another than the model gave, beyond rounding; what is no number is as given."""
    error = torch.where(torch.isfinite(given), ours - given, 0.0).abs().amax(dim=-1)
    size = torch.where(torch.isfinite(given), given, 0.0).abs().amax(dim=-1)
    return bool((error > tolerance * size + SMALLEST).any())


class LazyLayers(Sequence[Layer]):
    """The layers of a stream; each is made of what the pass left when it is first read, and kept."""

    def __init__(self, makers: Sequence[Callable[[], Layer]]) -> None:
        self._made: list[Layer | Callable[[], Layer]] = list(makers)

    def __len__(self) -> int:
        return len(self._made)

    @overload
    def __getitem__(self, at: int) -> Layer: ...
    @overload
    def __getitem__(self, at: slice) -> list[Layer]: ...
    def __getitem__(self, at: int | slice) -> Layer | list[Layer]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        made = self._made[at]
        if not isinstance(made, Layer):
            made = self._made[at] = made()
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is made of the layers themselves."""
        return tuple, (list(self),)


def frozen(mapping: dict[Any, Any]) -> Mapping[Any, Any]:
    """A read-only view, for what a trace holds."""
    return MappingProxyType(mapping)
