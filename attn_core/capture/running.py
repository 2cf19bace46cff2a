"""How a model is run: with our attention chosen in its configurations, up to its final embedding, without a cache.

Whatever is chosen here for one pass is as it was before when the pass is over.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from attn_core.capture.interface import NAME, NAME_WITH_MASK


def keep_freed_memory() -> None:
    """Have the C library keep what tensors leave behind, so that the next pass finds its memory as it was.

    What a trace held goes back to the system when it dies, and is cleared page by page for the next one: that was most
    of what tracing cost from 128 tokens. glibc keeps blocks up to the largest that was given back so far, 32 MB at most
    (and 64 MB of free memory in all): so one of nearly that is taken and given back, unwritten. Other C libraries have
    rules of their own, and nothing happens.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


def our_name(hf_model: Any) -> str:
    """Which of our two names a model is run under.

    Some families never ran on the library's fused function, and nobody noticed that their decoders do not say that they
    are causal, or that their experts read the mask too; these get the masks that they know.
    """
    return NAME if getattr(hf_model, "_supports_sdpa", False) else NAME_WITH_MASK


def use_ours_always(hf_model: Any) -> None:
    """Choose our attention once and for all; for a model that was loaded here and that nobody else holds."""
    hf_model.eval()
    for config in configs(hf_model):
        config._attn_implementation_internal = our_name(hf_model)


def is_ours_always(hf_model: Any) -> bool:
    """Whether a model can run as it is: our attention is chosen, and it is in eval mode."""
    chosen = {config._attn_implementation_internal for config in configs(hf_model)}
    return chosen == {our_name(hf_model)} and not hf_model.training


def configs(hf_model: Any) -> list[Any]:
    """Every configuration in a model that says which attention function is called."""
    configs = [m.config for m in hf_model.modules() if hasattr(m, "config")]
    return [c for c in {id(c): c for c in configs}.values() if hasattr(c, "_attn_implementation_internal")]


@contextmanager
def attention_of(hf_model: Any, name: str) -> Iterator[None]:
    """Inside, a model has the attention of this name and no dropout; afterwards everything is as it was."""
    before = [(c, c._attn_implementation_internal) for c in configs(hf_model)]
    training = [m for m in hf_model.modules() if m.training]
    if training:
        hf_model.eval()
    try:
        for config, _ in before:
            config._attn_implementation_internal = name
        yield
    finally:
        for config, chosen in before:
            config._attn_implementation_internal = chosen
        for module in training:
            module.training = True


def run_stack(hf_model: Any, inputs: Mapping[str, Tensor], stack: Any = None) -> Any:
    """One forward pass, up to the final embedding: no logits of a vocabulary where they can be left out.

    `stack` runs in the place of the model's own; see `capture.again`.
    """
    return (hf_model.base_model if stack is None else stack)(**_on_its_device(hf_model, inputs))


def run_whole(hf_model: Any, inputs: Mapping[str, Tensor], weights: bool = False) -> Any:
    """One forward pass as the owner of a model would make it: logits too, and whatever stands around the model.

    With `weights` it is asked for its attention weights, which only a family's eager attention gives.
    """
    asked = {"output_attentions": True} if weights else {}
    return hf_model(**_on_its_device(hf_model, inputs), **asked)


def _on_its_device(hf_model: Any, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
    weight = _first_weight(hf_model)
    given: dict[str, Any] = {"use_cache": False} if hasattr(hf_model.config, "use_cache") else {}
    for name, value in inputs.items():
        if isinstance(value, Tensor):  # virtual tokens are there already
            value = value.to(weight.device, weight.dtype) if value.is_floating_point() else value.to(weight.device)
        given[name] = value
    return given


def _first_weight(module: Any) -> Any:
    """The first of `module.parameters()`, which is asked for at every pass and would look for all names before."""
    for weight in module._parameters.values():
        if weight is not None:
            return weight
    for child in module._modules.values():
        weight = None if child is None else _first_weight(child)
        if weight is not None:
            return weight
    return None


def running(
    hf_model: Any, lock: AbstractContextManager[Any], is_ours: bool, grad: bool = False
) -> AbstractContextManager[None]:
    """Hold a model for one pass, as `Model.running` says; `is_ours`: our attention is chosen in it already."""
    return _AsItIs(lock) if is_ours and not grad else _prepared(hf_model, lock, is_ours, grad)


class _AsItIs(AbstractContextManager[None]):
    """Inside, a model is this thread's, and what was compiled runs as it was written: compiled code reports to no hook.

    No generator, and torch's own stance without its context: beside a short pass these were most of what tracing cost
    before it.
    """

    __slots__ = ("_lock", "_mode", "_stance")

    def __init__(self, lock: AbstractContextManager[Any], grad: bool = False) -> None:
        self._lock = lock
        self._mode = torch.enable_grad() if grad else torch.inference_mode()

    def __enter__(self) -> None:
        self._lock.__enter__()
        try:
            # without it nothing was compiled here, and to import it takes a second
            compiler: Any = sys.modules.get("torch._dynamo.eval_frame")
            eager = compiler and compiler.DynamoStance("force_eager")
            self._stance = compiler and (compiler._set_stance, compiler._set_stance(eager))
            self._mode.__enter__()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise

    def __exit__(self, *error: Any) -> None:
        self._mode.__exit__(*error)
        if self._stance:
            set_stance, before = self._stance
            set_stance(before)
        self._lock.__exit__(*error)


@contextmanager
def _prepared(hf_model: Any, lock: AbstractContextManager[Any], is_ours: bool, grad: bool) -> Iterator[None]:
    """The same for a model in which our attention is chosen for this pass, or that keeps a graph of it."""
    with _AsItIs(lock, grad):
        ours = nullcontext() if is_ours else attention_of(hf_model, our_name(hf_model))
        with ours, _frozen(hf_model) if grad else nullcontext():
            yield


@contextmanager
def _frozen(hf_model: Any) -> Iterator[None]:
    """Inside, no weight asks for a gradient."""
    asking = [p for p in hf_model.parameters() if p.requires_grad]
    try:
        for parameter in asking:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)
