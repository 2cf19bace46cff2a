"""Sites as one chain: where each block ends, what the next one goes on from, and how a stream leaves the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from attn_core.capture.probing import matching
from attn_core.capture.probing.record import Event, ProbeRecord
from attn_core.traces.block import BlockKind
from attn_core.traces.wiring import Site, Tap, Wiring


def chain(sites: Sequence[Site], record: ProbeRecord, last_states: dict[str, Tensor]) -> Wiring:
    """The wiring of a model with these attention calls; `last_states` is what it says that its streams end with."""
    joined = tuple(_join(record, site, list(sites[i + 1 : i + 2])) for i, site in enumerate(sites))
    linked = _linked(record, joined, last_states)
    final, norms = _final(record, linked, last_states)
    return Wiring(linked, final, norms, None, record.causal)


def _join(record: ProbeRecord, site: Site, following: list[Site]) -> Site:
    """A decoder's self-attention ends where its cross-attention begins."""
    if site.stream != "decoder" or not following or following[0].stream != "cross":
        return site
    cross = following[0]
    if site.after is None or cross.embedding is None:
        return replace(site, block=None)
    total, entry = _value(record, site.after), _value(record, cross.embedding)
    same = torch.equal(total, entry)
    own = site.block is not None and site.block.changes_sum
    kind = site.block if own else BlockKind.PRE_NORM if same else BlockKind.POST_NORM
    return replace(site, block=kind, after=cross.embedding, mlp=None, next=None)


def _linked(record: ProbeRecord, sites: tuple[Site, ...], last_states: dict[str, Tensor]) -> tuple[Site, ...]:
    """Keep the second half of blocks only where the next block, or the model's last states, goes on from it.

    Where other layers lie between two attentions (Mamba's, a second MLP), one of them may have been taken for the MLP.
    """
    broken = set()
    for i, site in enumerate(sites):
        if site.next is None:
            continue
        following = next((s for s in sites[i + 1 :] if s.stream == _reader(site)), None)
        if following is None:
            goes_on = _leaving(record, sites, i, last_states) is not None
        else:
            end, entry = _value(record, site.next), following.embedding and _value(record, following.embedding)
            goes_on = entry is None or matching.close(end, entry)
        if not goes_on:
            broken.add(site.stream)
    return tuple(_first_half(site) if site.stream in broken else site for site in sites)


def _reader(site: Site) -> str:
    """Whose residual stream a site adds to: cross-attention adds to the decoder's."""
    return "decoder" if site.stream == "cross" else site.stream


def _leaving(record: ProbeRecord, sites: tuple[Site, ...], i: int, last_states: dict[str, Tensor]) -> Event | None:
    """The tensor that the model gives as a stream's last states: the sum after its last block, or the final norm of it.

    None where it is neither. Last states of another width (OPT-350m projects them) are not compared.
    """
    site = sites[i]
    stop = record.attention[i + 1].time if i + 1 < len(sites) else 1 << 60
    end = next(e for e in record.events if e.tap == site.next)
    norm = matching.norm_of([event for event in record.events if event.time < stop], end)
    said = last_states.get(_reader(site))
    if said is None or said.shape != end.value.shape:
        return norm or end
    return next((e for e in (norm, end) if e is not None and matching.close(e.value, said)), None)


def _first_half(site: Site) -> Site:
    """What is still known of a block whose MLP is not."""
    return replace(site, block=None if site.block is BlockKind.PARALLEL else site.block, mlp=None, next=None)


def _value(record: ProbeRecord, tap: Tap) -> Tensor:
    return next(event.value for event in record.events if event.tap == tap)


def _final(
    record: ProbeRecord, sites: tuple[Site, ...], last_states: dict[str, Tensor]
) -> tuple[dict[str, Tap], dict[str, str]]:
    """What comes after each stream's last block, and the module that is its final norm, where there is one."""
    final: dict[str, Tap] = {}
    norms: dict[str, str] = {}
    for i, site in enumerate(sites):
        ends = not any(later.stream == site.stream for later in sites[i + 1 :])
        found = _leaving(record, sites, i, last_states) if ends and site.next is not None else None
        if found is None:
            continue
        final[_reader(site)] = found.tap
        if found.value is not _value(record, site.next):  # type: ignore[arg-type]
            norms[_reader(site)] = found.tap.module
    for stream in last_states.keys() - final.keys():  # how it came about is not known, but there it is
        said = [e for e in record.events if e.tap.side == "out" and _equal(e.value, last_states[stream])]
        final |= {stream: said[-1].tap} if said else {}
    return final, norms


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)
