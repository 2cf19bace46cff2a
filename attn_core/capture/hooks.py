"""Hooks that report a forward pass to the recorder of this call, if there is one.

The recorder is in a ContextVar, so that two threads that run the same model at the same time never see each other's
tensors. Without a recorder a hook looks there, finds None and does nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn
from torch.compiler import is_compiling

from attn_core.masks import Mask, RelativeBias
from attn_core.traces.wiring import ModuleSide


class AttentionCall(NamedTuple):
    """One attention call as the library made it, batch of one kept: query [1, head, query, d_head] and so on.

    `beside` counts the last keys, which stand for no word: virtual tokens, and with `sink` [head], the score that each
    head has learnt for looking at no word, a key and value of zeros. `mask` and `bias` are of the keys before that one.
    """

    module: nn.Module | None
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    bias: Tensor | None
    is_causal: bool
    scaling: float
    soft_cap: float | None
    output: Tensor  # [1, query, head, d_head]
    beside: int = 0
    sink: Tensor | None = None


class Recorder(Protocol):
    """What a recorder offers to our attention function and to hooks."""

    in_steps: bool  # whether it computes attention itself, one step after the other
    virtual: int  # how many virtual tokens stand before the words in keys and values
    passed: dict[ModuleSide, Any] | None  # where hooks put the tensor that leaves a module first; None: `on_tensors`

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Mask, bias: RelativeBias | None, scaling: float,
        soft_cap: float | None, sink: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """Attention computed by the recorder: [1, query, head, d_head]; asked for only where it is `in_steps`."""

    def before_attention(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What attention gets in their place, for this pass alone; as a rule the same tensors."""

    def on_attention(self, call: AttentionCall) -> None:
        """Take note of an attention call; may change `call.output` in place, for this pass alone."""

    def on_tensors(self, place: ModuleSide, values: Any, named: dict[str, Any] | None) -> None:
        """Take note of what entered ("in") or left ("out") a module; `named` are arguments with names.

        May change a tensor of this pass in place."""


RECORDER: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


class recording_to(AbstractContextManager[None]):  # it reads as a verb, and is no generator: that costs
    """Report every forward pass that this thread runs inside to a recorder."""

    __slots__ = ("_before", "_recorder")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __enter__(self) -> None:
        self._before = RECORDER.set(self._recorder)

    def __exit__(self, *_: object) -> None:
        RECORDER.reset(self._before)


def tensor_at(slot: int | str, values: Any, named: dict[str, Any] | None = None) -> Tensor:
    """One of `tensors_in`, found without looking at the others."""
    if isinstance(values, Tensor) and slot == 0:
        return values
    is_there = isinstance(slot, int) and isinstance(values, (tuple, list)) and slot < len(values)
    found = values[slot] if is_there else None
    return found if isinstance(found, Tensor) else tensors_in(values, named)[slot]


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
class TensorHook:
    """A forward hook that reports what enters or leaves a module to the current recorder, if there is one.

    It is a plain value, so that a researcher's model can still be copied, pickled and saved whole.
    """

    place: ModuleSide

    def __call__(self, _: nn.Module, args: tuple[Any, ...], last: Any) -> None:
        """`last` is what a hook is given beside the arguments: those with names before, the output after."""
        if is_compiling():  # so that a compiled model is one graph, as it was without our hooks
            return
        recorder = RECORDER.get()
        if recorder is None:
            return
        if recorder.passed is not None and type(last) is Tensor:
            recorder.passed.setdefault(self.place, last)
        elif self.place[1] == "out":
            recorder.on_tensors(self.place, last, None)
        else:
            recorder.on_tensors(self.place, args, last)


def add_hook(module: nn.Module, name: str, side: str) -> Any:
    """Report what enters (side "in") or leaves (side "out") a module; returns the hook's handle."""
    if side == "in":
        return module.register_forward_pre_hook(TensorHook((name, side)), with_kwargs=True)
    return module.register_forward_hook(TensorHook((name, side)))


def add_hooks(model: nn.Module, places: Iterable[tuple[str, str]]) -> list[Any]:
    """Report what passes by these places, (name of a module, side); returns the hooks' handles."""
    return [add_hook(model.get_submodule(name), name, side) for name, side in places]


@contextmanager
def hooked_everywhere(model: nn.Module) -> Iterator[None]:
    """Inside, every module of a fresh model reports what enters and leaves it, and afterwards none does."""
    remove_hooks(model)
    handles = add_hooks(model, [(name, side) for name, _ in model.named_modules() if name for side in ("in", "out")])
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def remove_hooks(model: nn.Module) -> None:
    """Remove our hooks from a model; a deep copy keeps them, so each tensor would be recorded twice."""
    for module in model.modules():
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key in [key for key, hook in hooks.items() if isinstance(hook, TensorHook)]:
                del hooks[key]
