"""How many bytes of tensors are alive at most while something runs: torch's memory is unseen by tracemalloc."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of new storages that are alive at once; `peak` is the most, without what was there before.

    What an operation holds inside itself is not seen; none of ours holds more than its result.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        before = {_address(t) for t in _tensors(args)}
        for made in _tensors(given):
            if _address(made) not in before and _address(made) not in self.alive and made.nbytes:
                self._count(made)
        return given

    def _count(self, made: torch.Tensor) -> None:
        storage = made.untyped_storage()
        address, size = storage.data_ptr(), storage.nbytes()
        self.alive[address] = size
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._let_go, address)

    def _let_go(self, address: int) -> None:
        self.now -= self.alive.pop(address, 0)


def _tensors(values: Any) -> list[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        return [values]
    return [t for v in values for t in _tensors(v)] if isinstance(values, (tuple, list)) else []


def _address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
