"""Which tensors of a block follow from others, so that a pass need not keep them: found once, and tried on the spot.

A trace of a pre-norm block keeps the stream E and what attention added, A. The stream after attention is E + A, which
is the very addition that the model made; the MLP's part is the next E minus that; and x is the norm of E.
`traces.layer.Layer.tensor` computes each again when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from attn_core.capture.probing.record import Event, ProbeRecord
from attn_core.traces import parity
from attn_core.traces.block import BlockKind
from attn_core.traces.layer import through_modules
from attn_core.traces.wiring import Site, Tap, Wiring

MOST_MODULES = 4  # one after the other, from the stream to x, or to what the MLP adds
_RANDOM = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)


def with_derived(model: nn.Module, wiring: Wiring, record: ProbeRecord) -> Wiring:
    """The wiring, with what every site need not keep, and the modules that give it again."""
    sites = [_with_derived(model, wiring, site, record) for site in wiring.sites]
    sites = [_with_plain(model, wiring, site, record, n) for n, site in enumerate(sites)]
    for stream, final in wiring.final.items():
        n = max(
            n for n, site in enumerate(sites) if stream in (site.stream, "decoder" if site.stream == "cross" else "")
        )
        after = sites[n].next
        known = stream in wiring.final_norm or (after is not None and wiring.first_of(after) == wiring.first_of(final))
        if not known:
            sites[n] = replace(sites[n], last=_last_given(model, record, record.by_tap[final]))
    return replace(wiring, sites=tuple(sites))


def _with_derived(model: nn.Module, wiring: Wiring, site: Site, record: ProbeRecord) -> Site:
    derived: set[str] = set()
    to_mlp = _modules_between(model, record, site.after, site.mlp)
    if site.block in (BlockKind.PRE_NORM, BlockKind.NORM_AFTER) and _is_sum(record, site):
        derived.add("after")
    if site.block is BlockKind.PRE_NORM and to_mlp and site.next is not None:
        derived.add("mlp")
    to_x = _modules_between(model, record, site.embedding, site.x)
    reads_x = site.x is not None and site.memory is not None and wiring.first_of(site.x) == wiring.first_of(site.memory)
    if to_x and reads_x and site.value is not None:  # by which other weights than those of the pass are found out
        derived |= {"x", "memory"}
    return replace(site, derived=frozenset(derived), to_x=to_x, to_mlp=to_mlp)


def _with_plain(model: nn.Module, wiring: Wiring, site: Site, record: ProbeRecord, n: int) -> Site:
    """The site, with what tells whether x is right where its stream does not."""
    if site.x is None or site.memory is None or site.stream == "cross":
        return site
    of_stream = site.embedding is not None and (site.to_x or wiring.first_of(site.x) == wiring.first_of(site.embedding))
    if of_stream and site.block is not None:
        return site
    plain = set()
    for name, tap in (("query", site.x), ("key", site.memory), ("value", site.memory)):
        slices, given = getattr(site, name), getattr(record.attention[n], name)
        rows = record.by_tap[tap].value
        if slices is None or slices.linear.weight(model).shape[0] != rows.shape[-1]:  # W_V reads something else
            continue
        if parity.same(slices.of_rows(model, rows), given[:, : len(rows)]):
            plain.add(name)
    return replace(site, plain=frozenset(plain))


def _last_given(model: nn.Module, record: ProbeRecord, final: Event) -> Tap | None:
    """What entered the module that gave the final embedding, where it makes it of that alone."""
    for left in record.events:
        if left.tap.side == "out" and left.tap.slot == 0 and left.pointer == final.pointer and _same(left, final):
            entered = [e for e in record.events if e.tap[:2] + e.tap[3:] == (left.tap.module, "in", left.tap.call)]
            if len(entered) == 1 and _gives(model, (left.tap.module,), entered[0].value, final.value):
                return entered[0].tap
    return None


def _is_sum(record: ProbeRecord, site: Site) -> bool:
    """Whether the stream after attention is E + A, bit for bit."""
    if site.embedding is None or site.added is None or site.after is None:
        return False
    before, added, after = (record.by_tap[tap].value for tap in (site.embedding, site.added, site.after))
    return torch.equal(before + added, after)


def _modules_between(model: nn.Module, record: ProbeRecord, start: Tap | None, end: Tap | None) -> tuple[str, ...]:
    """The fewest modules that, one after the other, make one tensor of another; () where there are none.

    Modules that are random while a model is trained are left out: they are asked again when it may be in training.
    """
    if start is None or end is None:
        return ()
    source, target = record.by_tap[start], record.by_tap[end]
    steps = [*_steps(model, record, source.time, target.time)]
    paths: list[tuple[tuple[str, ...], Event]] = [((), source)]
    for _ in range(MOST_MODULES):
        paths = [
            ((*names, left.tap.module), left)
            for names, at in paths
            for entered, left in steps
            if left.time > at.time and _same(at, entered)
        ]
        for names, at in paths:
            if _same(at, target) and _gives(model, names, source.value, target.value):
                return names
    return ()


def _steps(model: nn.Module, record: ProbeRecord, start: int, end: int) -> Iterator[tuple[Event, Event]]:
    """(what entered, what left) of each module that maps one tensor to one, between two moments."""
    given: dict[tuple[str, str, int], list[Event]] = {}
    for event in record.events:
        if start - 1 <= event.time <= end + MOST_MODULES:
            given.setdefault((event.tap.module, event.tap.side, event.tap.call), []).append(event)
    for (module, side, call), events in given.items():
        left = given.get((module, "out", call), [])
        if side == "in" and len(events) == len(left) == 1 and left[0].tap.slot == 0 and not _is_random(model, module):
            yield events[0], left[0]


def _is_random(model: nn.Module, name: str) -> bool:
    return any(isinstance(module, _RANDOM) and module.p > 0 for module in model.get_submodule(name).modules())


def _same(one: Event, other: Event) -> bool:
    return one.value.shape == other.value.shape and torch.equal(one.value, other.value)


def _gives(model: nn.Module, names: tuple[str, ...], source: Tensor, target: Tensor) -> bool:
    try:
        made = through_modules(model, names, source)
    except (TypeError, IndexError, AttributeError, RuntimeError, ValueError):  # it takes or gives something else
        return False
    return isinstance(made, Tensor) and parity.same(made, target)
