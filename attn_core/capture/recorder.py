"""What is kept of one forward pass; what is changed in it goes through here, too, and is done by `patches`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attn_core.capture.hooks import AttentionCall, tensor_at
from attn_core.capture.interface import read_mask, with_a_zero
from attn_core.capture.patches import Patches, put_into_pattern
from attn_core.errors import UnsupportedFamily
from attn_core.masks import Mask, RelativeBias
from attn_core.precision import name_of
from attn_core.tolerances import coarsest
from attn_core.traces.call import Call, Replaced
from attn_core.traces.changes import Changes
from attn_core.traces.layer import Layer, frozen, some_rows
from attn_core.traces.wiring import ModuleSide, Site, Tap, Wiring

_NONE: Mapping[Any, Any] = frozen({})
_PLAIN = Changes()


class PassRecorder:
    """Keeps, of one pass, what the wiring asks for; puts in its tensors what `changes` asks for."""

    in_steps = False
    passed: dict[ModuleSide, Any] | None = None

    def attend(self, *_: Any) -> Tensor:
        raise NotImplementedError  # the library's fused function is asked

    def __init__(
        self,
        wiring: Wiring,
        changes: Changes = _PLAIN,
        first: int = 0,
        filler: Mapping[str, Tensor] = _NONE,
        small: bool = False,
    ) -> None:
        """`first`: how many attention calls are left out at the beginning; `filler`: which queries of a stream are
        filler, bool [query]; `small`: whether only q, k, v and the residual stream are kept."""
        self.wiring, self.small = wiring, small
        self.virtual = wiring.virtual
        self._sites = wiring.sites[first:]
        self.filler = filler
        self.patches = Patches(changes, wiring) if changes else None
        self._kept = wiring.kept_small if small else wiring.kept
        self._sampled = wiring.projected_places if small else frozenset()
        left_out = wiring.left_out_of_small if small else wiring.left_out
        self._left_out = frozenset() if changes else left_out
        self._alone: Mapping[ModuleSide, Tap] = _NONE if small or changes else wiring.alone
        self._taps: dict[Tap, Tensor] = {}
        self.calls: list[Any] = []  # a `KeptCall` each, or what gives one
        self.masks: dict[Any, tuple[AttentionCall, Mask, RelativeBias | None]] = {}
        self.computed: dict[Tap, Tensor] = {}  # what the model had computed where something was put
        self._inputs: Mapping[str, Tensor] = _NONE  # the same of the query, key and value of the call to come
        self._counts: dict[ModuleSide, int] = {}  # how often something entered or left a module

    def _site(self) -> Site:
        return site_of(self._sites, len(self.calls))

    def before_attention(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.patches is None:
            return query, key, value
        parts, self._inputs = self.patches.change_inputs(self._site(), (query, key, value))
        return parts

    def on_attention(self, call: AttentionCall) -> None:
        site = self._site()
        mask, bias = self._mask(call, site)
        if call.sink is None and site.stream in self.wiring.sinks:  # other layers of this stream have learnt one
            call, mask = _with_a_hidden_key(call, mask)
        forced, replaced = (_NONE, _NONE) if self.patches is None else change_call(self.patches, call, mask, bias, site)
        if site.copied:
            copies: dict[str, Any] = {name: _copy(getattr(call, name)) for name in site.copied}
            call = call._replace(**copies)
        output = call.output
        if self.small:
            output = _copy(output[:, some_rows(output.shape[1])])  # for `Layer.sample`
        kept = KeptCall(
            call.query,
            call.key,
            call.value,
            output,
            mask,
            bias,
            call.scaling,
            call.soft_cap,
            replaced,
            forced,
            self._inputs,
            call.sink,
            self.small,
        )
        self._inputs = _NONE
        self.calls.append(kept)

    def _mask(self, call: AttentionCall, site: Site) -> tuple[Mask, RelativeBias | None]:
        """Layers share their masks and biases, so each is read once."""
        key = mask_key(call, site)
        if key not in self.masks:
            filler, n_query, n_key = self.filler.get(site.stream), call.query.shape[2], call.key.shape[2]
            rules = read_mask(call.mask, call.bias, call.is_causal, n_query, n_key, filler, call.beside)
            self.masks[key] = (call, *rules)  # with the call, so that these addresses are not used again in this pass
        return self.masks[key][1:]

    def on_tensors(self, place: ModuleSide, values: Any, named: dict[str, Any] | None) -> None:
        tap = self._alone.get(place)
        if tap is None:
            if place not in self._left_out:
                self._on_others(place, values, named)
        elif tap not in self._taps:  # called again, a module gives nothing that was asked for
            self._taps[tap] = tensor_at(tap.slot, values, named)

    def _on_others(self, place: ModuleSide, values: Any, named: dict[str, Any] | None) -> None:
        """The same where more than one tensor is kept, or a part or copy of it, or something is put."""
        count = self._patch(place, values, named)
        for tap in self.wiring.wanted.get((*place, count), ()):
            whole = tap in self._kept or tap in self.computed
            if whole or place in self._sampled:
                tensor = tensor_at(tap.slot, values, named)
                if not whole:
                    tensor = _copy(
                        tensor[..., some_rows(tensor.shape[-2]), :]
                    )  # [1, token, d_model] → [1, row, d_model]
                elif place in self.wiring.copied_places:
                    tensor = _copy(tensor)
                self._taps[tap] = tensor

    def _patch(self, place: ModuleSide, values: Any, named: dict[str, Any] | None) -> int:
        """Put what is put into a tensor that passes by; gives how often something entered or left there before."""
        count = self._counts[place] = self._counts.get(place, -1) + 1
        if self.patches is not None:
            for tap, puts in self.patches.at(place).get(count, {}).items():
                self.computed[tap] = self.patches.change_tensor(puts, tensor_at(tap.slot, values, named))
        return count

    def taps(self) -> dict[Tap, Tensor]:
        """What is kept of the tensors that passed by, each once: [1, token, features] or [token, features]."""
        return self._taps

    def pass_is_over(self) -> None:
        """Let go of what only the pass needed: a trace that nobody has read yet keeps no square."""
        self.masks.clear()

    @property
    def n_calls(self) -> int:
        """How many attention calls there were."""
        return len(self.calls)

    def sorted(self) -> PassRecorder:
        """Itself: all of it is sorted already."""
        return self


class PassNotes:
    """Takes note of a pass in which nothing is changed, copied or cut; it is sorted when somebody reads the trace.

    Between two matrix products little of Python is in the processor's memory, and each line of it costs several times
    what it costs in a row: so a pass is asked for no more than an entry of a dictionary or list.
    """

    in_steps = False
    patches = None

    def __init__(self, wiring: Wiring, filler: Mapping[str, Tensor] = _NONE) -> None:
        self.wiring, self.filler, self.virtual = wiring, filler, wiring.virtual
        self.passed: dict[ModuleSide, Any] | None = dict(wiring.not_noted)
        self._calls: list[tuple[Any, ...]] = []
        self._sorted: PassRecorder | None = None

    def attend(self, *_: Any) -> Tensor:
        raise NotImplementedError  # the library's fused function is asked

    def before_attention(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return query, key, value

    def on_attention(self, call: AttentionCall) -> None:
        self._calls.append(call[1:])  # without its module, so that a trace does not keep the model

    def on_tensors(self, place: ModuleSide, values: Any, named: dict[str, Any] | None) -> None:
        """Of several tensors that pass by together, one is kept."""
        if self.passed is not None and place not in self.passed:
            self.passed[place] = tensor_at(self.wiring.alone[place].slot, values, named)

    def pass_is_over(self) -> None:
        if any(mask is not None or bias is not None for _, _, _, mask, bias, *_ in self._calls):
            self.sorted()  # squares are read at once: some are refused, and none is kept

    @property
    def n_calls(self) -> int:
        return len(self._calls)

    @torch.inference_mode()
    def sorted(self) -> PassRecorder:
        """The recorder that would have been left by a pass that was sorted on the way."""
        if self._sorted is None:
            recorder = PassRecorder(self.wiring, filler=self.filler)
            for call in self._calls:
                recorder.on_attention(AttentionCall(None, *call))
            passed = self.passed or {}
            recorder.taps().update({tap: passed[place] for place, tap in self.wiring.alone.items() if place in passed})
            recorder.pass_is_over()
            self.passed, self._sorted = None, recorder
            self._calls = [()] * len(self._calls)
        return self._sorted


def recorder_of(
    wiring: Wiring, changes: Changes = _PLAIN, filler: Mapping[str, Tensor] = _NONE, small: bool = False
) -> PassRecorder | PassNotes:
    """What records a pass that keeps no graph."""
    if wiring.is_only_noted and not (changes or small):
        return PassNotes(wiring, filler)
    return PassRecorder(wiring, changes, filler=filler, small=small)


def address_of(tensor: Tensor | None) -> int | None:
    """Where its numbers are: layers that share a mask give it as tensors of their own."""
    return None if tensor is None else tensor.data_ptr()


def mask_key(call: AttentionCall, site: Site) -> tuple[Any, ...]:
    """What tells one mask and bias of a pass from another."""
    n_query, n_key = call.query.shape[2], call.key.shape[2]
    return address_of(call.mask), address_of(call.bias), call.is_causal, n_query, n_key, site.stream


def site_of(sites: Sequence[Site], n: int) -> Site:
    """That of the n-th attention call; raises UnsupportedFamily where there are more than the probe saw."""
    if n == len(sites):
        raise UnsupportedFamily("This model takes another path for another text; its layers cannot be told apart.")
    return sites[n]


class KeptCall(NamedTuple):
    """An attention call as a pass keeps it, with its batch of one: what a `Call` is made of when somebody reads it.

    Its tensors are where the model is, and of the number type that it computes in.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor
    mask: Mask
    bias: RelativeBias | None
    scaling: float
    soft_cap: float | None
    replaced: Mapping[int, Replaced] = _NONE
    forced: Mapping[int, Tensor] = _NONE
    computed: Mapping[str, Tensor] = _NONE
    sink: Tensor | None = None
    is_small: bool = False  # whether `output` is that of some queries alone

    def as_call(self) -> Call:
        """The same in float32, on the same device; what attention gave filler, which is nobody's word, is NaN."""

        def exact(tensor: Tensor) -> Tensor:
            return tensor.to(self.query.device, torch.float32)

        call = Call(
            query=exact(self.query[0]),
            key=exact(self.key[0]),
            value=exact(self.value[0]),
            mask=self.mask,
            bias=None if self.bias is None else RelativeBias(exact(self.bias.values)),
            scaling=self.scaling,
            soft_cap=self.soft_cap,
            weighted_values=exact(self.output[0].flatten(-2)),  # [query, head, d_head] → [query, head·d_head]
            replaced={h: Replaced(exact(p.part), p.rows) for h, p in self.replaced.items()},
            forced={head: exact(cells) for head, cells in self.forced.items()},
            computed={name: exact(part) for name, part in self.computed.items()},
            sink=None if self.sink is None else exact(self.sink.detach()),
        )
        given = call.weighted_values
        if call.blind is None or given is None or self.is_small:
            return call
        return replace(call, weighted_values=given.masked_fill(call.blind[:, None], math.nan))


def change_call(
    patches: Patches, call: AttentionCall, mask: Mask, bias: RelativeBias | None, site: Site
) -> tuple[Mapping[int, Tensor], Mapping[int, Replaced]]:
    """Force patterns and replace heads in `call.output`, where this call is asked to: (forced patterns, replaced)."""
    parts = (call.query, call.key, call.value, call.output)
    kept = KeptCall(*parts, mask, bias, call.scaling, call.soft_cap, sink=call.sink).as_call()
    forced: dict[int, Tensor] = {}
    for head, puts in patches.patterns(site).items():
        may_look = kept.mask.may_look(kept.n_query, kept.n_key).to(kept.query.device)
        name = f"{site.layer}.{head}"
        forced[head], rows = put_into_pattern(puts, kept.patterns(head)[0], may_look, name)
        weighted = forced[head][rows] @ kept.heads(head)[2][0]  # [row, key] · [key, d_head] → [row, d_head]
        call.output[0, rows, head] = weighted.to(call.output)
    return frozen(forced), frozen(patches.change_heads(site, call.output[0]))


def layer_of(
    site: Site,
    kept: KeptCall | Callable[[], KeptCall],
    wiring: Wiring,
    taps: dict[Tap, Tensor],
    computed: Mapping[Tap, Tensor],
) -> Layer:
    """One layer of what a pass kept, as a trace holds it, in float32; a call that has yet to be cut out is asked for.

    `computed` is what the model had where something was put. Of `taps`, what is in half precision is replaced by itself
    in float32, which neighbouring layers share; what is not there follows from what is.
    """
    if not isinstance(kept, KeptCall):
        kept = kept()
    kinds = {kept.query.dtype, kept.value.dtype, kept.output.dtype}
    flat, own = {}, {}
    for tap in site.taps:
        first = wiring.first_of(tap)
        if first not in taps:
            continue
        kinds.add(taps[first].dtype)
        if taps[first].dtype != torch.float32:
            taps[first] = taps[first].float()
        tensor = taps[first]
        flat[tap] = tensor if tensor.dim() == 2 else tensor.reshape(-1, tensor.shape[-1])  # [token, features]
        if first in computed:
            own[tap] = computed[first].to(tensor)
    call, sample = kept.as_call(), None
    if kept.is_small:
        call, sample, flat = _small(site, call, flat, wiring)
    if call.blind is not None:  # what the model computes of filler is of no word
        others = site.memory if site.stream == "cross" else None  # it has a row for each key
        flat |= {tap: t.masked_fill(call.blind[:, None], math.nan) for tap, t in flat.items() if tap != others}
    return Layer(site, call, frozen(flat), frozen(own), coarsest(map(name_of, kinds)), sample)


def _small(
    site: Site, call: Call, flat: Mapping[Tap, Tensor], wiring: Wiring
) -> tuple[Call, tuple[Tensor, Tensor], dict[Tap, Tensor]]:
    """A layer of which some rows of the weighted values, and of what W_O gave, are kept: (call, these, the others)."""
    rows, projected = call.given_rows(), flat[site.projected]
    if len(projected) != len(rows):
        projected = projected[some_rows(len(projected))]
    others = {t: value for t, value in flat.items() if wiring.first_of(t) != wiring.first_of(site.projected)}
    return replace(call, weighted_values=None), (rows, projected), others


def _with_a_hidden_key(call: AttentionCall, mask: Mask) -> tuple[AttentionCall, Mask]:
    """The call with a last key that no query may see, as the layers around it have one for looking at no word."""
    wider = call._replace(key=with_a_zero(call.key), value=with_a_zero(call.value))
    return wider, mask.with_keys(1, call.key.shape[2], seen=False)


def _copy(tensor: Tensor) -> Tensor:
    """The tensor in a storage of its own, cut to what it shows."""
    return tensor.clone(memory_format=torch.contiguous_format)
