"""Our pass of a model beside one of its owner's object, with the attention of its family: they must say the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from attn_core import adapters
from attn_core.capture.interface import read_mask
from attn_core.capture.probing.record import AttentionEvent
from attn_core.capture.probing.refusals import family_of
from attn_core.capture.probing.short_run import ProbedModel, ShortRun
from attn_core.errors import HeadlightError, UnsupportedFamily
from attn_core.traces import parity
from attn_core.traces.call import Call

# Where a model's output holds the weights of a stream, [1, head, query, key] of each layer.
_GIVEN = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}


class OwnPass(NamedTuple):
    """How far our pass is from the owner's: relative error of the last states, absolute error of the weights."""

    states: float
    weights: float | None  # None: its own attention gives no weights


def compare_own_pass(probed: ProbedModel, short_run: ShortRun, streams: Sequence[str]) -> OwnPass:
    """The last states (or logits) and weights of our pass beside those of a call of the owner's object, whole.

    `streams` says whose each attention call is. Raises UnsupportedFamily where the last states say something else: our
    attention is not what the model was made for, or what the owner calls does more than the model inside does.
    """
    if short_run.own_states is None and short_run.logits is not None:
        ours, theirs = short_run.logits, short_run.own[0]
    else:
        ours, theirs = short_run.output[0], short_run.own[0] if short_run.own_states is None else short_run.own_states
    error = parity.relative_error(ours, theirs) if ours.shape == theirs.shape else math.inf
    if error <= parity.OWN_ATTENTION:
        return OwnPass(error, _weights_error(short_run.record.attention, streams, short_run.own))
    family = family_of(probed.hf_model)
    if probed.owners is not probed.hf_model:
        raise UnsupportedFamily(
            f"Calling this model ({adapters.method(probed.owners)}) gives another result than the {family} model "
            f"inside it, so what would be drawn is not what it does. {adapters.way_out(probed.owners)}"
        )
    raise UnsupportedFamily(
        f"{family} models give another result when their attention goes through the library's interface, "
        "so what would be drawn is not what they do."
    )


def _weights_error(calls: Sequence[AttentionEvent], streams: Sequence[str], said: Mapping[str, Any]) -> float | None:
    """The worst difference of a weight, over every call whose weights the model gives; None where it gives none."""
    given = {stream: _weights_of(said, stream) for stream in dict.fromkeys(streams)}
    if any(len(given[stream]) != streams.count(stream) for stream in given):
        return None
    errors = []
    for call, stream in zip(calls, streams, strict=True):
        ours, theirs = _pattern(call), given[stream].pop(0)[0]
        n_virtual = call.rules.beside - (call.rules.sink is not None)
        theirs = theirs.roll(-n_virtual, dims=-1)  # words first, as ours are
        if ours is not None and call.rules.sink is not None:  # what looks at no word is left out of theirs
            ours = ours[..., :-1]
            whole = (theirs.sum(dim=-1) - 1).abs().max() < parity.ROW_SUM  # Granite's are from before it takes its part
            ours = ours / ours.sum(dim=-1, keepdim=True) if whole else ours
        if ours is None or ours.shape != theirs.shape:
            return None
        errors.append(float((ours - theirs).abs().max()))
    return parity.worst_of(errors)


def _weights_of(said: Mapping[str, Any], stream: str) -> list[Tensor]:
    """The weights of a stream's layers, [1, head, query, key] each; layers without attention give none."""
    return [weights for weights in getattr(said, _GIVEN[stream], None) or () if isinstance(weights, Tensor)]


def _pattern(call: AttentionEvent) -> Tensor | None:
    """The pattern of a call by our functions, [head, query, key]; None where its mask cannot be read."""
    rules, (n_query, n_key) = call.rules, (call.query.shape[1], call.key.shape[1])
    try:
        mask, bias = read_mask(rules.mask, rules.bias, rules.is_causal, n_query, n_key, beside=rules.beside)
    except HeadlightError:
        return None
    parts = call.query, call.key, call.value
    found = Call(*parts, mask, bias, rules.scaling, rules.soft_cap, call.output, sink=rules.sink)
    return found.patterns(None)
