"""One short run of a fresh model, to find its wiring: which tensors to keep later, and which weights made them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from attn_core.capture.hooks import add_hook, recording_to
from attn_core.capture.probing import matching, projections
from attn_core.capture.probing.record import AttentionEvent, Event, ProbeRecord, ProbeRecorder
from attn_core.errors import HeadlightError, UnsupportedFamily
from attn_core.traces import parity
from attn_core.traces.block import BlockKind
from attn_core.traces.wiring import Linear, Site, Tap, Wiring


def probe(model: nn.Module, run: Callable[[], Any]) -> Wiring:
    """Run the model once with everything recorded and read its wiring from it.

    `run` makes one short forward pass; for an encoder-decoder with a source longer than its target, so that streams
    can be told apart. Raises UnsupportedFamily where attention does not go through the library's interface, or
    where the model does not run with it.
    """
    recorder = ProbeRecorder(model)
    handles = [add_hook(m, name, side) for name, m in model.named_modules() if name for side in ("in", "out")]
    try:
        with recording_to(recorder):
            output = run()
    except HeadlightError:
        raise
    except Exception as error:
        if not recorder.record.attention:  # it could not even use the interface's masks
            raise _outside(model) from error
        raise UnsupportedFamily(f"{_family(model)} models do not run with an attention of ours: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    wiring = _read_wiring(model, recorder.record, recorder.causal, _last_states(output))
    first = recorder.first_taps(wiring.taps)
    copied, of_calls = recorder.to_copy(first.values())
    sites = tuple(replace(site, copied=names) for site, names in zip(wiring.sites, of_calls, strict=True))
    return replace(wiring, sites=sites, first=first, copied=copied)


def _last_states(output: Any) -> dict[str, Tensor]:
    """What the model says it ends with, [token, features] of each stream, where it says so."""
    last, encoder = (getattr(output, f"{side}last_hidden_state", None) for side in ("", "encoder_"))
    found = {"self": last} if encoder is None else {"decoder": last, "encoder": encoder}
    return {stream: states[0] for stream, states in found.items() if states is not None}


def _read_wiring(model: nn.Module, record: ProbeRecord, causal: bool, last_states: dict[str, Tensor]) -> Wiring:
    if not record.attention:
        raise _outside(model)
    streams = _streams(model, record)
    sites: list[Site] = []
    start = 0
    for i, call in enumerate(record.attention):
        stop = record.attention[i + 1].time if i + 1 < len(record.attention) else 1 << 60
        stream = streams[i]
        layer = sum(site.stream == stream for site in sites)
        site, projected = _site(model, record, call, stream, layer, start, stop)
        sites.append(site)
        start = projected.time
    joined = tuple(_join(record, site, sites[i + 1 : i + 2]) for i, site in enumerate(sites))
    linked = _linked(record, joined, last_states)
    final, norms = _final(record, linked, last_states)
    return Wiring(linked, final, norms, None, causal)


def _streams(model: nn.Module, record: ProbeRecord) -> list[str]:
    """Which stream each attention call belongs to, told by the lengths of its queries and keys."""
    lengths = [(call.query.shape[1], call.key.shape[1]) for call in record.attention]
    if len(set(lengths)) == 1:
        return ["self"] * len(lengths)
    n_source, n_target = lengths[0][0], lengths[-1][0]
    names = {(n_source, n_source): "encoder", (n_target, n_target): "decoder", (n_target, n_source): "cross"}
    if not set(lengths) <= set(names):
        raise UnsupportedFamily(
            f"Only a part of the attention of {_family(model)} models goes through the library's interface, so their "
            "streams cannot be told apart."
        )
    return [names[pair] for pair in lengths]


def _site(
    model: nn.Module, record: ProbeRecord, call: AttentionEvent, stream: str, layer: int, start: int, stop: int
) -> tuple[Site, Event]:
    found = projections.output_projection(model, record, call, stop)
    if found is None:
        raise UnsupportedFamily(
            f"In {_family(model)} models no linear map takes what attention returns, so ΔE cannot be told per head."
        )
    output, projected = found
    around = matching.residual_around(record, projected, start, stop)
    longer: tuple[Linear, Event] | None = found
    while around is None and longer is not None:  # W_O may be stored as several maps, one after the other
        longer = projections.followed_by(model, record, *longer, stop)
        if longer is not None:
            around = matching.residual_around(record, longer[1], start, stop)
            if around is not None or longer[1].value.shape[-1] != projected.value.shape[-1]:
                output, projected = longer
    site = Site(stream, layer, call.query.shape[0], output, projected.tap)
    site = _with_projections(model, record, call, site, start)
    if around is not None and around.block is BlockKind.NORM_AFTER and not _is_norm(model, projected, around.added):
        around = None
    if around is None or around.block is BlockKind.PARALLEL:
        _refuse_more_than_affine(model, record, output, projected, start, stop)
    if around is None:
        return site, projected
    site = replace(site, embedding=around.embedding.tap, added=around.added.tap)
    if around.block is BlockKind.PARALLEL and around.mlp is not None:
        return replace(site, block=BlockKind.PARALLEL, mlp=around.mlp.tap, next=around.total.tap), projected
    half = matching.mlp_after(record, around.total, stop)
    if half is None:  # the decoder's self-attention is followed by cross-attention, not by an MLP: see `_join`
        return replace(site, block=around.block, after=around.total.tap), projected
    kind, after, mlp, end = half
    kind = BlockKind.NORM_AFTER if around.block is BlockKind.NORM_AFTER else kind
    return replace(site, block=kind, after=after.tap, mlp=mlp.tap, next=end.tap), projected


def _refuse_more_than_affine(
    model: nn.Module, record: ProbeRecord, output: Linear, projected: Event, start: int, stop: int
) -> None:
    """Raise UnsupportedFamily where a module around W_O adds something else to the stream than W_O gives.

    A nonlinearity behind W_O, or an adapter that adds an attention of its own: ΔE would be no part of the stream.
    """
    around = [output.module.rsplit(".", n)[0] for n in range(1, output.module.count(".") + 1)]
    left = [e for e in record.between(projected.time + 1, stop) if e.tap.side == "out" and e.tap.module in around]
    for event in left:
        if event.value.shape == projected.value.shape and matching.added_to_stream(
            record, event, projected, start, stop
        ):
            raise UnsupportedFamily(
                f"In this {_family(model)} model the module {event.tap.module} does more than multiply by a matrix and "
                "add a bias before its result enters the residual stream, so ΔE cannot be told per head. If that is an "
                "adapter, merge it first: model.merge_and_unload()."
            )


def _is_norm(model: nn.Module, entered: Event, left: Event) -> bool:
    """Whether a module makes of a token alone what it made of it among others, and of a longer vector the same.

    A convolution does not do the first, most nonlinearities not the second; and those that saturate treat each number
    by itself, where a norm looks at all of them.
    """
    one, module = entered.value[1:2], model.get_submodule(left.tap.module)
    half = one.shape[-1] // 2
    other = torch.cat([one[:, :half], 3 * one[:, half:]], dim=-1)
    try:
        alone, long, longer, changed = module(one), module(1e4 * one), module(1e5 * one), module(other)
    except Exception:  # it wants to know what else there is
        return False
    given = left.value[1:2]
    return (
        alone.shape == given.shape
        and matching.close(alone, given)
        and parity.same(long, longer)
        and not parity.same(changed[:, :half], alone[:, :half])
    )


def _with_projections(model: nn.Module, record: ProbeRecord, call: AttentionEvent, site: Site, start: int) -> Site:
    """Add W_Q, W_K, W_V where they can be found and verified at every position."""
    everything = 0 if site.stream == "cross" else start
    value = projections.head_slices(model, record, call.value, everything, call.time, exact=True)
    if value is None or not parity.same(value[2], call.value):
        return site
    site = replace(site, value=value[0], x=value[1], memory=value[1])
    query = projections.head_slices(model, record, call.query, start, call.time, exact=False)
    key = projections.head_slices(model, record, call.key, everything, call.time, exact=False)
    if query is None or key is None:
        return site
    turned = [projections.turned_by_position(q[2], captured) for q, captured in ((query, call.query), (key, call.key))]
    if None in turned:
        return site
    return replace(site, query=query[0], key=key[0], x=query[1], memory=key[1])


def _join(record: ProbeRecord, site: Site, following: list[Site]) -> Site:
    """A decoder's self-attention ends where its cross-attention begins."""
    if site.stream != "decoder" or not following or following[0].stream != "cross":
        return site
    cross = following[0]
    if site.after is None or cross.embedding is None:
        return replace(site, block=None)
    total, entry = _value(record, site.after), _value(record, cross.embedding)
    same = torch.equal(total, entry)
    kind = site.block if site.block is BlockKind.NORM_AFTER else BlockKind.PRE_NORM if same else BlockKind.POST_NORM
    return replace(site, block=kind, after=cross.embedding, mlp=None, next=None)


def _linked(record: ProbeRecord, sites: tuple[Site, ...], last_states: dict[str, Tensor]) -> tuple[Site, ...]:
    """Keep the second half of blocks only where each next block, or the model's own last word, goes on from it.

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
    """What the model ends a stream with, after a last block: its sum, or the final norm of it. None if it is neither.

    A model that goes on into another space after that (OPT-350m) has no word in this.
    """
    site = sites[i]
    stop = record.attention[i + 1].time if i + 1 < len(sites) else 1 << 60
    end = next(e for e in record.events if e.tap == site.next)
    norm, said = matching.norm_of(record, end, stop), last_states.get(_reader(site))
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


_RECURRENT = ("rwkv",)  # what it calls attention is a recurrence: there is no pattern [query, key]
_READS = {"pixel_values": "images", "input_values": "sound", "input_features": "sound"}


def _outside(model: nn.Module) -> UnsupportedFamily:
    """Why a model whose run showed no attention call is refused: it reads no text, has no attention, or hides it."""
    family, reads = _family(model), getattr(model, "main_input_name", "input_ids")
    asked = inspect.signature(model.forward).parameters
    if reads in _READS or "pixel_values" in asked:
        return UnsupportedFamily(
            f"{family} models read {_READS.get(reads, 'images')}, and no text alone: there is no sentence to show."
        )
    kinds = [type(module).__name__.lower() for module in model.modules()]
    if family in _RECURRENT or not any("attention" in kind or "attn" in kind for kind in kinds):
        return UnsupportedFamily(
            f"{family} models have no attention: they mix words in another way, so there are no patterns to show."
        )
    return UnsupportedFamily(
        f"{family} models compute attention outside the library's attention interface, so their patterns "
        "cannot be captured truthfully. Families that can: BERT, GPT-2, Llama, T5, BART and most newer ones."
    )


def _family(model: nn.Module) -> str:
    return str(getattr(getattr(model, "config", None), "model_type", type(model).__name__))


# ------------------------------------------------------------------------------------- what is read in the short run


def probe_inputs(hf_model: Any) -> dict[str, Tensor]:
    """Five tokens to read and, for an encoder-decoder, four to write, no special ones among them."""
    config = hf_model.config
    target = torch.tensor([_ordinary_ids(hf_model, 4)])
    if hf_model.main_input_name == "input_features":  # a spectrogram, of the one length that the model takes
        sound = torch.randn(1, config.num_mel_bins, 2 * config.max_source_positions)
        return {"input_features": sound, "decoder_input_ids": target}
    ids = torch.tensor([_ordinary_ids(hf_model, 5)])
    return {"input_ids": ids, "decoder_input_ids": target} if config.is_encoder_decoder else {"input_ids": ids}


def _ordinary_ids(hf_model: Any, count: int) -> list[int]:
    n_words = hf_model.get_input_embeddings().weight.shape[0]
    special = {getattr(hf_model.config, f"{name}_token_id", None) for name in ("pad", "bos", "eos")}
    ordinary = [i for i in range(n_words) if i not in special]
    return [ordinary[(i + 1) * len(ordinary) // (count + 2)] for i in range(count)]


def no_cache(hf_model: Any) -> dict[str, bool]:
    return {"use_cache": False} if hasattr(hf_model.config, "use_cache") else {}
