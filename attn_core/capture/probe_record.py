"""What one short run of a model leaves behind for the search of its wiring: every tensor and every attention call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from attn_core.capture.hooks import AttentionCall
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


@dataclass
class ProbeRecord:
    """What one short run left behind, in order."""

    events: list[Event] = field(default_factory=list)
    attention: list[AttentionEvent] = field(default_factory=list)

    def between(self, start: int, stop: int) -> Iterator[Event]:
        """The tensors seen from time `start` up to `stop`, that one excluded."""
        return (event for event in self.events if start <= event.time < stop)


class ProbeRecorder:
    """Records a copy of everything.

    Originals are kept too, so that no address is used twice, and that overwritten tensors can be told.
    """

    def __init__(self, model: nn.Module) -> None:
        self.record = ProbeRecord()
        self.originals: list[Tensor] = []
        self.time = 0
        self.causal = False
        self.calls: dict[tuple[str, str], int] = {}
        self.names = {id(module): name for name, module in model.named_modules()}

    def on_attention(self, call: AttentionCall) -> None:
        self.originals.append(call.output)
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
            )
        )

    def on_tensors(self, module: str, side: str, tensors: dict[int | str, Tensor]) -> None:
        call = self.calls[module, side] = self.calls.get((module, side), -1) + 1
        for slot, tensor in tensors.items():
            if tensor.is_floating_point() and tensor.dim() in (2, 3) and tensor.numel():
                self.time += 1
                self.originals.append(tensor)
                value = tensor.reshape(-1, tensor.shape[-1]).clone()
                self.record.events.append(Event(Tap(module, side, slot, call), self.time, value, tensor.data_ptr()))

    def overwritten(self) -> frozenset[Tap]:
        """Where the model changed a tensor in place after it was recorded."""
        originals = [t for t in self.originals if t.dim() < 4]  # without the attention outputs
        return frozenset(
            event.tap
            for event, original in zip(self.record.events, originals, strict=True)
            if not torch.equal(original.reshape(event.value.shape), event.value)
        )


def _looks_back_only(mask: Tensor) -> bool:
    cells = mask[0, 0] if mask.dtype == torch.bool else mask[0, 0] > torch.finfo(mask.dtype).min / 2
    return not bool(cells.triu(1).any())
