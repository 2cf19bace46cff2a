"""What one short run of a model leaves behind for the search of its wiring: every tensor and every attention call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn

from attn_core.capture.hooks import AttentionCall, tensors_in
from attn_core.errors import UnsupportedFamily
from attn_core.masks import flags
from attn_core.traces.wiring import ModuleSide, Tap


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
    rules: AttentionRules

    @property
    def n_words(self) -> int:
        """How many of its keys are words; the others come after them."""
        return self.key.shape[1] - self.rules.beside


class AttentionRules(NamedTuple):
    """What the scores of an attention call follow from, beside its queries and keys."""

    mask: Tensor | None
    bias: Tensor | None
    is_causal: bool
    scaling: float
    soft_cap: float | None
    beside: int
    sink: Tensor | None


@dataclass
class ProbeRecord:
    """What one short run left behind, in order."""

    events: list[Event] = field(default_factory=list)
    originals: list[Tensor] = field(default_factory=list)  # of the events, as the model handed them over
    attention: list[AttentionEvent] = field(default_factory=list)
    causal: bool = False
    by_tap: dict[Tap, Event] = field(default_factory=dict)


class ProbeRecorder:
    """Records a copy of everything.

    Originals are kept too, so that no address is used twice, and that overwritten tensors can be told.
    """

    in_steps = False
    passed: dict[ModuleSide, Any] | None = None  # each tensor is looked at as it passes by

    def attend(self, *_: Any) -> Tensor:
        raise NotImplementedError  # the library's fused function is asked

    def __init__(self, model: nn.Module, virtual: int = 0) -> None:
        self.record, self.virtual = ProbeRecord(), virtual
        self.time = 0
        self.calls: dict[ModuleSide, int] = {}
        self.names = {id(module): name for name, module in model.named_modules()}

    def before_attention(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return query, key, value

    def on_attention(self, call: AttentionCall) -> None:
        self.time += 1
        if len(call.query) != 1:
            raise UnsupportedFamily(
                "This model cuts what it reads into windows, and words attend only within their own; "
                "that cannot be drawn yet."
            )
        if not self.record.attention:
            self.record.causal = call.is_causal or (
                call.mask is not None and _looks_back_only(call.mask, call.query.shape[2])
            )
        self.record.attention.append(
            AttentionEvent(
                module=self.names[id(call.module)],
                time=self.time,
                query=call.query[0].clone(),
                key=call.key[0].clone(),
                value=call.value[0].clone(),
                output=call.output[0].flatten(-2).clone(),  # [query, head, d_head] → [query, head·d_head]
                pointer=call.output.data_ptr(),
                originals={name: getattr(call, name) for name in ("query", "key", "value", "output")},
                rules=AttentionRules(
                    call.mask, call.bias, call.is_causal, call.scaling, call.soft_cap, call.beside, call.sink
                ),
            )
        )

    def on_tensors(self, place: ModuleSide, values: Any, named: dict[str, Any] | None) -> None:
        call = self.calls[place] = self.calls.get(place, -1) + 1
        for slot, tensor in tensors_in(values, named).items():
            if tensor.is_floating_point() and tensor.dim() in (2, 3) and tensor.numel():
                self.time += 1
                self.record.originals.append(tensor)
                value = tensor.reshape(-1, tensor.shape[-1]).clone()  # […, features] → [token, features]
                event = Event(Tap(*place, slot, call), self.time, value, tensor.data_ptr())
                self.record.events.append(event)
                self.record.by_tap[event.tap] = event


def _looks_back_only(mask: Tensor, n_query: int) -> bool:
    cells = flags(mask[0, 0])[:, :n_query]  # without virtual tokens, which come after the words
    return not bool(cells.triu(1).any())
