"""How a model is wired, found by what its modules compute in one short run and never by a table of names.

The run leaves a diary: every tensor that entered or left a module, in order, and every attention call. From it follow
* the output projection W_O: the first linear map whose input is the very tensor that attention returned;
* the residual stream: r, a and m such that r + a = m, where a is the projection's output, or the norm of it;
* the MLP's part, and the LayerNorms that post-norm blocks put between the sums;
* W_Q, W_K and W_V: the linear maps whose output, cut at the right place, is the query, key and value at position 0,
  where a rotary position is the identity. The other positions then verify the cut, and the rotation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attn_core.rotary import measure
from attn_core.traces.block import BlockKind
from attn_core.traces.wiring import HeadSlices, Linear, Tap


@dataclass(frozen=True)
class Event:
    """A tensor seen at a tap, as [token, features]; `time` counts all events, so that order has a meaning."""

    tap: Tap
    time: int
    value: Tensor
    pointer: int


@dataclass(frozen=True)
class AttentionEvent:
    """One attention call of the short run: query [head, query, d_head], key and value [group, key, d_head]."""

    module: str
    time: int
    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor  # [query, head·d_head]
    pointer: int


@dataclass
class Diary:
    """What one short run left behind, in order."""

    events: list[Event] = field(default_factory=list)
    attention: list[AttentionEvent] = field(default_factory=list)

    def between(self, start: int, stop: int) -> Iterator[Event]:
        return (event for event in self.events if start <= event.time < stop)


def close(found: Tensor, *parts: Tensor) -> bool:
    """Whether `found` is the sum of `parts`, up to float32 rounding of every element."""
    if any(part.shape != found.shape for part in parts):
        return False
    size = found.abs() + sum(part.abs() for part in parts)
    return bool(((found - sum(parts)).abs() <= 2e-6 * size + 1e-7).all())


def output_projection(model: nn.Module, diary: Diary, call: AttentionEvent, stop: int) -> tuple[Linear, Event] | None:
    """W_O: the first linear map whose input is the very tensor that attention returned, and what it gave."""
    for event in diary.between(call.time, stop):
        if event.tap.side == "in" and event.pointer == call.pointer and event.value.shape == call.output.shape:
            found = _as_linear(model, diary, event)
            if found is not None:
                return found
    return None


def _as_linear(model: nn.Module, diary: Diary, entered: Event) -> tuple[Linear, Event] | None:
    """Read the module that `entered` went into as x·W + b, if that is what it computes."""
    module = model.get_submodule(entered.tap.module)
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    if not isinstance(weight, Tensor) or weight.dim() != 2:
        return None
    left = next((e for e in diary.events if e.tap == Tap(entered.tap.module, "out", 0, entered.tap.call)), None)
    if left is None:
        return None
    for transposed in (True, False):
        w = weight.T if transposed else weight
        if w.shape != (entered.value.shape[-1], left.value.shape[-1]):
            continue
        result = entered.value @ w + (0 if bias is None else bias)
        if torch.allclose(result, left.value, rtol=1e-4, atol=1e-5 * float(left.value.abs().max()) + 1e-9):
            return Linear(entered.tap.module, transposed), left
    return None


class Stream(NamedTuple):
    """The residual stream around one attention call."""

    block: BlockKind
    embedding: Event
    added: Event
    total: Event  # embedding + added, as the model holds it (parallel blocks: the MLP's part too)
    mlp: Event | None = None


def residual_around(diary: Diary, projected: Event, start: int, stop: int) -> Stream | None:
    """Find r + a = m around a projection: r from before it, m from after it.

    a is the projection's output, or what a module made of it (a norm after attention). Where no such sum exists, the
    block may be parallel: r + a + f = m, with f another module's output.
    """
    shape = projected.value.shape
    before = _distinct(e for e in diary.between(start, projected.time) if e.value.shape == shape)
    behind = _distinct(e for e in diary.between(projected.time + 1, stop) if e.value.shape == shape)
    normed = [e for e in behind if e.tap.side == "out" and _entered(diary, e, projected)]
    for added in (projected, *normed):
        for total in behind:
            for embedding in before:
                if total is not added and close(total.value, embedding.value, added.value):
                    kind = BlockKind.SEQUENTIAL if added is projected else BlockKind.NORM_AFTER
                    return Stream(kind, embedding, added, total)
    outputs = [e for e in _distinct(diary.between(start, stop)) if e.tap.side == "out" and e.value.shape == shape]
    for total in behind:
        for embedding in before:
            rest = total.value - embedding.value - projected.value
            for mlp in outputs:
                if mlp is not projected and _near(rest, mlp.value, total.value):
                    return Stream(BlockKind.PARALLEL, embedding, projected, total, mlp)
    return None


def _near(found: Tensor, wanted: Tensor, size: Tensor) -> bool:
    return bool(((found - wanted).abs() <= 4e-6 * size.abs().amax() + 1e-7).all()) and bool(wanted.abs().any())


def _distinct(events: Iterable[Event]) -> list[Event]:
    """Each tensor once: the output of one module is often the input of the next."""
    seen: dict[int, Event] = {}
    for event in events:
        seen.setdefault(event.pointer, event)
    return list(seen.values())


def _entered(diary: Diary, left: Event, tensor: Event) -> bool:
    """Whether `tensor` went into the module that gave `left`."""
    return any(
        e.pointer == tensor.pointer
        and e.tap.side == "in"
        and e.tap.module == left.tap.module
        and e.tap.call == left.tap.call
        for e in diary.events
    )


def norm_of(diary: Diary, total: Event, stop: int) -> Event | None:
    """What a module that took `total` in made of it, same shape: a LayerNorm after the sum."""
    for event in diary.between(total.time, stop):
        same = event.tap.side == "out" and event.value.shape == total.value.shape and event.pointer != total.pointer
        if same and _entered(diary, event, total):
            return event
    return None


def mlp_after(diary: Diary, total: Event, stop: int) -> tuple[BlockKind, Event, Event, Event] | None:
    """The second half of a block: (kind, stream after attention, the MLP's part, the next block's stream).

    pre-norm: m + f = next. post-norm: after = norm(m), and next = norm(after + f).
    """
    later = [e for e in _distinct(diary.between(total.time, stop)) if e.value.shape == total.value.shape]
    outputs = [e for e in later if e.tap.side == "out"]
    normed = norm_of(diary, total, stop)
    for kind, stream in ((BlockKind.PRE_NORM, total), (BlockKind.POST_NORM, normed)):
        if stream is None:
            continue
        for summed in later:
            part = next((f for f in outputs if f is not summed and close(summed.value, stream.value, f.value)), None)
            if part is None:
                continue
            end = summed if kind is BlockKind.PRE_NORM else norm_of(diary, summed, stop)
            if end is not None:
                return kind, stream, part, end
    return None


def head_slices(
    model: nn.Module, diary: Diary, heads: Tensor, start: int, stop: int, exact: bool
) -> tuple[HeadSlices, Tap, Tensor] | None:
    """The linear map that made `heads` [head, token, d_head]: (its slices, where its input is, heads before rotation).

    Matched at position 0, up to one factor for all heads and positions; with `exact` (values) the factor is 1.
    """
    for entered in diary.between(start, stop):
        if entered.tap.side != "in" or entered.value.shape[0] != heads.shape[1]:
            continue
        found = _as_linear(model, diary, entered)
        if found is None or found[1].value.shape[-1] < heads.shape[-1]:
            continue
        cut = _cut(found[1].value, heads, exact)
        if cut is not None:
            offsets, factor = cut
            slices = HeadSlices(found[0], offsets, heads.shape[-1], factor)
            return slices, entered.tap, _gather(found[1].value, offsets, heads.shape[-1]) * factor
    return None


def _cut(output: Tensor, heads: Tensor, exact: bool) -> tuple[tuple[int, ...], float] | None:
    """Offsets at which every head of `heads` [head, token, d_head] lies in `output` [token, n] at position 0."""
    windows = output[0].unfold(0, heads.shape[-1], 1)  # [offset, d_head]
    sizes = windows.norm(dim=-1).clamp_min(1e-20)
    first = heads[:, 0]  # [head, d_head]
    cosine = (first @ windows.T) / (first.norm(dim=-1, keepdim=True).clamp_min(1e-20) * sizes)
    best = cosine.max(dim=-1)
    if bool((best.values < 1 - 1e-5).any()):
        return None
    offsets = tuple(int(i) for i in best.indices)
    factors = first.norm(dim=-1) / sizes[best.indices]
    factor = 1.0 if abs(float(factors[0]) - 1) < 1e-5 else float(factors[0])
    if bool(((factors / factor - 1).abs() > 1e-4).any()) or (exact and factor != 1.0):
        return None
    return offsets, factor


def _gather(output: Tensor, offsets: tuple[int, ...], d_head: int) -> Tensor:
    return torch.stack([output[:, o : o + d_head] for o in offsets])


def turned_by_position(plain: Tensor, seen: Tensor) -> bool | None:
    """Whether attention saw heads [head, token, d_head] turned by their position; None if by something unknown."""
    if _same(plain, seen):
        return False
    return None if measure(plain, seen) is None else True


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()) + 1e-9)
