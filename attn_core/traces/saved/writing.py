"""A trace written as a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from attn_core.settings import VERSION
from attn_core.traces.changes import Changes, Patch
from attn_core.traces.layer import Layer
from attn_core.traces.saved.changes_json import changes_to_json
from attn_core.traces.saved.contents import CHECKSUM, FORMAT, NAME, About, checksum
from attn_core.traces.saved.tensors import Tensors
from attn_core.traces.saved.wiring_json import site_to_json
from attn_core.traces.stream import StreamTrace
from attn_core.traces.wiring import TAPS


def to_bytes(
    about: About,
    changes: Changes,
    streams: Iterable[StreamTrace],
    outputs: Mapping[str, tuple[Tensor, Tensor | None]],
    module: nn.Module | None = None,
) -> bytes:
    """The whole file; with the model, what its norms give is in it."""
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
    said = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    header = {NAME: said, CHECKSUM: checksum(said, tensors.by_name)}
    return bytes(save(tensors.by_name, metadata=header))


def _stream_to_json(stream: StreamTrace, tensors: Tensors, module: nn.Module | None) -> dict[str, Any]:
    layers = stream._layers if module is None else [layer.with_x(module) for layer in stream._layers]
    return {
        "name": stream.name,
        "tokens": asdict(stream.tokens),
        "key_tokens": None if stream.key_tokens is stream.tokens else asdict(stream.key_tokens),
        "final": tensors.keep(stream._final),
        "final_norm": stream._final_norm,
        "layers": [_layer_to_json(layer, tensors) for layer in layers],
    }


def _layer_to_json(layer: Layer, tensors: Tensors) -> dict[str, Any]:
    call, mask = layer.call, layer.call.mask
    parts = ("query", "key", "value", "weighted_values")
    taps = {name: getattr(layer.site, name) for name in TAPS}
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
        "taps": {name: tensors.keep(layer.taps[tap]) if tap in layer.taps else None for name, tap in taps.items()},
        "sample": None if layer.sample is None else [*map(tensors.keep, layer.sample)],
        "computed": {name: tensors.keep(layer.computed[tap]) for name, tap in taps.items() if tap in layer.computed},
        "computed_inputs": {name: tensors.keep(part) for name, part in call.computed.items()},
    }


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
