"""One layer of a trace as it is kept: q, k, v, the rules for scores, and the tensors around the attention call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, overload

import torch
from torch import Tensor, nn

from attn_core import attention
from attn_core.errors import HeadlightError
from attn_core.masks import Mask, RelativeBias
from attn_core.traces.wiring import Site, Tap


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
    replaced: Mapping[int, Tensor] = field(default_factory=dict)
    forced: Mapping[int, Tensor] = field(default_factory=dict)

    @property
    def n_heads(self) -> int:
        return self.query.shape[0]

    def heads(self, which: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """(query, key, value) of one head, or of all of them, groups repeated: each [head, token, d_head]."""
        if which is None:
            return (
                self.query,
                attention.repeat_groups(self.key, self.n_heads),
                attention.repeat_groups(self.value, self.n_heads),
            )
        group = which // (self.n_heads // self.key.shape[0])
        one, shared = slice(which, which + 1), slice(group, group + 1)
        return self.query[one], self.key[shared], self.value[shared]

    def at(self, query: int) -> Call:
        """The same call as one query alone makes it, so that its scores are a row and never a square."""
        n_query, n_key = self.query.shape[1], self.key.shape[1]
        one = slice(query, query + 1)
        return replace(
            self,
            query=self.query[:, one],
            mask=self.mask if self.mask.is_open else Mask(cells=self.mask.may_look(n_query, n_key)[one]),
            bias=None if self.bias is None else self.bias.row(query, n_query, n_key),
            weighted_values=self.weighted_values[one],
            replaced={head: part[one] for head, part in self.replaced.items()},
            forced={head: cells[one] for head, cells in self.forced.items()},
        )

    def scores(self, which: int | None) -> Tensor:
        """Before the softmax, [head, query, key]: scaled, capped, shifted by a position bias, masked cells −∞."""
        query, key, _ = self.heads(which)
        scores = attention.raw_scores(query, key) * self.scaling
        if self.soft_cap is not None:
            scores = attention.soft_cap(scores, self.soft_cap)
        if self.bias is not None:
            scores = scores + self.bias.cells(which, *scores.shape[-2:])
        if self.mask.is_open:
            return scores
        return attention.mask_scores(scores, self.mask.may_look(*scores.shape[-2:]))

    def patterns(self, which: int | None) -> Tensor:
        """After the softmax, [head, query, key]."""
        patterns = attention.softmax(self.scores(which))
        for head, cells in self.forced.items():
            if which in (None, head):
                patterns[0 if which == head else head] = cells
        return patterns

    def weigh_values(self, which: int | None) -> Tensor:
        """pattern · value, computed anew, [head, query, d_head]; a replaced head gives what was put in its place."""
        weighted = attention.weighted_values(self.patterns(which), self.heads(which)[2])
        for head, part in self.replaced.items():
            if which in (None, head):
                weighted[0 if which == head else head] = part
        return weighted


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of one stream: its attention call, its wiring, and the tensors around it [token, d_model]."""

    site: Site
    call: Call
    taps: Mapping[Tap, Tensor]

    def tap(self, tap: Tap | None, what: str) -> Tensor:
        """A tensor that was kept; raises HeadlightError, which says `what` is missing, where it could not be found."""
        if tap is None:
            raise HeadlightError(f"In this model's layer {self.site.layer}, {what} could not be found.")
        return self.taps[tap]

    def w_o(self, model: nn.Module) -> Tensor:
        """The output matrix W_O cut into heads: [head·d_head, d_model] → [head, d_head, d_model]."""
        weight = self.site.output.weight(model).to(device="cpu", dtype=torch.float32)
        return weight.reshape(self.call.n_heads, -1, weight.shape[-1])

    def attention_output(self, model: nn.Module, weighted: Tensor | None = None) -> Tensor:
        """Σ over heads of ΔE plus the output bias, [query, d_model]; `weighted` saves computing the weighted values."""
        weighted = self.call.weigh_values(None) if weighted is None else weighted
        joined = attention.join_heads(weighted)  # [head, query, d_head] → [query, head·d_head]
        total = joined @ self.w_o(model).flatten(0, 1)  # W_O whole again: [head·d_head, d_model]
        bias = self.site.output.bias(model)
        return total if bias is None else total + bias.cpu()

    def tensors(self) -> list[Tensor]:
        """Everything that it keeps in memory."""
        call = self.call
        kept = [call.query, call.key, call.value, call.weighted_values, call.mask.cells, call.mask.real]
        kept += [call.bias.values if call.bias else None, *self.taps.values(), *call.replaced.values()]
        return [t for t in [*kept, *call.forced.values()] if t is not None]


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
