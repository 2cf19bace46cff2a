"""Run a sentence once more with something changed, and compute nothing again that the change cannot reach.

A pass with a change in layer 3 is the plain pass up to there. So the blocks below are left out, and the first block
that runs gets the residual stream that the plain trace holds:

    plain = trace(model, "a fluffy blue creature")
    trace_again(model, plain, without=[(3, 1)])  # every number as in trace(model, ids, without=[(3, 1)]), in less time

The shared model stays as it is: the call runs a copy of the few modules that hold the blocks, with the same blocks and
weights in it. It is done where the model has one stream and is ours, and only after a trial: on five tokens the
shortened pass must give the bits of the whole one. Elsewhere the whole pass is run.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from attn_core.capture.assembling import assemble
from attn_core.capture.hooks import recording_to
from attn_core.capture.model import Model
from attn_core.capture.patches import all_patches
from attn_core.capture.probing.inputs import probe_inputs
from attn_core.capture.recorder import PassRecorder
from attn_core.capture.run import HeadKey, changes_of, check_patched, refuse_from_inputs, trace
from attn_core.capture.running import run_stack, run_whole
from attn_core.errors import HeadlightError
from attn_core.places import Place
from attn_core.traces.changes import Changes
from attn_core.traces.trace import Trace
from attn_core.traces.wiring import Site


def trace_again(
    model: Model,
    plain: Trace,
    *,
    without: Sequence[HeadKey] = (),
    replacement: str = "zero",
    edit: Mapping[HeadKey, Any] | None = None,
    patch: Mapping[Place, Any] | None = None,
) -> Trace:
    """The tokens of `plain` through its model once more, with changes as `attn_core.trace` takes and refuses them."""
    options: dict[str, Any] = {"without": without, "replacement": replacement, "edit": edit, "patch": patch}
    refuse_from_inputs(plain)
    if plain.kind == "encoder-decoder":
        source, target = plain.tokens_of("encoder")[0].ids, plain.tokens_of("decoder")[0].ids
        return trace(model, source, target=target, **options)
    changes = changes_of(model, **options)
    first = min((_first(place) for place in (p.place for p in all_patches(changes))), default=0)
    as_it_is = plain.tokens.types or plain.tokens.second or plain.tokens.messages
    read = plain.tokens if as_it_is else plain.tokens.ids
    if first == 0 or plain.changes or _owner(plain) is not model.hf:
        return trace(model, read, **options)
    made = _from_layer(model, plain, changes, first)
    return trace(model, read, **options) if made is None else made


def _first(place: Place) -> int:
    """The layer that must run for a place to be passed; what enters a layer is put where the one before gives it."""
    return max(0, place.layer - (place.kind == "residual"))


def _owner(plain: Trace) -> Any:
    try:
        return plain.stream().module()
    except HeadlightError:
        return None


def _from_layer(model: Model, plain: Trace, changes: Changes, first: int) -> Trace | None:
    """The changed trace with its first layers from the plain one; None where this model's blocks cannot be left out."""
    site, stream = model.wiring.sites[first], plain.stream()
    if site.embedding is None:
        return None
    entering = stream._layers[first].taps[site.embedding]  # [token, d_model]
    recorder = PassRecorder(model.wiring, changes, first)
    with model.running():
        path = _path_of(model)
        if path is None:
            return None
        with recording_to(recorder):
            _run_from(model, path, first, entering[None], **model.inputs_of(plain.tokens))
    recorder.pass_is_over()
    check_patched(model, recorder)
    below = [partial(stream._layers.__getitem__, i) for i in range(first)]
    known = {model.wiring.first_of(site.embedding): entering}
    return assemble(model, recorder, {"self": (plain.tokens, plain.tokens)}, changes, below, known)


_PATHS: weakref.WeakKeyDictionary[Any, str | None] = weakref.WeakKeyDictionary()


def _path_of(model: Model) -> str | None:
    """Where the model's blocks are in its stack, "encoder.layer"; None where no block can be left out.

    Tried once a model, on five tokens: the second half of the blocks, run on the stream that enters it, must give
    exactly what the whole pass gives.
    """
    if model.hf not in _PATHS:
        _PATHS[model.hf] = _proven(model)
    return _PATHS[model.hf]


def _proven(model: Model) -> str | None:
    sites = model.wiring.sites
    if not model.is_ours or model.virtual is not None or any(site.stream != "self" for site in sites):
        return None
    path, first = _blocks(model.hf, sites), len(sites) // 2
    tap = sites[first].embedding
    if path is None or first == 0 or tap is None:
        return None
    inputs, recorder = probe_inputs(model.hf), PassRecorder(model.wiring)
    with recording_to(recorder):
        whole = model.run(**inputs)[0]
    entering = recorder.taps()[model.wiring.first_of(tap)]
    try:
        short = _run_from(model, path, first, entering.reshape(1, -1, entering.shape[-1]), **inputs)[0]
    except (TypeError, IndexError, AttributeError, RuntimeError, ValueError):  # its blocks take or give something else
        return None
    return path if torch.equal(short, whole) else None


def _blocks(hf_model: Any, sites: Sequence[Site]) -> str | None:
    """The list of blocks, one a layer and each with its own W_O; None where there is no such list."""
    outputs = [hf_model.get_submodule(site.output.module) for site in sites]
    for name, found in hf_model.base_model.named_modules():
        if isinstance(found, nn.ModuleList) and len(found) == len(sites):
            own = [any(m is output for m in block.modules()) for block, output in zip(found, outputs, strict=True)]
            if all(own) and len(set(found)) == len(sites):
                return str(name)
    return None


def logits_without_blocks(model: Model, vectors: Tensor) -> Tensor | None:
    """The logits [n, word] that the model itself gives to vectors [n, d_model], as if its last block had left them.

    Its own forward is run, with every block left out: the last norm, the output layer and all that lies behind are the
    owner's. None where no block can be left out, or where no words are predicted.
    """
    with model.running():
        path = _path_of(model)
        if path is None or model.hf.get_output_embeddings() is None:
            return None
        whole = _copy_with_own_children(model.hf)
        whole._modules[model.hf.base_model_prefix] = _stack_from(model, path, len(model.wiring.sites), vectors[None])
        ids = torch.zeros(1, len(vectors), dtype=torch.long)  # which words is all the same without a block
        logits: Tensor = run_whole(whole, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}).logits[0]
        return logits


def _run_from(model: Model, path: str, first: int, entering: Tensor, **inputs: Tensor) -> Any:
    """A pass whose first blocks all give `entering` [1, token, d_model] without computing anything."""
    return run_stack(model.hf, inputs, _stack_from(model, path, first, entering))


def _stack_from(model: Model, path: str, first: int, entering: Tensor) -> Any:
    """The model's stack, whose first blocks all give `entering`."""
    given = entering.to(next(model.hf.parameters()))
    stack = _copy_with_own_children(model.hf.base_model)
    holder = stack
    for part in path.split("."):
        holder._modules[part] = holder = _copy_with_own_children(holder._modules[part])
    for name in list(holder._modules)[:first]:
        block = copy.copy(holder._modules[name])  # the same block with its hooks and attributes
        block.forward = lambda *_args, **_named: given
        holder._modules[name] = block
    return stack


def _copy_with_own_children(module: Any) -> Any:
    """A module with the same weights, hooks and children, of which others can be put in without touching it."""
    copied = copy.copy(module)
    copied._modules = dict(module._modules)
    return copied
