"""Tensors by name: each written once into a trace's file, and checked when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

_KINDS = {torch.float32: "F32", torch.bool: "BOOL"}  # as safetensors names them; a trace keeps no other


class Tensors(Mapping[str, Tensor]):
    """Tensors by name, each storage once, as they are or as they will be made.

    What is asked for by its name is compact and on the CPU, and nobody keeps it: all of them are never copied at once.
    """

    def __init__(self) -> None:
        self._names: dict[Any, str] = {}
        self._kept: dict[str, Tensor] = {}  # whose addresses are used by no other while they are kept
        self._makers: dict[str, Callable[[], Tensor]] = {}

    def keep(self, tensor: Tensor | None) -> str | None:
        if tensor is None:
            return None
        place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        if place not in self._names:
            self._names[place] = name = f"t{len(self._kept)}"
            self._kept[name] = tensor.detach()
        return self._names[place]

    def keep_made(self, like: Tensor, make: Callable[[], Tensor]) -> str:
        """What `make` gives whenever it is asked for, of the shape and kind of `like`."""
        name = f"t{len(self._kept)}"
        self._kept[name], self._makers[name] = like.detach(), make
        return name

    def __getitem__(self, name: str) -> Tensor:
        made = self._makers[name]().detach() if name in self._makers else self._kept[name]
        return made.cpu().contiguous()

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def places(self) -> dict[str, dict[str, Any]]:
        """Where each stands in a file, as its header says it and in the order of the file: wider numbers first."""
        order, end, found = sorted(self, key=lambda name: (-self._kept[name].itemsize, name)), 0, {}
        for name in order:
            tensor, start = self._kept[name], end
            end += tensor.numel() * tensor.itemsize
            found[name] = {
                "dtype": _KINDS[tensor.dtype],
                "shape": list(tensor.shape),
                "data_offsets": [start, end],
            }
        return found


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
