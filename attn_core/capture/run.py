"""Run a model once and give a trace of the pass."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attn_core.capture.assembling import assemble
from attn_core.capture.gradient_trace import with_gradients
from attn_core.capture.gradients import GradientRecorder
from attn_core.capture.hooks import recording_to
from attn_core.capture.inputs import read_inputs
from attn_core.capture.model import Model, model_of
from attn_core.capture.patches import patch_of
from attn_core.capture.recorder import PassRecorder
from attn_core.errors import HeadlightError, TextWasCut, check_index
from attn_core.places import Place
from attn_core.text.tokens import Tokens
from attn_core.traces.changes import Changes
from attn_core.traces.trace import Trace

HeadKey = tuple[int, int] | tuple[str, int, int]


def trace(
    model: Model | str | Path,
    text: str | Sequence[int] | None = None,
    *,
    target: str | Sequence[int] | None = None,
    audio: Any = None,
    inputs: Mapping[str, Any] | None = None,
    without: Sequence[HeadKey] = (),
    replacement: str = "zero",
    edit: Mapping[HeadKey, Any] | None = None,
    patch: Mapping[Place, Any] | None = None,
    grad: bool = False,
    limit: int | None = None,
) -> Trace:
    """Run a model once over a text (or token ids) and keep what explains its attention.

    `model` is what `attn_core.load` or `wrap` gave, or a name or folder to load. At most `limit` tokens are read, by
    default as many as the model may; a longer text is cut, with a `TextWasCut` warning.
    An encoder-decoder also needs `target`, what it is about to write (a text, or the decoder's ids as they are);
    a speech model takes `audio`, a spectrogram [mel, frame], in place of a text. `inputs` is what a tokenizer gave for
    one sentence or pair, and goes to the model as it is, with segments and masks.
    `patch` puts something else at places of the pass, for this call only: `{ac.at.head(0, 3): other_trace}`. `ac.at`
    names the places; what is put there is a trace, whose tensor of the same place it is, an array of the place's shape
    (see `attn_core.places`), or "zero" or "mean", the mean over the sentence. What follows is computed from it.
    `without` and `edit` are shorter ways to say two of these: `without` switches heads off, and `replacement` says what
    stands in their place, `edit` forces patterns [query, key]. Both name heads (layer, head), or (stream, layer, head)
    in an encoder-decoder. `trace.changes` then says what was changed, and so does all that is made of it.

    With `grad`, the readers are torch tensors in the graph of this pass, so `torch.autograd.grad(trace.logits()[word],
    trace.embedding(3))` works, and so does every other reader; see `attn_core.capture.gradient_trace`.

    Raises ValueError or IndexError for a place that is not there, is named twice, or gets another shape than it has,
    and HeadlightError where this model's tensor could not be found.
    """
    model = model_of(model) if limit is None else model_of(model).with_limit(limit)
    given, read = read_inputs(model, text, target, audio, inputs)
    warn_of_cuts(read)
    changes = changes_of(model, without=without, replacement=replacement, edit=edit, patch=patch)
    recorder = GradientRecorder(model.wiring, model.hf, changes) if grad else PassRecorder(model.wiring, changes)
    with model.running(grad), recording_to(recorder):
        model.run(**given)
    check_patched(model, recorder)
    made = assemble(model, recorder, read, changes)
    return with_gradients(made, recorder.nodes, model.wiring.logits) if isinstance(recorder, GradientRecorder) else made


def changes_of(
    model: Model,
    *,
    without: Sequence[HeadKey] = (),
    replacement: str = "zero",
    edit: Mapping[HeadKey, Any] | None = None,
    patch: Mapping[Place, Any] | None = None,
) -> Changes:
    """What these options of `trace` change, checked against the model."""
    if replacement not in ("zero", "mean"):
        raise ValueError(f'replacement must be "zero" or "mean", got {replacement!r}')
    off = [_head_key(model, key) for key in without]
    forced = {_head_key(model, key): cells for key, cells in (edit or {}).items()}
    patches = [patch_of(place, put, model.wiring) for place, put in (patch or {}).items()]
    return Changes.of(off, replacement, forced, patches)


def check_patched(model: Model, recorder: PassRecorder) -> None:
    """Raises HeadlightError where a pass is over and something was not put where it belongs."""
    if recorder.patches is not None and recorder.patches.tensors_left:
        raise HeadlightError(f"{model.name} did not pass by every place that was to be patched, so nothing is shown.")


def warn_of_cuts(read: Mapping[str, tuple[Tokens, Tokens]]) -> None:
    """Warn, once a text, where it was longer than what is read of it."""
    for text in {id(own): own for pair in read.values() for own in pair}.values():
        if text.is_cut:
            warnings.warn(f"The text was cut after {text.cut_after}: {text.left_out}", TextWasCut, stacklevel=3)


def _head_key(model: Model, key: HeadKey) -> tuple[str, int, int]:
    """(stream, layer, head), checked."""
    if not isinstance(key, tuple | list) or len(key) not in (2, 3):
        raise ValueError(f"{key!r} names no head: name each one (layer, head) or (stream, layer, head)")
    stream, layer, head = key if len(key) == 3 else ("self", *key)
    sites = [s for s in model.wiring.sites if s.stream == stream]
    if not sites:
        streams = sorted({s.stream for s in model.wiring.sites})
        raise ValueError(
            f"{key} names no stream of this model; name a head (stream, layer, head) with one of {streams}"
        )
    check_index("layer", layer, len(sites), "this model")
    check_index("head", head, sites[layer].n_heads, "this layer")
    return stream, layer, head
