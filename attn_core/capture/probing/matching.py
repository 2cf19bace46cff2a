"""The residual stream of a model, found by what its modules compute in one short run and never by a table of names.

From the record of that run follow
* the stream around attention: r, a and m such that r + a = m, where a is the output of W_O, or the norm of it;
* the MLP's part, and the LayerNorms that post-norm blocks put between the sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attn_core.capture.probing.record import Event
from attn_core.traces import parity
from attn_core.traces.block import BlockKind
from attn_core.traces.wiring import Linear, Site

LEAST_SHARE = 1e-3  # of the largest value: what is added, so that nothing is no share of attention's output


def close(found: Tensor, *parts: Tensor) -> bool:
    """Whether `found` is the sum of `parts`, up to float32 rounding of every element."""
    if any(part.shape != found.shape for part in parts):
        return False
    size = found.abs() + sum(part.abs() for part in parts)
    return bool(((found - sum(parts)).abs() <= parity.SUM * size + parity.NEAR_ZERO).all())


class Stream(NamedTuple):
    """The residual stream around one attention call."""

    block: BlockKind
    embedding: Event
    added: Event
    total: Event  # embedding + added, as the model holds it (parallel blocks: the MLP's part too)
    mlp: Event | None = None
    scale: float = 1.0  # embedding + scale·added is the total


def residual_around(model: nn.Module, events: Sequence[Event], projected: Event) -> Stream | None:
    """Find r + a = m around a projection: r from before it, m from after it; `events` are those of its block.

    a is the projection's output, or what a norm made of it. Where no such sum exists, the block may be parallel:
    r + a + f = m, with f another module's output; or scaled: r + c·a = m, with one number c.
    """
    before, behind = _alike(events, projected, before=projected.time), _alike(events, projected, after=projected.time)
    normed = [e for e in behind if e.tap.side == "out" and _entered(events, e, projected)]
    for added in (projected, *normed):
        for total in behind:
            for embedding in before:
                if total is not added and close(total.value, embedding.value, added.value):
                    if added is projected:
                        return Stream(BlockKind.SEQUENTIAL, embedding, added, total)
                    found = Stream(BlockKind.NORM_AFTER, embedding, added, total)
                    return found if _is_norm(model, projected, added) else None
    outputs = [e for e in _alike(events, projected) if e.tap.side == "out"]
    return _parallel(before, behind, outputs, projected) or _scaled(before, behind, projected)


def with_stream(site: Site, around: Stream, events: Sequence[Event]) -> Site:
    """The site with the stream around it, what its MLP adds, and what the next block receives."""
    site = replace(site, embedding=around.embedding.tap, added=around.added.tap)
    if around.block is BlockKind.PARALLEL and around.mlp is not None:
        return replace(site, block=BlockKind.PARALLEL, mlp=around.mlp.tap, next=around.total.tap)
    if around.block is BlockKind.SCALED:
        site = replace(site, block=BlockKind.SCALED, after=around.total.tap, scale=around.scale)
        scaled = _scaled_mlp(events, around)
        return site if scaled is None else replace(site, mlp=scaled[0].tap, next=scaled[1].tap)
    half = mlp_after(events, around.total)
    if half is None:  # the decoder's self-attention is followed by cross-attention, not by an MLP: see `blocks`
        return replace(site, block=around.block, after=around.total.tap)
    kind, after, mlp, end = half
    kind = BlockKind.NORM_AFTER if around.block is BlockKind.NORM_AFTER else kind
    return replace(site, block=kind, after=after.tap, mlp=mlp.tap, next=end.tap)


def _parallel(
    before: Sequence[Event], behind: Sequence[Event], outputs: Sequence[Event], projected: Event
) -> Stream | None:
    for total in behind:
        for embedding in before:
            rest = total.value - embedding.value - projected.value
            for mlp in outputs:
                if mlp is not projected and _near(rest, mlp.value, total.value):
                    return Stream(BlockKind.PARALLEL, embedding, projected, total, mlp)
    return None


def _scaled(before: Sequence[Event], behind: Sequence[Event], projected: Event) -> Stream | None:
    """r + c·a = m: c is what fits best, and every element has to fit it."""
    added = projected.value.double()
    for total in behind:
        for embedding in before:
            if total is projected or embedding.value.shape != added.shape:
                continue
            rest = total.value.double() - embedding.value.double()
            scale = float((rest * added).sum() / (added * added).sum())
            is_seen = scale * added.abs().max() > LEAST_SHARE * total.value.abs().max()
            if scale > 0 and is_seen and close(total.value, embedding.value, scale * projected.value):
                return Stream(BlockKind.SCALED, embedding, projected, total, scale=scale)
    return None


def _scaled_mlp(events: Sequence[Event], around: Stream) -> tuple[Event, Event] | None:
    """(the MLP's part before it is scaled, the next block's stream): m + c·f = next, with the c of attention."""
    later = _alike(events, around.total, after=around.total.time - 1)
    outputs = [e for e in later if e.tap.side == "out"]
    for end in later:
        for mlp in outputs:
            if mlp is not end and close(end.value, around.total.value, around.scale * mlp.value):
                return mlp, end
    return None


def added_around(events: Sequence[Event], output: Linear, projected: Event) -> str | None:
    """The module around W_O whose output, and not W_O's, was added to the stream; None where W_O's was."""
    around = [output.module.rsplit(".", n)[0] for n in range(1, output.module.count(".") + 1)]
    before = _alike(events, projected, before=projected.time)
    for left in events:
        if left.time > projected.time and left.tap.side == "out" and left.tap.module in around:
            behind = _alike(events, projected, after=left.time)
            same = left.value.shape == projected.value.shape
            if same and any(close(total.value, e.value, left.value) for total in behind for e in before):
                return left.tap.module
    return None


def _alike(events: Iterable[Event], other: Event, *, after: int = -1, before: int = 1 << 60) -> list[Event]:
    """The tensors of another's shape that were seen in a time, each once."""
    return _distinct(e for e in events if after < e.time < before and e.value.shape == other.value.shape)


def _near(found: Tensor, wanted: Tensor, size: Tensor) -> bool:
    allowed = parity.DIFFERENCE * size.abs().amax() + parity.NEAR_ZERO
    return bool(((found - wanted).abs() <= allowed).all()) and bool(wanted.abs().any())


def _distinct(events: Iterable[Event]) -> list[Event]:
    """Each tensor once: the output of one module is often the input of the next."""
    seen: dict[int, Event] = {}
    for event in events:
        seen.setdefault(event.pointer, event)
    return list(seen.values())


def _entered(events: Iterable[Event], left: Event, tensor: Event) -> bool:
    """Whether `tensor` went into the module that gave `left`."""
    return any(
        e.pointer == tensor.pointer
        and e.tap.side == "in"
        and e.tap.module == left.tap.module
        and e.tap.call == left.tap.call
        for e in events
    )


def norm_of(events: Sequence[Event], total: Event) -> Event | None:
    """What a module that took `total` in made of it, same shape: a LayerNorm after the sum."""
    for event in events:
        later = event.time >= total.time and event.tap.side == "out" and event.pointer != total.pointer
        if later and event.value.shape == total.value.shape and _entered(events, event, total):
            return event
    return None


def mlp_after(events: Sequence[Event], total: Event) -> tuple[BlockKind, Event, Event, Event] | None:
    """The second half of a block: (kind, stream after attention, the MLP's part, the next block's stream).

    pre-norm: m + f = next. post-norm: after = norm(m), and next = norm(after + f).
    """
    later = _alike(events, total, after=total.time - 1)
    outputs = [e for e in later if e.tap.side == "out"]
    normed = norm_of(events, total)
    for kind, entry in ((BlockKind.PRE_NORM, total), (BlockKind.POST_NORM, normed)):
        if entry is None:
            continue
        for summed in later:
            part = next((f for f in outputs if f is not summed and close(summed.value, entry.value, f.value)), None)
            if part is None:
                continue
            end = summed if kind is BlockKind.PRE_NORM else norm_of(events, summed)
            if end is not None:
                return kind, entry, part, end
    return None


def _is_norm(model: nn.Module, entered: Event, left: Event) -> bool:
    """Whether a module makes of a token alone what it made of it among others, and of a longer vector the same.

    A convolution does not do the first, most nonlinearities not the second; and those that saturate treat each number
    by itself, where a norm looks at all of them.
    """
    one, module = entered.value[1:2], model.get_submodule(left.tap.module)
    half = one.shape[-1] // 2
    other = torch.cat([one[:, :half], 3 * one[:, half:]], dim=-1)  # [token, features], of two scales
    try:
        alone, long, longer, changed = module(one), module(1e4 * one), module(1e5 * one), module(other)
    except Exception:  # it wants to know what else there is
        return False
    given = left.value[1:2]
    return (
        alone.shape == given.shape
        and close(alone, given)
        and parity.same(long, longer)
        and not parity.same(changed[:, :half], alone[:, :half])
    )
