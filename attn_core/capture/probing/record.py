"""What one short run of a model leaves behind for the search of its wiring: every tensor and every attention call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from attn_core.capture.hooks import AttentionCall, tensors_in
from attn_core.traces.wiring import Tap


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
    originals: dict[str, Tensor]  # by name, as the model handed them over


@dataclass
class ProbeRecord:
    """What one short run left behind, in order."""

    events: list[Event] = field(default_factory=list)
    attention: list[AttentionEvent] = field(default_factory=list)
    _by_tap: dict[Tap, Event] = field(default_factory=dict)

    def between(self, start: int, stop: int) -> Iterator[Event]:
        """The tensors seen from time `start` up to `stop`, that one excluded."""
        return (event for event in self.events if start <= event.time < stop)

    def at(self, tap: Tap) -> Event | None:
        """The tensor that was seen at a tap, if one was."""
        if len(self._by_tap) != len(self.events):
            self._by_tap = {event.tap: event for event in self.events}
        return self._by_tap.get(tap)

    def count_inputs(self, tap: Tap) -> int:
        """How many tensors entered a module at the call of `tap`."""
        return sum((e.tap.module, e.tap.side, e.tap.call) == (tap.module, "in", tap.call) for e in self.events)


class ProbeRecorder:
    """Records a copy of everything.

    Originals are kept too, so that no address is used twice, and that overwritten tensors can be told.
    """

    in_steps = False

    def attend(self, *_: Any) -> Tensor:
        raise NotImplementedError  # the library's fused function is asked

    def __init__(self, model: nn.Module) -> None:
        self.record = ProbeRecord()
        self.originals: list[Tensor] = []
        self.time = 0
        self.causal = False
        self.calls: dict[tuple[str, str], int] = {}
        self.names = {id(module): name for name, module in model.named_modules()}

    def before_attention(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return query, key, value

    def on_attention(self, call: AttentionCall) -> None:
        self.time += 1
        if not self.record.attention:
            self.causal = call.is_causal or (call.mask is not None and _looks_back_only(call.mask))
        self.record.attention.append(
            AttentionEvent(
                module=self.names[id(call.module)],
                time=self.time,
                query=call.query[0].clone(),
                key=call.key[0].clone(),
                value=call.value[0].clone(),
                output=call.output[0].flatten(-2).clone(),
                pointer=call.output.data_ptr(),
                originals={name: getattr(call, name) for name in ("query", "key", "value", "output")},
            )
        )

    def on_tensors(self, module: str, side: str, values: Any, named: dict[str, Any] | None) -> None:
        call = self.calls[module, side] = self.calls.get((module, side), -1) + 1
        for slot, tensor in tensors_in(values, named).items():
            if tensor.is_floating_point() and tensor.dim() in (2, 3) and tensor.numel():
                self.time += 1
                self.originals.append(tensor)
                value = tensor.reshape(-1, tensor.shape[-1]).clone()
                self.record.events.append(Event(Tap(module, side, slot, call), self.time, value, tensor.data_ptr()))

    def first_taps(self, taps: Iterable[Tap]) -> dict[Tap, Tap]:
        """Each tap with the first place where the very same tensor can be had: one output is the input of many."""
        first: dict[int, list[Event]] = {}
        wanted, found = set(taps), {}
        for event in self.record.events:
            seen = first.setdefault(event.pointer, [])
            same = next((e for e in seen if e.value.shape == event.value.shape and e.value.equal(event.value)), event)
            seen.append(event)
            if event.tap in wanted:
                found[event.tap] = same.tap
        return found

    def to_copy(self, taps: Iterable[Tap]) -> tuple[frozenset[Tap], tuple[frozenset[str], ...]]:
        """What a pass may not keep as it is: (taps, and names of q, k, v and output for each attention call).

        That is what the model overwrites later, and views that keep more of a storage alive than they show: with a
        fused projection and a rotation, q and k are new tensors, and v alone would keep all three. Where views share
        out a whole storage between them (GPT-2's q, k and v), they are best kept as they are.
        """
        wanted = set(taps)
        seen = {e.tap: (o, e.value) for e, o in zip(self.record.events, self.originals, strict=True) if e.tap in wanted}
        calls = [_originals(call) for call in self.record.attention]
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


def _looks_back_only(mask: Tensor) -> bool:
    cells = mask[0, 0] if mask.dtype == torch.bool else mask[0, 0] > torch.finfo(mask.dtype).min / 2
    return not bool(cells.triu(1).any())
