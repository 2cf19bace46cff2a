"""What a model gets to read, a text, ids, sound or what a tokenizer gave, and the tokens that it is read as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from attn_core.capture.model import Model
from attn_core.errors import EmptyText, HeadlightError
from attn_core.text import tokens
from attn_core.text.tokens import Tokens

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace


def read_inputs(
    model: Model, text: Any, target: Any, audio: Any, inputs: Mapping[str, Any] | None = None
) -> tuple[dict[str, Tensor], dict[str, tuple[Tokens, Tokens]]]:
    """What the model gets, and the (query, key) tokens of each of its streams."""
    if inputs is not None:
        if not (text is None and target is None and audio is None):
            raise ValueError("inputs= takes the place of a text, a target and audio: give one of them")
        return _as_they_are(model, inputs)
    if audio is not None:
        if not model.reads_sound:
            raise HeadlightError(f"{model.name} reads text, not sound.")
        sound = torch.as_tensor(np.asarray(audio), dtype=torch.float32)
        if sound.dim() != 2:
            raise HeadlightError(f"Sound must be a spectrogram [mel, frame]; this has shape {list(sound.shape)}.")
        given: dict[str, Tensor] = {"input_features": sound[None]}
        source = _times(model, sound.shape[1])
    else:
        source = model.read_sentence(text)
        ids = torch.tensor([source.ids])
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
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
    if not hasattr(inputs, "keys") or "input_ids" not in inputs:
        raise HeadlightError("inputs= is what a tokenizer gives for a text: a mapping that has input_ids.")
    given = {name: _batch_of_one(name, inputs[name]) for name in inputs if name != "labels"}
    source = _read_as_it_is(model, given["input_ids"])
    if model.kind != "encoder-decoder":
        return given, {"self": (source, source)}
    if "decoder_input_ids" not in given:
        raise EmptyText("A translator also needs decoder_input_ids: what it is about to write.")
    written = _read_as_it_is(model, given["decoder_input_ids"], target=True, beside=source)
    return given, {"encoder": (source, source), "decoder": (written, written), "cross": (written, source)}


def _batch_of_one(name: str, value: Any) -> Tensor:
    """[1, …], of an input with that axis or without."""
    tensor = torch.as_tensor(value)
    tensor = tensor[None] if tensor.dim() == 1 else tensor
    if tensor.dim() < 2 or len(tensor) != 1:
        raise HeadlightError(f"inputs= is one sentence or pair; its {name} has the shape {list(tensor.shape)}.")
    return tensor


def _read_as_it_is(model: Model, ids: Tensor, *, target: bool = False, beside: Tokens | None = None) -> Tokens:
    read = model.read(ids[0].tolist(), target=target, beside=beside)
    if read.is_cut:
        raise HeadlightError(f"{model.name} reads {model.limit} tokens at most; these inputs have {ids.shape[1]}.")
    return replace(read, from_inputs=True)


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
    while len(ids) > 1 and ids[-1] == config.eos_token_id:
        ids = ids[:-1]
    start = config.decoder_start_token_id
    if start is not None and ids[0] != start:
        ids, labels = [start, *ids], ["", *labels]
    ids, unknown = ids[: model.limit], model.reader.unknown_words(written).values()
    names = {place: label for place, (i, label) in enumerate(zip(ids, labels, strict=False)) if i in unknown}
    read = tokens.from_ids(model.tokenizer, ids, target=True, names=names)
    return replace(read, text=written.text, dropped=written.dropped, unread=written.unread, from_ids=False)


def _times(model: Model, n_frames: int) -> Tokens:
    """Positions of a sound, named by when they begin; a frame is 10 ms."""
    n_positions = model.hf.config.max_source_positions
    labels = [f"{i * n_frames / n_positions / 100:.2f} s" for i in range(n_positions)]
    places = list(range(n_positions))
    return Tokens("", places, labels, [False] * n_positions, list(places), list(labels))
