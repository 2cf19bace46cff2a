"""A trace as a file: tensors in safetensors, and all the rest as JSON in its header.

`Trace.save` writes it, `attn_core.open_trace` reads it. Nothing in it is run when it is read (there is no pickle), its
header and its size are bounded before anything is parsed, and every value is checked for its type and shape.

    header["headlight"] = {"format": 1, "versions": …, "model": …, "changes": …, "streams": […], "outputs": …}

A tensor is kept once, whoever points to it, and everything that points to one does so by its name.
Source of the container: the safetensors format, https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from attn_core.errors import HeadlightError
from attn_core.masks import Mask, RelativeBias
from attn_core.settings import VERSION
from attn_core.text.tokens import Tokens
from attn_core.text.whole_words import units
from attn_core.traces.changes import Changes, Patch
from attn_core.traces.layer import Call, Layer, Replaced, frozen
from attn_core.traces.saved.wiring_json import MOST, TAPS, number, site_from_json, site_to_json, text, whole
from attn_core.traces.stream import StreamTrace

FORMAT = 1
MOST_HEADER = 16 << 20  # bytes: 8,192 tokens and 100 layers take one or two million
MOST_BYTES = 4 << 30  # of a file
MOST_LAYERS = 1_000
_NAME = "headlight"
_STREAMS = ("self", "encoder", "decoder", "cross")
_FOREIGN = "This is no saved trace: choose a file that trace.save has written."


class About(NamedTuple):
    """What a file says of the model: its name, family and kind, revision, and the hash of its weights, where known."""

    name: str
    family: str
    kind: str
    revision: str | None = None
    weights: str | None = None
    wrapped: bool = False  # a model of somebody's own, which no name loads


class Opened(NamedTuple):
    """What a file holds. `outputs` maps the modules of W_O to (weight as the model stores it, bias or None)."""

    about: About
    changes: Changes
    streams: dict[str, dict[str, Any]]  # the fields of each `StreamTrace`, without the way back to a model
    outputs: dict[str, tuple[Tensor, Tensor | None]]


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over the names, shapes and bytes of a model's parameters, as 64 hexadecimal digits."""
    found = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        found.update(f"{name} {list(parameter.shape)} {parameter.dtype}\n".encode())
        found.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()


# --- Writing -----------------------------------------------------------------------------------------------------


class _Tensors:
    """Tensors by name, each storage once."""

    def __init__(self) -> None:
        self.by_name: dict[str, Tensor] = {}
        self._names: dict[Any, str] = {}
        self._kept: list[Tensor] = []  # so that the address of one is not used again while others are kept

    def keep(self, tensor: Tensor | None) -> str | None:
        if tensor is None:
            return None
        place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        if place not in self._names:
            self._names[place] = name = f"t{len(self._names)}"
            self._kept.append(tensor)
            self.by_name[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        return self._names[place]


def to_bytes(
    about: About, changes: Changes, streams: Iterable[StreamTrace], outputs: Mapping[str, tuple[Tensor, Tensor | None]]
) -> bytes:
    """The whole file."""
    tensors = _Tensors()
    versions = {"headlight": VERSION, "torch": torch.__version__, "transformers": version("transformers")}
    content = {
        "format": FORMAT,
        "versions": versions,
        "model": about._asdict(),
        "changes": changes.as_json(numbers=False),
        "patches": [tensors.keep(_numbers(one)) for one in changes.patches],
        "streams": [_stream_to_json(stream, tensors) for stream in streams],
        "outputs": {name: [tensors.keep(w), tensors.keep(b)] for name, (w, b) in outputs.items()},
    }
    header = {_NAME: json.dumps(content, ensure_ascii=False, separators=(",", ":"))}
    return bytes(save(tensors.by_name, metadata=header))


def _stream_to_json(stream: StreamTrace, tensors: _Tensors) -> dict[str, Any]:
    return {
        "name": stream.name,
        "tokens": asdict(stream.tokens),
        "key_tokens": None if stream.key_tokens is stream.tokens else asdict(stream.key_tokens),
        "final": tensors.keep(stream._final),
        "final_norm": stream._final_norm,
        "layers": [_layer_to_json(layer, tensors) for layer in stream._layers],
    }


def _layer_to_json(layer: Layer, tensors: _Tensors) -> dict[str, Any]:
    call, mask = layer.call, layer.call.mask
    parts = ("query", "key", "value", "weighted_values")
    taps = {name: getattr(layer.site, name) for name in TAPS}
    return {
        "site": site_to_json(layer.site),
        **{name: tensors.keep(getattr(call, name)) for name in parts},
        "mask": [mask.back, mask.ahead, tensors.keep(mask.real), tensors.keep(mask.cells)],
        "bias": None if call.bias is None else tensors.keep(call.bias.values),
        "scaling": call.scaling,
        "soft_cap": call.soft_cap,
        "replaced": {str(head): [*map(tensors.keep, put)] for head, put in call.replaced.items()},
        "forced": {str(head): tensors.keep(part) for head, part in call.forced.items()},
        "taps": {name: None if tap is None else tensors.keep(layer.taps[tap]) for name, tap in taps.items()},
        "computed": {name: tensors.keep(layer.computed[tap]) for name, tap in taps.items() if tap in layer.computed},
        "computed_inputs": {name: tensors.keep(part) for name, part in call.computed.items()},
    }


def _numbers(patch: Patch) -> Tensor | None:
    return None if patch.rule is not None else torch.from_numpy(patch.array)


# --- Reading -----------------------------------------------------------------------------------------------------


def from_bytes(data: bytes) -> Opened:
    """What a file holds. Raises HeadlightError, in one sentence, where it is foreign, cut, damaged or too large."""
    content = _content(data)
    try:
        return _opened(content, load(data))
    except (SafetensorError, KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RuntimeError):
        raise HeadlightError("This saved trace is damaged: what it holds does not fit together.") from None


def _content(data: bytes) -> Any:
    """The JSON of ours in the header, whose size is bounded before it is parsed."""
    size = int.from_bytes(data[:8], "little")
    if len(data) > MOST_BYTES or (size > MOST_HEADER and data[8:9] == b"{"):
        raise HeadlightError("This saved trace is larger than any that is opened.")
    if len(data) < 10 or size > len(data) - 8 or data[8:9] != b"{":
        raise HeadlightError(_FOREIGN)
    try:
        content = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_NAME])
        known = content["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise HeadlightError(_FOREIGN) from None
    if known != FORMAT:
        raise HeadlightError(f"This trace was saved in format {str(known)[:20]}; this version reads format {FORMAT}.")
    return content


class _Named:
    """The tensors of a file, handed out where kind and shape are as they must be."""

    def __init__(self, by_name: Mapping[str, Tensor]) -> None:
        self.by_name = by_name

    def of(self, name: Any, *shape: int | None, kind: torch.dtype = torch.float32) -> Tensor:
        """A tensor of this shape, None for a size that may be any."""
        found = self.by_name[name]
        fits = len(found.shape) == len(shape) and all(
            size >= 1 and wanted in (None, size) for size, wanted in zip(found.shape, shape, strict=True)
        )
        if found.dtype != kind or not fits:
            raise ValueError("a tensor of another shape or type")
        return found

    def maybe(self, name: Any, *shape: int | None, kind: torch.dtype = torch.float32) -> Tensor | None:
        return None if name is None else self.of(name, *shape, kind=kind)


def _opened(content: Any, by_name: Mapping[str, Tensor]) -> Opened:
    tensors, about = _Named(by_name), About(**content["model"])
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
    changes = Changes.from_json({**said, "forced": patterns, "patches": patches})
    outputs = {
        text(name): (tensors.of(weight, None, None), tensors.maybe(bias, None))
        for name, (weight, bias) in content["outputs"].items()
    }
    return Opened(about, changes, streams, outputs)


def _rows(name: Any, tensors: _Named) -> Any:
    """The numbers of a patch: [position, feature], [feature], or None for those that a rule made."""
    if name is None:
        return None
    return tensors.of(name, *(None,) * tensors.by_name[name].dim()).numpy()


def _stream(said: Any, tensors: _Named) -> dict[str, Any]:
    tokens = _tokens(said["tokens"])
    key_tokens = tokens if said["key_tokens"] is None else _tokens(said["key_tokens"])
    if not 1 <= len(said["layers"]) <= MOST_LAYERS:
        raise ValueError("no layers, or too many")
    return {
        "name": said["name"],
        "tokens": tokens,
        "key_tokens": key_tokens,
        "_layers": [_layer(layer, len(tokens), len(key_tokens), tensors) for layer in said["layers"]],
        "_final": tensors.maybe(said["final"], len(tokens), None),
        "_final_norm": None if said["final_norm"] is None else text(said["final_norm"]),
    }


def _tokens(said: Any) -> Tokens:
    tokens = Tokens(**said)
    n = len(tokens.ids)
    whole(tokens.dropped), whole(tokens.unread), text(tokens.text)
    lists = (tokens.ids, tokens.labels, tokens.special, tokens.words)
    fits = all(isinstance(each, list) and len(each) == n for each in lists) and isinstance(tokens.word_labels, list)
    fits = fits and type(tokens.from_ids) is type(tokens.from_inputs) is bool
    if not fits or not all(isinstance(label, str) for label in [*tokens.labels, *tokens.word_labels]):
        raise ValueError("no labels")
    if not all(isinstance(flag, bool) for flag in tokens.special) or len(tokens.word_labels) != len(
        units(tokens.words)
    ):
        raise ValueError("no words")
    for i in [*tokens.ids, *(word for word in tokens.words if word is not None)]:
        whole(i)
    return tokens


def _layer(said: Any, n_query: int, n_key: int, tensors: _Named) -> Layer:
    site = site_from_json(said["site"])
    query = tensors.of(said["query"], site.n_heads, n_query, None)
    key = tensors.of(said["key"], None, n_key, query.shape[-1])
    value = tensors.of(said["value"], len(key), n_key, None)
    if site.n_heads % len(key):
        raise ValueError("heads that share no keys")
    d_joined = site.n_heads * value.shape[-1]
    inputs = {
        text(part): tensors.of(name, site.n_heads, n_query if part == "query" else n_key, None)
        for part, name in said["computed_inputs"].items()
    }
    if not set(inputs) <= {"query", "key", "value"}:
        raise ValueError("no input of attention")
    call = Call(
        query,
        key,
        value,
        _mask(said["mask"], n_query, n_key, tensors),
        _bias(said["bias"], site.n_heads, n_query, n_key, tensors),
        number(said["scaling"]),
        None if said["soft_cap"] is None else number(said["soft_cap"]),
        tensors.of(said["weighted_values"], n_query, d_joined),
        replaced=frozen(_replaced(said["replaced"], site.n_heads, (n_query, value.shape[-1]), tensors)),
        forced=frozen(_by_head(said["forced"], site.n_heads, (n_query, n_key), tensors)),
        computed=frozen(inputs),
    )
    taps, computed = {}, {}
    for name in TAPS:
        tap = getattr(site, name)
        if tap is not None:  # what W_K reads is the other sentence in "cross"
            n_rows = n_key if name == "memory" else n_query
            taps[tap] = tensors.of(said["taps"][name], n_rows, None)
            if name in said["computed"]:
                computed[tap] = tensors.of(said["computed"][name], *taps[tap].shape)
    if not all(name in TAPS and getattr(site, name) in computed for name in said["computed"]):
        raise ValueError("no tensor of a layer")
    return Layer(site, call, frozen(taps), frozen(computed))


def _replaced(said: Any, n_heads: int, shape: tuple[int, int], tensors: _Named) -> dict[int, Replaced]:
    parts = _by_head({head: part for head, (part, _) in said.items()}, n_heads, shape, tensors)
    rows = {int(head): tensors.of(name, shape[0], kind=torch.bool) for head, (_, name) in said.items()}
    return {head: Replaced(part, rows[head]) for head, part in parts.items()}


def _by_head(said: Any, n_heads: int, shape: tuple[int, int], tensors: _Named) -> dict[int, Tensor]:
    found = {int(head): tensors.of(name, *shape) for head, name in said.items()}
    if not all(0 <= head < n_heads for head in found):
        raise ValueError("no such head")
    return found


def _mask(said: Any, n_query: int, n_key: int, tensors: _Named) -> Mask:
    back, ahead, real, cells = said
    if not all(n is None or (type(n) is int and -MOST < n < MOST) for n in (back, ahead)):
        raise ValueError("no reach of a mask")
    kind = torch.bool
    mask = Mask(back, ahead, tensors.maybe(real, n_key, kind=kind), tensors.maybe(cells, n_query, n_key, kind=kind))
    if not mask.everyone_sees(n_query, n_key):
        raise ValueError("a word that may look nowhere")
    return mask


def _bias(said: Any, n_heads: int, n_query: int, n_key: int, tensors: _Named) -> RelativeBias | None:
    if said is None:
        return None
    if tensors.by_name[said].dim() == 3:
        return RelativeBias(tensors.of(said, n_heads, n_query, n_key))
    return RelativeBias(tensors.of(said, n_heads, n_query + n_key - 1))
