"""One layer of a trace, read from a file: every tensor of the shape that the others ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from attn_core.masks import Mask, RelativeBias
from attn_core.tolerances import TOLERANCES
from attn_core.traces.call import Call, Replaced
from attn_core.traces.layer import Layer, frozen
from attn_core.traces.saved.tensors import NamedTensors
from attn_core.traces.saved.wiring_json import MOST, number, site_from_json, text, whole
from attn_core.traces.wiring import TAPS, Site, Tap


def layer_from_json(said: Any, n_query: int, n_key: int, tensors: NamedTensors) -> Layer:
    site = site_from_json(said["site"])
    call = _call(said, site, n_query, n_key, tensors)
    taps, computed = {}, {}
    for name in TAPS:
        tap, kept = getattr(site, name), said["taps"].get(name)  # older files know fewer names
        if tap is None and kept is not None:
            raise ValueError("a tensor that is nowhere")
        if kept is not None:  # what W_K reads is the other sentence in "cross"
            n_rows = n_key if name == "memory" and site.stream == "cross" else n_query
            taps[tap] = tensors.of(kept, n_rows, None)
            if name in said["computed"]:
                computed[tap] = tensors.of(said["computed"][name], *taps[tap].shape)
    if not all(name in TAPS and getattr(site, name) in computed for name in said["computed"]):
        raise ValueError("no tensor of a layer")
    precision = said.get("precision", "float32")
    if precision not in TOLERANCES:
        raise ValueError("no number type")
    sample = None if said.get("sample") is None else _sample(said["sample"], tensors)
    if not _is_whole(site, call, taps, small=sample is not None):
        raise ValueError("a tensor of a layer is missing")
    return Layer(site, call, frozen(taps), frozen(computed), precision, sample)


def _is_whole(site: Site, call: Call, taps: Mapping[Tap, Tensor], small: bool) -> bool:
    """Whether what is not there follows from what is."""
    there = {name for name in TAPS if getattr(site, name) is None or getattr(site, name) in taps}
    ways = {"x": site.to_x, "memory": site.to_x}
    follow = {name for name in site.derived & {"x", "memory", "after", "mlp"} if ways.get(name, True)}
    follow |= {"projected", "added", "after", "mlp", "last"} if small else set()
    needs_stream = follow - there and not {"embedding", "next"} <= there
    return set(TAPS) <= there | follow and small == (call.weighted_values is None) and not needs_stream


def _sample(said: Any, tensors: NamedTensors) -> tuple[Tensor, Tensor]:
    rows, projected = said
    given = tensors.of(rows, None, None)
    return given, tensors.of(projected, len(given), None)


def _call(said: Any, site: Site, n_query: int, n_key: int, tensors: NamedTensors) -> Call:
    query = tensors.of(said["query"], site.n_heads, n_query, None)
    key = tensors.of(said["key"], None, n_key, query.shape[-1])
    value = tensors.of(said["value"], len(key), n_key, None)
    if site.n_heads % len(key):
        raise ValueError("heads that share no keys")
    d_joined = site.n_heads * value.shape[-1]
    inputs = {
        text(part): tensors.of(
            name, site.n_heads, n_query if part == "query" or site.stream != "cross" else n_key, None
        )
        for part, name in said["computed_inputs"].items()
    }
    if not set(inputs) <= {"query", "key", "value"}:
        raise ValueError("no input of attention")
    mask = _mask(said["mask"], n_query, n_key, tensors)
    return Call(
        query,
        key,
        value,
        mask,
        _bias(said["bias"], site.n_heads, n_query, n_key - mask.beside, tensors),
        number(said["scaling"]),
        None if said["soft_cap"] is None else number(said["soft_cap"]),
        tensors.maybe(said["weighted_values"], n_query, d_joined),
        replaced=frozen(_replaced(said["replaced"], site.n_heads, (n_query, value.shape[-1]), tensors)),
        forced=frozen(_by_head(said["forced"], site.n_heads, (n_query, n_key), tensors)),
        computed=frozen(inputs),
        sink=tensors.maybe(said.get("sink"), site.n_heads),
    )


def _replaced(said: Any, n_heads: int, shape: tuple[int, int], tensors: NamedTensors) -> dict[int, Replaced]:
    parts = _by_head({head: part for head, (part, _) in said.items()}, n_heads, shape, tensors)
    rows = {int(head): tensors.of(name, shape[0], kind=torch.bool) for head, (_, name) in said.items()}
    return {head: Replaced(part, rows[head]) for head, part in parts.items()}


def _by_head(said: Any, n_heads: int, shape: tuple[int, int], tensors: NamedTensors) -> dict[int, Tensor]:
    found = {int(head): tensors.of(name, *shape) for head, name in said.items()}
    if not all(0 <= head < n_heads for head in found):
        raise ValueError("no such head")
    return found


def _mask(said: Any, n_query: int, n_key: int, tensors: NamedTensors) -> Mask:
    back, ahead, real, cells, *more = said
    beside = whole(more[0]) if more else 0
    asks = more[1] if len(more) > 1 else None  # of format 3
    if beside >= n_key or (beside and n_key - beside != n_query):
        raise ValueError("no keys beside words")
    if not all(n is None or (type(n) is int and -MOST < n < MOST) for n in (back, ahead)):
        raise ValueError("no reach of a mask")
    kind = torch.bool
    mask = Mask(
        back,
        ahead,
        tensors.maybe(real, n_key, kind=kind),
        tensors.maybe(cells, n_query, n_key, kind=kind),
        beside,
        tensors.maybe(asks, n_query, kind=kind),
    )
    blind = mask.blind(n_query, n_key)
    if blind is not None and bool(blind.all()):
        raise ValueError("words that may look nowhere")
    return mask


def _bias(said: Any, n_heads: int, n_query: int, n_key: int, tensors: NamedTensors) -> RelativeBias | None:
    if said is None:
        return None
    if tensors.by_name[said].dim() == 3:
        return RelativeBias(tensors.of(said, n_heads, n_query, n_key))
    return RelativeBias(tensors.of(said, n_heads, n_query + n_key - 1))
