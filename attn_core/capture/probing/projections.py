"""The matrices of attention, found by what a model's modules compute in one short run and never by a table of names.

* W_O is the outermost affine map whose input is the very tensor that attention returned.
* W_Q, W_K and W_V are the linear maps whose output, cut at the right place, is the query, key and value at position 0,
  where a rotary position is the identity. The other positions then verify the cut, and the rotation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from attn_core.capture.probing.record import AttentionEvent, Event, ProbeRecord
from attn_core.rotary import fit_rotary
from attn_core.tolerances import SMALLEST_NORM
from attn_core.traces import parity
from attn_core.traces.wiring import HeadSlices, Linear, Site, Tap


def output_projections(
    model: nn.Module, record: ProbeRecord, call: AttentionEvent, stop: int
) -> Iterator[tuple[Linear, Event]]:
    """W_O, the outermost affine map whose input is the very tensor that attention returned, and what it gave.

    Then the same with the next affine map after it, and so on: W_O may be stored as several. A module is entered before
    the modules in it, so the first that is affine is the outermost.
    """
    width, d_joined = 0, call.output.shape[-1]
    modules: tuple[str, ...] = ()
    given, time = (call.pointer, call.output.shape), call.time
    while (found := _next_map(model, record, given, time, stop)) is not None:
        linear, left = found
        modules = (*modules, linear.module, *linear.then)
        width = linear.width if len(modules) == 1 else width or d_joined
        transposed = linear.transposed and len(modules) == 1
        yield Linear(modules[0], transposed, width, modules[1:]), left
        given, time = (left.pointer, left.value.shape), left.time


def _next_map(
    model: nn.Module, record: ProbeRecord, given: tuple[int, torch.Size], start: int, stop: int
) -> tuple[Linear, Event] | None:
    """The first affine map from a time on that takes a tensor, told by (its address, its shape)."""
    for event in record.events:
        if start <= event.time < stop and event.tap.side == "in" and (event.pointer, event.value.shape) == given:
            found = as_linear(model, record, event)
            if found is not None:
                return found
    return None


def as_linear(model: nn.Module, record: ProbeRecord, entered: Event) -> tuple[Linear, Event] | None:
    """Read the module that `entered` went into as x·W + b, if that is what it computes.

    A module with modules in it (an adapter around a linear map, a low-rank pair) is pushed through, not read.
    """
    module = model.get_submodule(entered.tap.module)
    left = record.by_tap.get(Tap(entered.tap.module, "out", 0, entered.tap.call))
    if left is None:
        return None
    if next(module.children(), None) is not None:
        return (
            (Linear(entered.tap.module, False, entered.value.shape[-1]), left)
            if _affine(module, record, entered, left)
            else None
        )
    weight, bias = module._parameters.get("weight"), getattr(module, "bias", None)
    if weight is None or weight.dim() != 2:
        return None
    for transposed in (True, False):
        w = weight.T if transposed else weight
        if w.shape != (entered.value.shape[-1], left.value.shape[-1]):
            continue
        result = entered.value @ w + (0 if bias is None else bias)
        if parity.same(result, left.value):
            return Linear(entered.tap.module, transposed), left
    return None


def _affine(module: nn.Module, record: ProbeRecord, entered: Event, left: Event) -> bool:
    """Whether a module maps each token by itself to x·W + b: sums of tokens become sums, and it gives what it gave.

    One that is given a second tensor (the residual stream), or does something else with one token alone, is none.
    """
    given = sum(
        (e.tap.module, e.tap.side, e.tap.call) == (entered.tap.module, "in", entered.tap.call) for e in record.events
    )
    if given != 1 or left.value.shape[0] != entered.value.shape[0]:
        return False
    x = entered.value
    a, b = x[:1], x[-1:]
    rows = torch.cat([x, torch.zeros_like(a), a + b, 2 * a - 3 * b])  # [token + 3, in]
    try:
        with torch.inference_mode():
            given = module(rows[None])[0]
    except Exception:  # it is no map of one tensor
        return False
    if not isinstance(given, Tensor) or given.shape != (len(rows), left.value.shape[-1]):
        return False
    *own, zero, total, combined = given
    first, last = own[0], own[-1]
    pairs = ((torch.stack(own), left.value), (first + last - zero, total), (2 * first - 3 * last + 2 * zero, combined))
    return all(parity.same(ours, theirs) for ours, theirs in pairs)


def with_projections(model: nn.Module, record: ProbeRecord, call: AttentionEvent, site: Site, start: int) -> Site:
    """Add W_Q, W_K, W_V where they can be found and verified at every position."""
    everything = 0 if site.stream == "cross" else start
    keys, values = call.key[:, : call.n_words], call.value[:, : call.n_words]  # the others are no words' projections
    value = head_slices(model, record, values, everything, call.time, exact=True)
    query = head_slices(model, record, call.query, start, call.time, exact=False)
    key = head_slices(model, record, keys, everything, call.time, exact=False)
    if value is None or not parity.same(value[2], values):
        return site
    site = replace(site, value=value[0], x=value[1], memory=value[1])
    if query is None or key is None:
        return site
    turned = [turned_by_position(q[2], captured) for q, captured in ((query, call.query), (key, keys))]
    if None in turned:
        return site
    return replace(site, query=query[0], key=key[0], x=query[1], memory=key[1])


def head_slices(
    model: nn.Module, record: ProbeRecord, heads: Tensor, start: int, stop: int, exact: bool
) -> tuple[HeadSlices, Tap, Tensor] | None:
    """The linear map that made `heads` [head, token, d_head]: (its slices, where its input is, heads before rotation).

    Matched at position 0, up to one factor for all heads and positions; with `exact` (values) the factor is 1.
    """
    for entered in record.events:
        if not start <= entered.time < stop or entered.tap.side != "in" or entered.value.shape[0] != heads.shape[1]:
            continue
        left = record.by_tap.get(Tap(entered.tap.module, "out", 0, entered.tap.call))
        if left is None or left.value.shape[0] != heads.shape[1] or left.value.shape[-1] < heads.shape[-1]:
            continue
        cut = _cut(left.value, heads, exact)
        found = None if cut is None else as_linear(model, record, entered)
        if cut is not None and found is not None:
            offsets, factor = cut
            slices = HeadSlices(found[0], offsets, heads.shape[-1], factor)
            return slices, entered.tap, _gather(found[1].value, offsets, heads.shape[-1]) * factor
    return None


def _cut(output: Tensor, heads: Tensor, exact: bool) -> tuple[tuple[int, ...], float] | None:
    """Offsets at which every head of `heads` [head, token, d_head] lies in `output` [token, n] at position 0."""
    windows = output[0].unfold(0, heads.shape[-1], 1)  # [offset, d_head]
    sizes = windows.norm(dim=-1).clamp_min(SMALLEST_NORM)
    first = heads[:, 0]  # [head, d_head]
    cosine = (first @ windows.T) / (first.norm(dim=-1, keepdim=True).clamp_min(SMALLEST_NORM) * sizes)
    best = cosine.max(dim=-1)
    if bool((best.values < 1 - parity.DIRECTION).any()):
        return None
    offsets = tuple(int(i) for i in best.indices)
    factors = first.norm(dim=-1) / sizes[best.indices]
    factor = 1.0 if abs(float(factors[0]) - 1) < parity.DIRECTION else float(factors[0])
    if bool(((factors / factor - 1).abs() > parity.FACTOR).any()) or (exact and factor != 1.0):
        return None
    return offsets, factor


def _gather(output: Tensor, offsets: tuple[int, ...], d_head: int) -> Tensor:
    return torch.stack([output[:, o : o + d_head] for o in offsets])  # [token, n] → [head, token, d_head]


def turned_by_position(plain: Tensor, captured: Tensor) -> bool | None:
    """Whether attention saw heads [head, token, d_head] turned by their position; None if by something unknown."""
    if parity.same(captured, plain):
        return False
    return None if fit_rotary(plain, captured, parity.ROTATION) is None else True
