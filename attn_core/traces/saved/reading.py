"""A trace read from a file: tensors in safetensors, and all the rest as JSON in its header.

`Trace.save` writes it, `attn_core.open_trace` reads it. Nothing in it is run when it is read (there is no pickle), its
header and its size are bounded before anything is parsed, and every value is checked for its type and shape.

    header["headlight"] = {"format": 3, "versions": …, "model": …, "changes": …, "streams": […], "outputs": …}
    header["sha256"] = the checksum of that and of every tensor, so that no damage is taken for numbers

A tensor is kept once, whoever points to it, and everything that points to one does so by its name.
Source of the container: the safetensors format, https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor

from attn_core.errors import HeadlightError
from attn_core.text.decoding import Name
from attn_core.text.tokens import FRAMES, Tokens
from attn_core.text.whole_words import units
from attn_core.traces.saved.changes_json import changes_from_json
from attn_core.traces.saved.contents import CHECKSUM, FORMAT, MOST_BYTES, NAME, About, Opened, checksum
from attn_core.traces.saved.layers import layer_from_json
from attn_core.traces.saved.tensors import NamedTensors
from attn_core.traces.saved.wiring_json import text, whole

MOST_HEADER = 16 << 20  # bytes: 8,192 tokens and 100 layers take one or two million
MOST_LAYERS = 1_000
_STREAMS = ("self", "encoder", "decoder", "cross")
_FOREIGN = "This is no saved trace: choose a file that trace.save has written."


def from_bytes(data: bytes) -> Opened:
    """What a file holds. Raises HeadlightError, in one sentence, where it is foreign, cut, damaged or too large."""
    return _read(data, len(data), partial(load, data))


def from_file(path: Path) -> Opened:
    """The same of a file, read tensor by tensor; OSError where the system does not give it."""
    with path.open("rb") as file:
        start = file.read(8)
        start += file.read(min(int.from_bytes(start, "little"), MOST_HEADER))
    return _read(start, path.stat().st_size, partial(_tensors_in, path))


def _tensors_in(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # it is no dictionary


def _read(start: bytes, n_bytes: int, tensors: Callable[[], Mapping[str, Tensor]]) -> Opened:
    """What a file of `n_bytes` holds, of which `start` has the header at least."""
    header, content = _content(start, n_bytes)
    try:
        by_name = tensors()
        if content["format"] > 2 and header[CHECKSUM] != checksum(header[NAME], by_name):
            raise ValueError("other bytes than those that were written")
        return _opened(content, by_name)
    except (SafetensorError, KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RuntimeError):
        raise HeadlightError("This saved trace is damaged: what it holds does not fit together.") from None


def _content(start: bytes, n_bytes: int) -> tuple[Any, Any]:
    """(what the header says beside tensors, the JSON of ours in it), whose size is bounded before it is parsed."""
    size = int.from_bytes(start[:8], "little")
    if n_bytes > MOST_BYTES or (size > MOST_HEADER and start[8:9] == b"{"):
        raise HeadlightError("This saved trace is larger than any that is opened.")
    if n_bytes < 10 or size > n_bytes - 8 or start[8:9] != b"{":
        raise HeadlightError(_FOREIGN)
    try:
        header = json.loads(start[8 : 8 + size])["__metadata__"]
        content = json.loads(header[NAME])
        known = content["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise HeadlightError(_FOREIGN) from None
    if known not in range(1, FORMAT + 1):
        said = f"This trace was saved in format {str(known)[:20]}; this version reads formats 1 to {FORMAT}."
        raise HeadlightError(said)
    return header, content


def _opened(content: Any, by_name: Mapping[str, Tensor]) -> Opened:
    tensors, about = NamedTensors(by_name), About(**content["model"])
    words = about[:-1]
    fits = all(said is None or isinstance(said, str) for said in words) and type(about.wrapped) is bool
    if not fits or None in words[:3]:
        raise ValueError("no description of a model")
    streams = {text(said["name"]): _stream(said, tensors) for said in content["streams"]}
    if not streams or not set(streams) <= set(_STREAMS):
        raise ValueError("no stream")
    forced = {
        (stream, n, head): cells.numpy()
        for stream, fields in streams.items()
        for n, layer in enumerate(fields["_layers"])
        for head, cells in layer.call.forced.items()
    }
    said, numbers = content["changes"], content["patches"]
    patterns = [{**one, "pattern": forced[tuple(one["head"])]} for one in said["forced"]]
    patches = [{**one, "numbers": _rows(name, tensors)} for one, name in zip(said["patches"], numbers, strict=True)]
    changes = changes_from_json({**said, "forced": patterns, "patches": patches})
    outputs = {
        text(name): (tensors.of(weight, None, None), tensors.maybe(bias, None))
        for name, (weight, bias) in content["outputs"].items()
    }
    return Opened(about, changes, streams, outputs)


def _rows(name: Any, tensors: NamedTensors) -> Any:
    """The numbers of a patch: [position, feature], [feature], or None for those that a rule made."""
    if name is None:
        return None
    return tensors.of(name, *(None,) * tensors.by_name[name].dim()).numpy()


def _stream(said: Any, tensors: NamedTensors) -> dict[str, Any]:
    tokens = _tokens(said["tokens"])
    key_tokens = tokens if said["key_tokens"] is None else _tokens(said["key_tokens"])
    if not 1 <= len(said["layers"]) <= MOST_LAYERS:
        raise ValueError("no layers, or too many")
    return {
        "name": said["name"],
        "tokens": tokens,
        "key_tokens": key_tokens,
        "_layers": [layer_from_json(layer, len(tokens), len(key_tokens), tensors) for layer in said["layers"]],
        "_final": tensors.maybe(said["final"], len(tokens), None),
        "_final_norm": None if said["final_norm"] is None else text(said["final_norm"]),
    }


def _tokens(said: Any) -> Tokens:
    doubled = said.get("doubled", [])
    if not isinstance(doubled, list):
        raise ValueError("no tokens that were typed twice")
    messages = tuple((text(role), text(content)) for role, content in said.get("messages", ()))
    tokens = Tokens(**{**said, "doubled": tuple(map(text, doubled)), "messages": messages})
    n = len(tokens.ids)
    whole(tokens.dropped), whole(tokens.unread), text(tokens.text)
    lists = (tokens.ids, tokens.labels, tokens.special, tokens.words)
    fits = all(isinstance(each, list) and len(each) == n for each in lists) and isinstance(tokens.word_labels, list)
    fits = fits and type(tokens.from_ids) is type(tokens.from_inputs) is bool
    if tokens.types is not None and (len(tokens.types) != n or any(whole(kind) < 0 for kind in tokens.types)):
        raise ValueError("no segments")
    if text(tokens.second_text) and tokens.second is None or not 0 <= whole(tokens.second or 0) <= n:
        raise ValueError("no pair")
    if tokens.frame not in (*FRAMES, "chat"):
        raise ValueError("no frame")
    if not fits or not all(isinstance(label, str) for label in [*tokens.labels, *tokens.word_labels]):
        raise ValueError("no labels")
    if not all(isinstance(flag, bool) for flag in tokens.special) or len(tokens.word_labels) != len(
        units(tokens.words)
    ):
        raise ValueError("no words")
    for i in tokens.ids:
        whole(-1 - i if type(i) is int and i < 0 else i)
    for word in (word for word in tokens.words if word is not None):
        whole(word)
    return _with_names(tokens)


def _with_names(tokens: Tokens) -> Tokens:
    """The same, where keys that stand for no word, of ids −1, −2, …, have names and not texts; they come last."""
    n_words = sum(i >= 0 for i in tokens.ids)
    if any(i < 0 for i in tokens.ids[:n_words]) or not all(tokens.special[n_words:]):
        raise ValueError("no keys after words")
    n_more = len(tokens) - n_words
    for labels in (tokens.labels, tokens.word_labels):
        labels[len(labels) - n_more :] = map(Name, labels[len(labels) - n_more :])
    return tokens
