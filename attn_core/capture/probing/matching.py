"""The residual stream of a model, found by what its modules compute in one short run and never by a table of names.

From the record of that run follow
* the stream around attention: r, a and m such that r + a = m, where a is the output of W_O, or the norm of it;
* the MLP's part, and the LayerNorms that post-norm blocks put between the sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor

from attn_core.capture.probing.record import Event, ProbeRecord
from attn_core.traces import parity
from attn_core.traces.block import BlockKind


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


def residual_around(record: ProbeRecord, projected: Event, start: int, stop: int) -> Stream | None:
    """Find r + a = m around a projection: r from before it, m from after it.

    a is the projection's output, or what a module made of it (a norm after attention). Where no such sum exists, the
    block may be parallel: r + a + f = m, with f another module's output.
    """
    shape = projected.value.shape
    before = _distinct(e for e in record.between(start, projected.time) if e.value.shape == shape)
    behind = _distinct(e for e in record.between(projected.time + 1, stop) if e.value.shape == shape)
    normed = [e for e in behind if e.tap.side == "out" and _entered(record, e, projected)]
    for added in (projected, *normed):
        for total in behind:
            for embedding in before:
                if total is not added and close(total.value, embedding.value, added.value):
                    kind = BlockKind.SEQUENTIAL if added is projected else BlockKind.NORM_AFTER
                    return Stream(kind, embedding, added, total)
    outputs = [e for e in _distinct(record.between(start, stop)) if e.tap.side == "out" and e.value.shape == shape]
    for total in behind:
        for embedding in before:
            rest = total.value - embedding.value - projected.value
            for mlp in outputs:
                if mlp is not projected and _near(rest, mlp.value, total.value):
                    return Stream(BlockKind.PARALLEL, embedding, projected, total, mlp)
    return None


def added_to_stream(record: ProbeRecord, added: Event, projected: Event, start: int, stop: int) -> bool:
    """Whether a module's output `added`, and not the projection's, was added to a stream from before it."""
    shape = projected.value.shape
    before = _distinct(e for e in record.between(start, projected.time) if e.value.shape == shape)
    behind = _distinct(e for e in record.between(added.time + 1, stop) if e.value.shape == shape)
    return any(close(total.value, entry.value, added.value) for total in behind for entry in before)


def _near(found: Tensor, wanted: Tensor, size: Tensor) -> bool:
    allowed = parity.DIFFERENCE * size.abs().amax() + parity.NEAR_ZERO
    return bool(((found - wanted).abs() <= allowed).all()) and bool(wanted.abs().any())


def _distinct(events: Iterable[Event]) -> list[Event]:
    """Each tensor once: the output of one module is often the input of the next."""
    seen: dict[int, Event] = {}
    for event in events:
        seen.setdefault(event.pointer, event)
    return list(seen.values())


def _entered(record: ProbeRecord, left: Event, tensor: Event) -> bool:
    """Whether `tensor` went into the module that gave `left`."""
    return any(
        e.pointer == tensor.pointer
        and e.tap.side == "in"
        and e.tap.module == left.tap.module
        and e.tap.call == left.tap.call
        for e in record.events
    )


def norm_of(record: ProbeRecord, total: Event, stop: int) -> Event | None:
    """What a module that took `total` in made of it, same shape: a LayerNorm after the sum."""
    for event in record.between(total.time, stop):
        same = event.tap.side == "out" and event.value.shape == total.value.shape and event.pointer != total.pointer
        if same and _entered(record, event, total):
            return event
    return None


def mlp_after(record: ProbeRecord, total: Event, stop: int) -> tuple[BlockKind, Event, Event, Event] | None:
    """The second half of a block: (kind, stream after attention, the MLP's part, the next block's stream).

    pre-norm: m + f = next. post-norm: after = norm(m), and next = norm(after + f).
    """
    later = [e for e in _distinct(record.between(total.time, stop)) if e.value.shape == total.value.shape]
    outputs = [e for e in later if e.tap.side == "out"]
    normed = norm_of(record, total, stop)
    for kind, entry in ((BlockKind.PRE_NORM, total), (BlockKind.POST_NORM, normed)):
        if entry is None:
            continue
        for summed in later:
            part = next((f for f in outputs if f is not summed and close(summed.value, entry.value, f.value)), None)
            if part is None:
                continue
            end = summed if kind is BlockKind.PRE_NORM else norm_of(record, summed, stop)
            if end is not None:
                return kind, entry, part, end
    return None
