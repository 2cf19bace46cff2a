"""Run a model once and give a trace of the pass."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from attn_core.capture.assembling import assemble
from attn_core.capture.gradient_trace import with_gradients
from attn_core.capture.gradients import GradientRecorder
from attn_core.capture.hooks import recording_to
from attn_core.capture.model import Model, check_limit, model_of
from attn_core.capture.patches import patch_of
from attn_core.capture.recorder import PassNotes, PassRecorder, recorder_of
from attn_core.errors import EmptyText, HeadlightError, TextWasCut, check_index
from attn_core.options import check_choice, check_flag, check_mapping, check_several
from attn_core.places import Place
from attn_core.text import positions, tokens
from attn_core.text.tokens import Tokens
from attn_core.traces.changes import Changes
from attn_core.traces.trace import Trace

HeadKey = tuple[int, int] | tuple[str, int, int]
Keep = Literal["full", "small"]
Frame = Literal["own", "typed"]

_PLAIN = Changes()
_KEEPS = get_args(Keep)


def trace(
    model: Model | str | Path,
    text: str | Sequence[int] | tuple[Any, Any] | Tokens | None = None,
    *,
    target: str | Sequence[int] | None = None,
    audio: Any = None,
    inputs: Mapping[str, Any] | None = None,
    messages: Sequence[Mapping[str, str]] | None = None,
    frame: Frame = "own",
    without: Sequence[HeadKey] = (),
    replacement: str = "zero",
    edit: Mapping[HeadKey, Any] | None = None,
    patch: Mapping[Place, Any] | None = None,
    grad: bool = False,
    limit: int | None = None,
    keep: Keep = "full",
) -> Trace:
    """Run a model once over a text (or token ids) and keep what explains its attention.

    `model` is what `attn_core.load` or `wrap` gave, or a name or folder to load. At most `limit` tokens are read, by
    default as many as the model may; a longer text is cut, with a `TextWasCut` warning.
    Two texts (or the ids of two) in a tuple are a pair, for a model whose tokenizer tells them apart: they are read in
    its own frame for pairs, with the segments that it gives, and `trace.segment_shares` says how much attention goes
    from one to the other. The `tokens` of another trace of this model are read again as they were.
    An encoder-decoder also needs `target`, what it is about to write (a text, or the decoder's ids as they are);
    a speech model takes `audio`, a spectrogram [mel, frame], in place of a text. `inputs` is what a tokenizer gave for
    one sentence or pair, and goes to the model as it is, with segments and masks; of a model that looks at images or
    listens to samples, what its processor gave for one of them, whose positions are then named by place or time.
    `messages` is a conversation, {"role": "user", "content": "…"} a turn, read as the model's chat template writes it.
    `frame="typed"` reads a text as it was typed, without the special tokens that its tokenizer puts around a text.
    `patch` puts something else at places of the pass, for this call only: `{ac.at.head(0, 3): other_trace}`. `ac.at`
    names the places; what is put there is a trace, whose tensor of the same place it is, an array of the place's shape
    (see `attn_core.places`), or "zero" or "mean", the mean over the sentence. What follows is computed from it.
    `without` and `edit` are shorter ways to say two of these: `without` switches heads off, and `replacement` says what
    stands in their place, `edit` forces patterns [query, key]. Both name heads (layer, head), or (stream, layer, head)
    in an encoder-decoder. `trace.changes` then says what was changed, and so does all that is made of it.

    With `grad`, the readers are torch tensors in the graph of this pass, so `torch.autograd.grad(trace.logits()[word],
    trace.embedding(3))` works, and so does every other reader; see `attn_core.capture.gradient_trace`.

    `keep="small"` keeps q, k, v and the residual stream alone, two thirds of the memory: what else readers give is then
    computed from these, and `check` has nothing left to compare with. It is for a plain pass, without changes.

    Raises ValueError or IndexError for a place that is not there, is named twice, or gets another shape than it has,
    and HeadlightError where this model's tensor could not be found.
    """
    check_limit(limit)
    check_flag("grad", grad)
    model = model_of(model) if limit is None else model_of(model).with_limit(limit)
    if frame != "own" and text is None:
        raise ValueError("frame= is about a text: messages= and inputs= are read as they are")
    given, read = _inputs(model, text, target, audio, inputs, messages, frame)
    if not isinstance(text, Tokens):
        warn_of_cuts(read)
    changes = changes_of(model, without=without, replacement=replacement, edit=edit, patch=patch)
    check_keep(keep, plain=not (grad or changes))
    if grad:
        recorder: PassRecorder | PassNotes = GradientRecorder(model.wiring, model.hf, changes)
    else:
        filler = {} if inputs is None else filler_of(given, model)
        recorder = recorder_of(model.wiring, changes, filler, keep == "small")
    with model.running(grad), recording_to(recorder):
        model.run(**given)
        recorder.pass_is_over()
    check_patched(model, recorder)
    read = read or _positions(model, given, recorder)
    made = assemble(model, recorder, read, changes)
    return with_gradients(made, recorder.nodes, model.wiring.logits) if isinstance(recorder, GradientRecorder) else made


def check_keep(keep: str, plain: bool = True) -> None:
    """Raise ValueError for what is no way to keep a trace, or not of this one."""
    if keep not in _KEEPS:
        raise ValueError(f'keep must be "full" or "small", got {keep!r}')
    if keep == "small" and not plain:
        raise ValueError(
            'keep="small" is for a plain pass: leave it out where something is changed, and with grad=True'
        )


def changes_of(
    model: Model,
    *,
    without: Sequence[HeadKey] = (),
    replacement: str = "zero",
    edit: Mapping[HeadKey, Any] | None = None,
    patch: Mapping[Place, Any] | None = None,
) -> Changes:
    """What these options of `trace` change, checked against the model."""
    check_choice("replacement", replacement, ("zero", "mean"))
    for name, given, example in (
        ("edit", edit, "{(0, 2): pattern}"),
        ("patch", patch, '{ac.at.head(0, 3): "zero"}'),
    ):
        if given is not None:
            check_mapping(name, given, example)
    check_several("without", without, "heads")
    if replacement != "zero" and not without:
        raise ValueError("replacement= says what stands in the place of heads that are off: name them in without=")
    if not (without or edit or patch):
        return _PLAIN
    off = [_head_key(model, key) for key in without]
    forced = {_head_key(model, key): cells for key, cells in (edit or {}).items()}
    patches = [patch_of(place, put, model.wiring) for place, put in (patch or {}).items()]
    return Changes.of(off, replacement, forced, patches)


def check_patched(model: Model, recorder: PassRecorder | PassNotes) -> None:
    """Raises HeadlightError where a pass is over and something was not put where it belongs."""
    if recorder.patches is not None and recorder.patches.tensors_left:
        raise HeadlightError(f"{model.name} did not pass by every place that was to be patched, so nothing is shown.")


def warn_of_cuts(read: Mapping[str, tuple[Tokens, Tokens]]) -> None:
    """Warn, once a text, where it was longer than what is read of it."""
    cut = {id(own): own for pair in read.values() for own in pair if own.is_cut}
    for text in cut.values():
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


# --- What the model gets to read -----------------------------------------------------------------------------------


def _inputs(
    model: Model,
    text: Any,
    target: Any,
    audio: Any,
    inputs: Mapping[str, Any] | None = None,
    messages: Sequence[Mapping[str, str]] | None = None,
    frame: str = "own",
) -> tuple[dict[str, Tensor], dict[str, tuple[Tokens, Tokens]]]:
    """What the model gets, and the (query, key) tokens of each of its streams."""
    if inputs is not None:
        if any(given is not None for given in (text, target, audio, messages)):
            raise ValueError("inputs= takes the place of a text, a target, audio and messages: give one of them")
        return _as_they_are(model, inputs)
    if messages is not None and not (text is None and audio is None):
        raise ValueError("messages= takes the place of a text and of audio: give one of them")
    if audio is not None:
        if not model.reads_sound:
            raise HeadlightError(f"{model.name} reads text, not sound.")
        sound = torch.as_tensor(np.asarray(audio), dtype=torch.float32)
        if sound.dim() != 2:
            raise HeadlightError(f"Sound must be a spectrogram [mel, frame]; this has shape {list(sound.shape)}.")
        given: dict[str, Tensor] = {"input_features": sound[None]}  # [1, band, frame]
        source = positions.of_frames(model.hf.config.max_source_positions, sound.shape[1])
    else:
        source = model.read_sentence(text, frame) if messages is None else model.read_messages(messages)
        if source.from_ids:
            _warn_of_filler(model, {}, source)
        given = model.inputs_of(source)
    if model.kind != "encoder-decoder":
        if target is not None:
            raise HeadlightError(f"{model.name} has one stack: it reads a text, and takes no target sentence.")
        return given, {"self": (source, source)}
    if target is None:
        raise EmptyText("A translator also needs a target sentence: what it is about to write.")
    written = _target(model, target, source)
    given["decoder_input_ids"] = torch.tensor([written.ids])
    return given, {"encoder": (source, source), "decoder": (written, written), "cross": (written, source)}


def _as_they_are(model: Model, inputs: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, tuple[Tokens, Tokens]]]:
    """The same for what a tokenizer gave: nothing is added to it, cut or left out, but for labels of a training."""
    main = model.hf.main_input_name if model.reads_other else "input_ids"
    if not hasattr(inputs, "keys") or main not in inputs:
        what = "a processor gives" if model.reads_other else "a tokenizer gives for a text"
        raise HeadlightError(f"inputs= is what {what}: a mapping that has {main}.")
    given = {name: _batch_of_one(name, inputs[name]) for name in inputs if name != "labels"}
    if model.reads_other:
        return given, {}  # how many positions that is shows in the pass
    source = _with_segments(_read_as_it_is(model, given["input_ids"]), given)
    given = _with_positions(model, given)
    _warn_of_filler(model, given, source)
    if model.kind != "encoder-decoder":
        return given, {"self": (source, source)}
    if "decoder_input_ids" not in given:
        raise EmptyText("A translator also needs decoder_input_ids: what it is about to write.")
    written = _read_as_it_is(model, given["decoder_input_ids"], target=True, beside=source)
    return given, {"encoder": (source, source), "decoder": (written, written), "cross": (written, source)}


def filler_of(given: Mapping[str, Tensor], model: Model) -> dict[str, Tensor]:
    """Which queries of each stream are filler by the masks that a model is given, bool [query]; all real: left out."""
    two = model.kind == "encoder-decoder"
    masks = {"encoder" if two else "self": "attention_mask", "decoder": "decoder_attention_mask"}
    masks |= {"cross": "decoder_attention_mask"} if two else {}
    real = {stream: given[name][0].bool().cpu() for stream, name in masks.items() if name in given}
    return {stream: ~mask for stream, mask in real.items() if mask.dim() == 1 and not bool(mask.all())}


def _with_positions(model: Model, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inputs with positions counted from the first word, where filler stands before it and none were given."""
    mask = given.get("attention_mask")
    is_late = mask is not None and mask.dim() == 2 and not bool(mask[0, 0])
    if model.kind != "decoder" or not is_late or "position_ids" in given:
        return given
    assert mask is not None
    if "position_ids" not in inspect.signature(model.hf.base_model.forward).parameters:
        return given
    return {**given, "position_ids": (mask.long().cumsum(dim=-1) - 1).clamp(min=0)}


def _warn_of_filler(model: Model, given: Mapping[str, Tensor], read: Tokens) -> None:
    """Warn where filler is read as words: pads at either end of what was given, and no mask that says so."""
    if model.filler is None or model.filler not in (read.ids[0], read.ids[-1]) or "attention_mask" in given:
        return
    warnings.warn("Padding is read as words here: give attention_mask, which says which tokens are real.", stacklevel=4)


def _batch_of_one(name: str, value: Any) -> Tensor:
    """[1, …], of an input with that axis or without."""
    tensor = torch.as_tensor(value)
    tensor = tensor[None] if tensor.dim() == (3 if name == "pixel_values" else 1) else tensor
    if tensor.dim() < 2 or len(tensor) != 1:
        raise HeadlightError(f"inputs= is one sentence or pair; its {name} has the shape {list(tensor.shape)}.")
    return tensor


def _positions(
    model: Model, given: Mapping[str, Tensor], recorder: PassRecorder | PassNotes
) -> dict[str, tuple[Tokens, Tokens]]:
    """The same for an image or a sound, whose positions show in the pass."""
    main = model.hf.main_input_name
    read = positions.NAMES[main](model.hf.config, tuple(given[main].shape), recorder.sorted().calls[0].query.shape[2])
    read = replace(read, from_inputs=True)
    return {"self": (read, read)}


def _read_as_it_is(model: Model, ids: Tensor, *, target: bool = False, beside: Tokens | None = None) -> Tokens:
    read = model.read(ids[0].tolist(), target=target, beside=beside)
    if read.is_cut:
        raise HeadlightError(f"{model.name} reads {model.limit} tokens at most; these inputs have {ids.shape[1]}.")
    return replace(read, from_inputs=True)


def _with_segments(read: Tokens, given: Mapping[str, Tensor]) -> Tokens:
    """The same, which say their segments where those were given: a pair where a second one follows the first."""
    types = given["token_type_ids"][0].tolist() if "token_type_ids" in given else []
    if len(types) != len(read) or not any(types):
        return read
    is_split = types == sorted(types) and set(types) == {0, 1}
    return replace(read, types=types, second=types.index(1) if is_split else None)


def refuse_from_inputs(trace: Trace) -> None:
    """Raise HeadlightError for a trace of `inputs=`: its ids alone are not what the model was given."""
    if any(trace.stream(name).key_tokens.from_inputs for name in trace.streams):
        raise HeadlightError(
            "This trace was made of inputs=, of which it keeps the token ids alone, so it cannot be run again with a "
            "change: give the same inputs and the change to ac.trace."
        )


def _target(model: Model, target: str | Sequence[int], source: Tokens) -> Tokens:
    """What the decoder reads: its start token, then all but the end of what it writes."""
    written = model.read(target, target=True, beside=source)
    if not isinstance(target, str):
        return written
    config, ids, labels = model.hf.config, written.ids, written.labels
    end = getattr(config, "eos_token_id", None)  # of two models joined (bert2bert) their tokenizer knows the end
    ends = {end} if end is not None else {model.tokenizer.eos_token_id, model.tokenizer.sep_token_id}
    while len(ids) > 1 and ids[-1] in ends:
        ids = ids[:-1]
    start = getattr(config, "decoder_start_token_id", None)
    if start is not None and ids[0] != start:
        ids, labels = [start, *ids], ["", *labels]
    ids, unknown = ids[: model.limit], model.reader.unknown_words(written).values()
    names = {place: label for place, (i, label) in enumerate(zip(ids, labels, strict=False)) if i in unknown}
    read = tokens.from_ids(model.tokenizer, ids, target=True, names=names)
    return replace(read, text=written.text, dropped=written.dropped, unread=written.unread, from_ids=False)
