"""The number types that a model may compute in, and readers that compute in float32 whatever the model does.

A model in bfloat16 or float16, or on a GPU, is captured as it is. What is read of its traces is computed in float32,
on the device where the tensors are, with autocast off: `parity.TOLERANCES` says how exact that can be for each type.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn

from attn_core.errors import HeadlightError

Module = TypeVar("Module", bound=nn.Module)
NUMBER_TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
ROWS = 4096  # of a matrix that are made float32 at a time
_DEVICES = ("cpu", "cuda", "mps", "xpu")  # that have an autocast of their own


def number_type(said: str | torch.dtype) -> torch.dtype:
    """A number type by its name or as it is. Raises ValueError for one that no model is read in.

    >>> number_type("bfloat16"), number_type(torch.float16)
    (torch.bfloat16, torch.float16)
    """
    name = str(said).removeprefix("torch.")
    if name not in NUMBER_TYPES:
        raise ValueError(f"dtype must be one of {', '.join(NUMBER_TYPES)}, got {said!r}")
    return NUMBER_TYPES[name]


def device_of(said: str | torch.device) -> torch.device:
    """A device by its name or as it is. Raises HeadlightError where this machine has none of that kind."""
    try:
        device = torch.device(said)
        return torch.empty(1, device=device).to(device).device
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        line = next(iter(str(error).splitlines()), "")
        raise HeadlightError(f"There is no device {str(said)!r} here: {line}") from None


def name_of(kind: torch.dtype) -> str:
    """The name of a number type: "bfloat16"."""
    return str(kind).removeprefix("torch.")


def number_types_of(model: nn.Module) -> set[torch.dtype]:
    """The floating-point types of a model's weights."""
    return {p.dtype for p in model.parameters() if p.is_floating_point()}


def is_float32_on_cpu(model: nn.Module) -> bool:
    """Whether all of a model's weights are float32 on the CPU."""
    return all(p.device.type == "cpu" and p.dtype == torch.float32 for p in model.parameters())


def float32_copy(module: Module, device: torch.device | str | None = None) -> Module:
    """A copy with every weight in float32, on `device` or where each is; what is so already is shared, not copied."""
    known: dict[int, Tensor] = {}
    for tensor in chain(module.parameters(), module.buffers()):
        kind = torch.float32 if tensor.is_floating_point() else tensor.dtype
        exact = tensor.detach().to(device=device or tensor.device, dtype=kind)
        weight = isinstance(tensor, nn.Parameter)
        known[id(tensor)] = nn.Parameter(exact, requires_grad=tensor.requires_grad) if weight else exact
    return copy.deepcopy(module, dict(known))


def in_float32(module: nn.Module) -> nn.Module:
    """A module that maps float32 tensors as exactly as its weights allow: itself, or a copy in float32."""
    if type(module) is nn.LayerNorm and module.weight is not None and module.weight.dtype == torch.float32:
        return module  # most often asked for, with every layer of a check: found without looking through its parts
    return module if number_types_of(module) <= {torch.float32} else float32_copy(module)


def through(module: nn.Module, vectors: Tensor) -> Tensor:
    """What a module makes of float32 vectors [..., width], computed in float32 by its weights; on their device."""
    if type(module) is nn.Linear and module.weight.dtype != torch.float32:
        return _through_linear(module, vectors)
    exact = in_float32(module)
    weight = getattr(exact, "weight", None)
    place = weight if isinstance(weight, Tensor) else next(exact.parameters(), vectors)
    with torch.inference_mode(), without_autocast():
        made: Tensor = exact(vectors.to(place.device))
    return made.to(vectors.device)


@torch.inference_mode()
def _through_linear(module: nn.Linear, vectors: Tensor) -> Tensor:
    """The same for a linear map in half precision, without a copy of it: a vocabulary's may take gigabytes."""
    given = vectors.to(module.weight.device)
    with without_autocast():
        parts = [given @ rows.float().T for rows in torch.split(module.weight, ROWS)]  # [..., row] each
        made = torch.cat(parts, dim=-1)
        return (made if module.bias is None else made + module.bias.float()).to(vectors.device)


@contextmanager
def without_autocast() -> Iterator[None]:
    """Inside, products of float32 tensors are float32, also where a caller has autocast on; a decorator, too."""
    on = [device for device in _DEVICES if torch.is_autocast_enabled(device)]
    if not on:
        yield
        return
    with ExitStack() as off:
        for device in on:
            off.enter_context(torch.autocast(device, enabled=False))
        yield
