"""What a saved trace holds, and of which model it says that it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attn_core.errors import HeadlightError
from attn_core.traces.changes import Changes
from attn_core.traces.source import KeptOutputs, Source

FORMAT = 3
MOST_BYTES = 4 << 30  # of a file
NAME = "headlight"  # of our part of the header
CHECKSUM = "sha256"  # of that part and all tensors, beside it; files of formats 1 and 2 have none


class About(NamedTuple):
    """What a file says of the model: its name, family and kind, revision, and the hash of its weights, where known."""

    name: str
    family: str
    kind: str
    revision: str | None = None
    weights: str | None = None
    wrapped: bool = False  # a model of somebody's own, which no name loads

    def found(self, source: Source) -> About:
        """With the model's revision and the hash of its weights, unless it has been unloaded."""
        try:
            module = source.module()
        except HeadlightError:
            return self
        if isinstance(module, KeptOutputs):
            return self
        revision = getattr(getattr(module, "config", None), "_commit_hash", None)
        return self._replace(revision=revision, weights=weights_hash(module))


class Opened(NamedTuple):
    """What a file holds. `outputs` maps the modules of W_O to (weight as the model stores it, bias or None)."""

    about: About
    changes: Changes
    streams: dict[str, dict[str, Any]]  # the fields of each `StreamTrace`, without the way back to a model
    outputs: dict[str, tuple[Tensor, Tensor | None]]


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over the names, shapes and bytes of a model's parameters, as 64 hexadecimal digits."""
    return _hash(dict(model.named_parameters()))


def checksum(said: str, by_name: Mapping[str, Tensor]) -> str:
    """SHA-256 over what a file says and its tensors: what a flipped bit changes."""
    return _hash(by_name, said)


def _hash(by_name: Mapping[str, Tensor], said: str = "") -> str:
    found = hashlib.sha256(said.encode())
    for name in sorted(by_name):
        tensor = by_name[name]
        found.update(f"{name} {list(tensor.shape)} {tensor.dtype}\n".encode())
        found.update(bytes_of(tensor))
    return found.hexdigest()


def bytes_of(tensor: Tensor) -> memoryview:
    """A tensor's numbers as they stand in a file, without a copy where it is compact and on the CPU."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
