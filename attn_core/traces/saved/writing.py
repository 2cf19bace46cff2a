"""A trace written as a file, tensor by tensor: no more of it is in memory than the trace and one tensor."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from io import BytesIO
from typing import IO, Any

import torch
from torch import Tensor, nn

from attn_core.settings import VERSION
from attn_core.traces.changes import Changes, Patch
from attn_core.traces.layer import Layer
from attn_core.traces.saved.changes_json import changes_to_json
from attn_core.traces.saved.contents import CHECKSUM, FORMAT, NAME, About, bytes_of, checksum
from attn_core.traces.saved.tensors import Tensors
from attn_core.traces.saved.wiring_json import site_to_json
from attn_core.traces.stream import StreamTrace
from attn_core.traces.wiring import TAPS, Tap


def write(
    file: IO[bytes],
    about: About,
    changes: Changes,
    streams: Iterable[StreamTrace],
    outputs: Mapping[str, tuple[Tensor, Tensor | None]],
    module: nn.Module | None = None,
) -> None:
    """Write the whole file; with the model, what its norms give is in it.

    Every tensor is taken twice, for the checksum in the header and for what comes after it.
    """
    tensors = Tensors()
    versions = {"headlight": VERSION, "torch": torch.__version__, "transformers": version("transformers")}
    content = {
        "format": FORMAT,
        "versions": versions,
        "model": about._asdict(),
        "changes": changes_to_json(changes, numbers=False),
        "patches": [tensors.keep(_numbers(one)) for one in changes.patches],
        "streams": [_stream_to_json(stream, tensors, module) for stream in streams],
        "outputs": {name: [tensors.keep(w), tensors.keep(b)] for name, (w, b) in outputs.items()},
    }
    said, places = _as_json(content), tensors.places()
    ours = {NAME: said, CHECKSUM: checksum(said, tensors)}
    header = _as_json({"__metadata__": ours, **places}).encode()
    header += b" " * (-len(header) % 8)  # so that every tensor starts at a multiple of its numbers' size
    file.write(len(header).to_bytes(8, "little") + header)
    for name in places:
        file.write(bytes_of(tensors[name]))


def to_bytes(*trace: Any) -> bytes:
    """The file that `write` makes of the same, in memory."""
    file = BytesIO()
    write(file, *trace)
    return file.getvalue()


def _as_json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _stream_to_json(stream: StreamTrace, tensors: Tensors, module: nn.Module | None) -> dict[str, Any]:
    return {
        "name": stream.name,
        "tokens": asdict(stream.tokens),
        "key_tokens": None if stream.key_tokens is stream.tokens else asdict(stream.key_tokens),
        "final": tensors.keep(stream._final),
        "final_norm": stream._final_norm,
        "layers": [_layer_to_json(layer, tensors, module) for layer in stream._layers],
    }


def _layer_to_json(layer: Layer, tensors: Tensors, module: nn.Module | None) -> dict[str, Any]:
    call, mask = layer.call, layer.call.mask
    parts = ("query", "key", "value", "weighted_values")
    taps = {name: getattr(layer.site, name) for name in TAPS}
    named = {tap: tensors.keep(tensor) for tap, tensor in layer.taps.items()}
    named |= {} if module is None else _made_by_norms(layer, tensors, module)
    return {
        "site": site_to_json(layer.site),
        "precision": layer.precision,
        **{name: tensors.keep(getattr(call, name)) for name in parts},
        "mask": [
            *(mask.back, mask.ahead, tensors.keep(mask.real), tensors.keep(mask.cells), mask.beside),
            tensors.keep(mask.asks),
        ],
        "sink": tensors.keep(call.sink),
        "bias": None if call.bias is None else tensors.keep(call.bias.values),
        "scaling": call.scaling,
        "soft_cap": call.soft_cap,
        "replaced": {str(head): [*map(tensors.keep, put)] for head, put in call.replaced.items()},
        "forced": {str(head): tensors.keep(part) for head, part in call.forced.items()},
        "taps": {name: None if tap is None else named.get(tap) for name, tap in taps.items()},
        "sample": None if layer.sample is None else [*map(tensors.keep, layer.sample)],
        "computed": {name: tensors.keep(layer.computed[tap]) for name, tap in taps.items() if tap in layer.computed},
        "computed_inputs": {name: tensors.keep(part) for name, part in call.computed.items()},
    }


def _made_by_norms(layer: Layer, tensors: Tensors, module: nn.Module) -> dict[Tap, str]:
    """x and what W_K reads, where they are no part of the trace: they are made of E when they are written."""
    site = layer.site
    if site.x is None or site.embedding is None or site.x in layer.taps:
        return {}
    make = partial(layer.tensor, "x", "what W_Q receives", lambda: module)
    name = tensors.keep_made(layer.taps[site.embedding], make)
    return dict.fromkeys((tap for tap in (site.x, site.memory) if tap is not None), name)


def _numbers(patch: Patch) -> Tensor | None:
    return None if patch.rule is not None else torch.from_numpy(patch.array)


def outputs_of(layers: Iterable[Layer], module: nn.Module) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Each module of W_O: (its weight as the model stores it, its bias)."""
    linears = {layer.site.output for layer in layers}
    stored = {one: one.weight(module).T if one.width or one.transposed else one.weight(module) for one in linears}
    biases = {one: one.bias(module) for one in linears}

    def exact(tensor: Tensor | None) -> Any:
        return None if tensor is None else tensor.to(device="cpu", dtype=torch.float32).contiguous()

    return {one.module: (exact(stored[one]), exact(biases[one])) for one in linears}
