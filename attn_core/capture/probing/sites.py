"""Each attention call of a short run as a `Site`: its matrices, and where its neighbours' tensors can be had."""

from __future__ import annotations

from torch import nn

from attn_core.capture.probing import matching, projections
from attn_core.capture.probing.matching import Stream
from attn_core.capture.probing.record import AttentionEvent, Event, ProbeRecord
from attn_core.capture.probing.refusals import family_of
from attn_core.errors import UnsupportedFamily
from attn_core.traces.block import BlockKind
from attn_core.traces.wiring import Linear, Site


def find_sites(model: nn.Module, record: ProbeRecord) -> list[Site]:
    """A site for each attention call of the short run, in order.

    Raises UnsupportedFamily where streams cannot be told apart, or W_O is no linear map of what attention returns.
    """
    sites: list[Site] = []
    start, ends = 0, [*(call.time for call in record.attention[1:]), 1 << 60]
    for call, stream, stop in zip(record.attention, _streams(model, record), ends, strict=True):
        layer = sum(site.stream == stream for site in sites)
        site, projected = _site(model, record, call, stream, layer, start, stop)
        sites.append(site)
        start = projected.time
    return sites


def _streams(model: nn.Module, record: ProbeRecord) -> list[str]:
    """Which stream each attention call belongs to, told by the lengths of its queries and keys."""
    lengths = [(call.query.shape[1], call.n_words) for call in record.attention]
    if len(set(lengths)) == 1:
        return ["self"] * len(lengths)
    n_source, n_target = lengths[0][0], lengths[-1][0]
    names = {(n_source, n_source): "encoder", (n_target, n_target): "decoder", (n_target, n_source): "cross"}
    if not set(lengths) <= set(names):
        raise UnsupportedFamily(
            f"Only a part of the attention of {family_of(model)} models goes through the library's interface, so their "
            "streams cannot be told apart."
        )
    return [names[pair] for pair in lengths]


def _site(
    model: nn.Module, record: ProbeRecord, call: AttentionEvent, stream: str, layer: int, start: int, stop: int
) -> tuple[Site, Event]:
    """A site, and what its W_O gave."""
    events = [event for event in record.events if start <= event.time < stop]
    output, projected, around = _output(model, record, events, call, stop)
    site = Site(stream, layer, call.query.shape[0], output, projected.tap)
    if around is not None:
        site = matching.with_stream(site, around, events)
    if around is None or around.block is BlockKind.PARALLEL:
        module = matching.added_around(events, output, projected)
        if module is not None:  # a nonlinearity behind W_O, or an adapter that adds an attention of its own
            raise UnsupportedFamily(
                f"In this {family_of(model)} model the module {module} does more than multiply by a matrix and add a "
                "bias before its result enters the residual stream, so ΔE cannot be told per head."
            )
    return projections.with_projections(model, record, call, site, start), projected


def _output(
    model: nn.Module, record: ProbeRecord, events: list[Event], call: AttentionEvent, stop: int
) -> tuple[Linear, Event, Stream | None]:
    """W_O, what it gave, and the stream that this was added to, where it was found."""
    chosen: tuple[Linear, Event] | None = None
    for output, projected in projections.output_projections(model, record, call, stop):
        around = matching.residual_around(model, events, projected)
        if chosen is None or around is not None or projected.value.shape[-1] != chosen[1].value.shape[-1]:
            chosen = output, projected
        if around is not None:
            return output, projected, around
    if chosen is None:
        raise UnsupportedFamily(f"{_why_no_w_o(family_of(model), record, call, stop)}, so ΔE cannot be told per head.")
    return *chosen, None


def _why_no_w_o(family: str, record: ProbeRecord, call: AttentionEvent, stop: int) -> str:
    """What stands where W_O is expected, in the first layer where there is none."""
    inside = (e for e in record.events if e.tap.side == "in" and e.tap.module.startswith(f"{call.module}."))
    taken = next((e for e in inside if call.time <= e.time < stop), None)
    if taken is None:
        return f"In {family} models no linear map takes what attention returns"
    if (taken.pointer, taken.value.shape) == (call.pointer, call.output.shape):
        return f"In {family} models what takes what attention returns is no linear map"
    changed = "is changed, as by a gate or a rotation, before a linear map takes it"
    return f"In {family} models what attention returns {changed}"
