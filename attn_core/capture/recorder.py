"""What is kept of one forward pass, and what is changed in it: heads switched off, patterns forced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attn_core.capture.hooks import AttentionCall
from attn_core.capture.interface import read_mask
from attn_core.errors import UnsupportedFamily
from attn_core.masks import Mask, RelativeBias
from attn_core.traces import parity
from attn_core.traces.layer import Call, frozen
from attn_core.traces.wiring import Tap, Wiring


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
        self.calls: list[Call] = []
        self.taps: dict[Tap, Tensor] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.masks: dict[Any, tuple[Mask, RelativeBias | None]] = {}

    def on_attention(self, call: AttentionCall) -> None:
        if len(self.calls) == len(self.wiring.sites):
            raise UnsupportedFamily("This model takes another path for another text; its layers cannot be told apart.")
        site = self.wiring.sites[len(self.calls)]
        mask, bias = self._mask(call)
        kept = Call(
            query=_compact(call.query[0]),
            key=_compact(call.key[0]),
            value=_compact(call.value[0]),
            mask=mask,
            bias=bias,
            scaling=call.scaling,
            soft_cap=call.soft_cap,
            weighted_values=call.output[0].flatten(-2),  # [query, head, d_head] → [query, head·d_head]
        )
        forced = self._force(call, kept, site.stream, site.layer)
        replaced = self._switch_off(call, site.stream, site.layer)
        weighted = _compact(kept.weighted_values)
        self.calls.append(replace(kept, weighted_values=weighted, replaced=frozen(replaced), forced=frozen(forced)))

    def _mask(self, call: AttentionCall) -> tuple[Mask, RelativeBias | None]:
        """Layers share their masks and biases, so each is read once."""
        n_query, n_key = call.query.shape[2], call.key.shape[2]
        pointers = tuple(None if t is None else t.data_ptr() for t in (call.mask, call.bias))
        key = (*pointers, call.is_causal, n_query, n_key)
        if key not in self.masks:
            self.masks[key] = read_mask(call.mask, call.bias, call.is_causal, n_query, n_key)
        return self.masks[key]

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

    def on_tensors(self, module: str, side: str, tensors: dict[int | str, Tensor]) -> None:
        count = self.counts[module, side] = self.counts.get((module, side), -1) + 1
        for tap in self.wiring.wanted.get((module, side, count), ()):
            tensor = tensors[tap.slot]
            tensor = tensor.reshape(-1, tensor.shape[-1])
            self.taps[tap] = tensor.clone() if tap in self.wiring.changed_later else _compact(tensor)


def _compact(tensor: Tensor) -> Tensor:
    """The tensor without the storage it shares: a cut of a fused projection would keep all of it alive."""
    tensor = tensor.detach().cpu()
    own = tensor.numel() * tensor.element_size()
    return tensor if tensor.untyped_storage().nbytes() == own else tensor.contiguous().clone()


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
