"""Who is listening to a forward pass: a recorder, held for this call alone.

The recorder lives in a ContextVar, so that two visitors who run the same model at the same time never hear each other,
and a model that nobody listens to does nothing more than look here and find None.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Attended:
    """One attention call as the library made it, batch of one kept: query [1, head, query, d_head] and so on."""

    module: nn.Module
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    bias: Tensor | None
    is_causal: bool
    scaling: float
    soft_cap: float | None
    output: Tensor  # [1, query, head, d_head]


class Recorder(Protocol):
    """What a listener offers."""

    def attended(self, call: Attended) -> None:
        """Take note of an attention call; may change `call.output` in place, for this pass alone."""

    def passed(self, module: str, side: str, tensors: dict[int | str, Tensor]) -> None:
        """Take note of the tensors that entered ("in") or left ("out") a module."""


RECORDER: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def tensors_in(values: Any, named: dict[str, Any] | None = None) -> dict[int | str, Tensor]:
    """The tensors among a module's arguments or results, by position or name."""
    if isinstance(values, Tensor):
        values = (values,)
    elif hasattr(values, "to_tuple"):  # the library's own output objects
        values = values.to_tuple()
    places = list(enumerate(values)) if isinstance(values, (tuple, list)) else []
    slots: list[tuple[int | str, Any]] = [*places, *(named or {}).items()]
    return {slot: v for slot, v in slots if isinstance(v, Tensor)}


@dataclass(frozen=True)
class Ear:
    """A hook that tells the current recorder, if there is one, what enters or leaves a module.

    It is a plain value, so that a researcher's model can still be copied, pickled and saved whole.
    """

    name: str
    side: str

    def __call__(self, _: nn.Module, args: tuple[Any, ...], last: Any) -> None:
        """`last` is what a hook is given beside the arguments: those with names before, the output after."""
        recorder = RECORDER.get()
        if recorder is not None:
            recorder.passed(self.name, self.side, tensors_in(args, last) if self.side == "in" else tensors_in(last))


def listen(module: nn.Module, name: str, side: str) -> Any:
    """Put an ear on a module, on the side "in" or "out"; returns the hook's handle."""
    if side == "in":
        return module.register_forward_pre_hook(Ear(name, side), with_kwargs=True)
    return module.register_forward_hook(Ear(name, side))


def forget(model: nn.Module) -> None:
    """Take off the ears that a model brought along, as the copy of one that was listened to; they would hear twice."""
    for module in model.modules():
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key in [key for key, hook in hooks.items() if isinstance(hook, Ear)]:
                del hooks[key]
