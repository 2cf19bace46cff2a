"""Tensors by name: kept once when a trace is written, checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Tensors:
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


class NamedTensors:
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
