"""What is kept of one forward pass, and what is changed in it: heads switched off, patterns forced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attn_core.capture.hooks import AttentionCall, tensor_at, tensors_in
from attn_core.capture.interface import read_mask
from attn_core.errors import UnsupportedFamily
from attn_core.masks import Mask, RelativeBias
from attn_core.traces import parity
from attn_core.traces.layer import Call, Layer, frozen
from attn_core.traces.wiring import Site, Tap, Wiring

_PARTS = ("query", "key", "value", "output")
_NONE: Mapping[int, Tensor] = frozen({})


class PassRecorder:
    """Keeps, of one pass, what the wiring asks for; switches heads off where it is asked to."""

    def __init__(
        self,
        wiring: Wiring,
        without: dict[tuple[str, int], set[int]],
        replacement: str,
        edit: dict[tuple[str, int, int], Any],
    ) -> None:
        self.wiring, self.without, self.replacement, self.edit = wiring, without, replacement, edit
        self.calls: list[KeptCall] = []
        self.seen: list[tuple[str, str, Any, dict[str, Any] | None]] = []  # module, side, values, named values
        self.masks: dict[Any, tuple[AttentionCall, Mask, RelativeBias | None]] = {}

    def on_attention(self, call: AttentionCall) -> None:
        if len(self.calls) == len(self.wiring.sites):
            raise UnsupportedFamily("This model takes another path for another text; its layers cannot be told apart.")
        site = self.wiring.sites[len(self.calls)]
        mask, bias = self._mask(call)
        forced, replaced = self._change(call, mask, bias, site) if self.edit or self.without else (_NONE, _NONE)
        parts: tuple[Tensor, ...] = (call.query, call.key, call.value, call.output)
        if site.copied:
            parts = tuple(_copy(p) if n in site.copied else p for n, p in zip(_PARTS, parts, strict=True))
        query, key, value, output = (part.cpu() for part in parts)
        kept = KeptCall(query, key, value, output, mask, bias, call.scaling, call.soft_cap, replaced, forced)
        self.calls.append(kept)

    def _change(
        self, call: AttentionCall, mask: Mask, bias: RelativeBias | None, site: Site
    ) -> tuple[Mapping[int, Tensor], Mapping[int, Tensor]]:
        """Force patterns and switch heads off, where this call is asked to: (forced patterns, replaced parts)."""
        query, key, value, output = (part.cpu() for part in (call.query, call.key, call.value, call.output))
        whole = KeptCall(query, key, value, output, mask, bias, call.scaling, call.soft_cap)
        forced = self._force(call, whole.as_call(), site.stream, site.layer)
        return frozen(forced), frozen(self._switch_off(call, site.stream, site.layer))

    def _mask(self, call: AttentionCall) -> tuple[Mask, RelativeBias | None]:
        """Layers share their masks and biases, so each is read once."""
        n_query, n_key = call.query.shape[2], call.key.shape[2]
        mask = None if call.mask is None else call.mask.data_ptr()
        bias = None if call.bias is None else call.bias.data_ptr()
        key = (mask, bias, call.is_causal, n_query, n_key)
        if key not in self.masks:
            rules = read_mask(call.mask, call.bias, call.is_causal, n_query, n_key)
            self.masks[key] = (call, *rules)  # with the call, so that these addresses are not used again in this pass
        return self.masks[key][1:]

    def _force(self, call: AttentionCall, kept: Call, stream: str, layer: int) -> dict[int, Tensor]:
        """Put the asked patterns in place of the heads' own, in this pass alone."""
        forced: dict[int, Tensor] = {}
        for (s, at, head), cells in self.edit.items():
            if (s, at) != (stream, layer):
                continue
            n_query, n_key = kept.query.shape[1], kept.key.shape[1]
            forced[head] = _legal_pattern(cells, kept.mask.may_look(n_query, n_key), f"{layer}.{head}")
            weighted = forced[head] @ kept.heads(head)[2][0]  # [query, d_head]
            call.output[0, :, head] = weighted.to(call.output.device)
        return forced

    def _switch_off(self, call: AttentionCall, stream: str, layer: int) -> dict[int, Tensor]:
        """Put nothing, or the head's mean over the sentence, in its place, before W_O mixes the heads."""
        heads = self.without.get((stream, layer), set())
        replaced: dict[int, Tensor] = {}
        for head in sorted(heads):
            own = call.output[0, :, head]
            mean = own.mean(dim=0, keepdim=True)  # [query, d_head] → [1, d_head]
            put = mean.expand_as(own).clone() if self.replacement == "mean" else torch.zeros_like(own)
            call.output[0, :, head] = put
            replaced[head] = put.cpu()
        return replaced

    def on_tensors(self, module: str, side: str, values: Any, named: dict[str, Any] | None) -> None:
        if (module, side) in self.wiring.copied_places:
            copies = tensors_in(values, named)
            values, named = (), {slot: _copy(t) for slot, t in copies.items()}  # type: ignore[misc]
        self.seen.append((module, side, values, named))

    def taps(self) -> dict[Tap, Tensor]:
        """What the wiring wants of the tensors that passed by, each once: [1, token, features] or [token, features]."""
        counts: dict[tuple[str, str], int] = {}
        taps: dict[Tap, Tensor] = {}
        for module, side, values, named in self.seen:
            count = counts[module, side] = counts.get((module, side), -1) + 1
            for tap in self.wiring.wanted.get((module, side, count), ()):
                taps[tap] = tensor_at(tap.slot, values, named).cpu()
        return taps


class KeptCall(NamedTuple):
    """An attention call as a pass keeps it, with its batch of one: what a `Call` is made of when somebody reads it."""

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor
    mask: Mask
    bias: RelativeBias | None
    scaling: float
    soft_cap: float | None
    replaced: Mapping[int, Tensor] = _NONE
    forced: Mapping[int, Tensor] = _NONE

    def as_call(self) -> Call:
        return Call(
            query=self.query[0],
            key=self.key[0],
            value=self.value[0],
            mask=self.mask,
            bias=self.bias,
            scaling=self.scaling,
            soft_cap=self.soft_cap,
            weighted_values=self.output[0].flatten(-2),  # [query, head, d_head] → [query, head·d_head]
            replaced=self.replaced,
            forced=self.forced,
        )


def layer_of(site: Site, kept: KeptCall, wiring: Wiring, taps: Mapping[Tap, Tensor]) -> Layer:
    """One layer of what a pass kept, as a trace holds it."""
    found = {tap: taps[wiring.first_of(tap)] for tap in site.taps}
    flat = {tap: tensor.reshape(-1, tensor.shape[-1]) for tap, tensor in found.items()}  # [token, features]
    return Layer(site, kept.as_call(), frozen(flat))


def _copy(tensor: Tensor) -> Tensor:
    """The tensor in a storage of its own, cut to what it shows."""
    return tensor.clone(memory_format=torch.contiguous_format)


def _legal_pattern(cells: Any, may_look: Tensor, name: str) -> Tensor:
    pattern = torch.as_tensor(np.array(cells), dtype=torch.float32)
    if pattern.shape != may_look.shape:
        raise ValueError(f"the pattern for head {name} must be {list(may_look.shape)}, got {list(pattern.shape)}")
    if not bool(
        (pattern >= 0).all() and ((pattern.sum(dim=-1) - 1).abs() <= parity.ROW_SUM).all()
    ):  # so that NaN is refused too
        raise ValueError(f"every row of the pattern for head {name} must be positive and sum to 1")
    if bool((pattern[~may_look] > 0).any()):
        raise ValueError(f"the pattern for head {name} looks where the model's mask forbids it")
    return pattern
