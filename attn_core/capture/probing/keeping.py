"""What a later pass keeps of a tensor: from which place, and whether as it is or as a copy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from attn_core.capture.probing.record import AttentionEvent, Event, ProbeRecord
from attn_core.traces.wiring import Tap, Wiring


def with_places(wiring: Wiring, record: ProbeRecord) -> Wiring:
    """The wiring, with the place where each of its tensors is had first, and what must be copied there."""
    first = _first_taps(record, wiring.taps)
    copied, of_calls = _to_copy(record, first.values())
    sites = tuple(replace(site, copied=names) for site, names in zip(wiring.sites, of_calls, strict=True))
    return replace(wiring, sites=sites, first=first, copied=copied)


def _first_taps(record: ProbeRecord, taps: Iterable[Tap]) -> dict[Tap, Tap]:
    """Each tap with the first place where the very same tensor can be had: one output is the input of many."""
    first: dict[int, list[Event]] = {}
    wanted, found = set(taps), {}
    for event in record.events:
        seen = first.setdefault(event.pointer, [])
        same = next((e for e in seen if e.value.shape == event.value.shape and e.value.equal(event.value)), event)
        seen.append(event)
        if event.tap in wanted:
            found[event.tap] = same.tap
    return found


def _to_copy(record: ProbeRecord, taps: Iterable[Tap]) -> tuple[frozenset[Tap], tuple[frozenset[str], ...]]:
    """What a pass may not keep as it is: (taps, and names of q, k, v and output for each attention call).

    That is what the model overwrites later, and views that keep more of a storage alive than they show: with a
    fused projection and a rotation, q and k are new tensors, and v alone would keep all three. Where views share
    out a whole storage between them (GPT-2's q, k and v), they are best kept as they are.
    """
    wanted = set(taps)
    seen = {e.tap: (o, e.value) for e, o in zip(record.events, record.originals, strict=True) if e.tap in wanted}
    calls = [_originals(call) for call in record.attention]
    pairs = [*seen.values(), *(pair for call in calls for pair in call.values())]
    shown: dict[int, dict[int, int]] = {}  # storage → address of a kept tensor → its bytes
    for tensor, _ in pairs:
        shown.setdefault(_storage(tensor), {})[tensor.data_ptr()] = tensor.nbytes

    def must_copy(tensor: Tensor, then: Tensor) -> bool:
        wasteful = sum(shown[_storage(tensor)].values()) < tensor.untyped_storage().nbytes()
        return wasteful or not torch.equal(tensor.reshape(then.shape), then)

    return (
        frozenset(tap for tap, pair in seen.items() if must_copy(*pair)),
        tuple(frozenset(name for name, pair in call.items() if must_copy(*pair)) for call in calls),
    )


def _originals(call: AttentionEvent) -> dict[str, tuple[Tensor, Tensor]]:
    """Each tensor of a call as it is after the run, and as it was in the call, by name."""
    return {name: (original, getattr(call, name)) for name, original in call.originals.items()}


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
