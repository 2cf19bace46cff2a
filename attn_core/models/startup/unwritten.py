"""Tensors that have no values yet are made without torch's decompositions, which take a second and 50 MB to import.

The library makes a model on torch's device "meta", where tensors have shapes alone, and then puts in the weights of
the file. What its modules do there when they are made goes through these decompositions: to fill themselves with random
numbers, which does nothing, to count positions, and to make room for what no file holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Unwritten(TorchFunctionMode):
    """`with Unwritten():` for this thread; tensors have the same shapes and types as without it."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        tensor = args[0] if args else given.get("tensor")
        if isinstance(tensor, Tensor) and tensor.is_meta:
            if getattr(func, "__module__", "") == "torch.nn.init":
                return tensor
            if func is torch.empty_like and given.keys() == {"device"} and tensor.is_contiguous():
                return torch.empty(tensor.shape, dtype=tensor.dtype, **given)
        elif func is torch.arange and str(given.get("device")) == "meta":
            return func(*args, **given | {"device": "cpu"}).to("meta")
        return func(*args, **given)
