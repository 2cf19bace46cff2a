"""Run a model's own head over last states that are known, without the stack below it.

The head is whatever the model does after its stack, poolers included: its own code runs, with the stack replaced by
one that hands out those states. So there is no table of heads; `find` holds the result against the model's own once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attn_core.precision import in_float32


class _StackOutput(NamedTuple):
    """What a stack gives, as far as heads look at it, by place and by name."""

    last_hidden_state: Tensor
    pooler_output: Tensor | None
    past_key_values: None = None
    hidden_states: None = None
    attentions: None = None


class _KnownStack(nn.Module):
    """Stands in for a model's stack: gives known last states [1, token, d_model], whatever it is asked."""

    def __init__(self, stack: Any, states: Tensor) -> None:
        super().__init__()
        self._stack, self._states = (stack,), states  # in a tuple: its modules are not this one's

    def forward(self, *_: Any, **__: Any) -> _StackOutput:
        return _StackOutput(self._states, _pooled(self._stack[0], self._states))


def _pooled(stack: Any, states: Tensor) -> Tensor | None:
    """What the pooler of a stack makes of its last states; ALBERT's is a plain linear map of the first token."""
    pooler = getattr(stack, "pooler", None)
    if pooler is None:
        return None
    exact = in_float32(pooler)
    pooled: Tensor = stack.pooler_activation(exact(states[:, 0])) if isinstance(exact, nn.Linear) else exact(states)
    return pooled


class WithoutDropout(TorchFunctionMode):
    """Inside, dropout does nothing: a model of somebody's own may be in training, and is not touched."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.dropout:
            return args[0] if args else (kwargs or {})["input"]
        return func(*args, **(kwargs or {}))


def run_head(hf_model: Any, states: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """What the head makes of last states [1, token, d_model]: logits [1, label] or [1, token, label].

    Computed in float32, by the model's weights. Question answering has two labels, start and end. `inputs` are what
    the head itself looks at: a decoder's finds the last token that is no filler in the ids. Raises what the model's
    code raises where it needs more.
    """
    head = copy.copy(hf_model)  # the same modules; one of them is replaced, in the copy alone
    beside = {name: in_float32(child) for name, child in hf_model.named_children() if child is not hf_model.base_model}
    head._modules = {**beside, hf_model.base_model_prefix: _KnownStack(hf_model.base_model, states)}
    with WithoutDropout():
        said = head(**inputs)
    return logits_of(said)


def logits_of(said: Any) -> Tensor:
    """The logits in a model's output, those of start and end side by side; raises AttributeError where it has none."""
    if hasattr(said, "start_logits"):
        return torch.stack([said.start_logits, said.end_logits], dim=-1)
    logits: Tensor = said.logits
    return logits
