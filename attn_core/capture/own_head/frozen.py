"""A head held at what it did to one text, which makes it linear: a label's logit as a direction in the last states.

An activation such as the pooler's tanh is held at the factor f(x) ÷ x that it really had, a LayerNorm at its scale, as
the final norm of a stack is (`residual.frozen_norm`). What is left are linear maps, so

    logit = Σ over tokens of  rows[token] · state[token]  +  constant

where the constant holds the head's biases alone. That is found, not assumed: the held head is run once more, on zeros,
and gives the constant; `LabelReading.logit` is the model's own. A softmax or a product of two activations would show
as a sum that misses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from attn_core.capture.own_head.run import WithoutDropout, run_head
from attn_core.precision import without_autocast
from attn_core.traces.source import LabelReading

_F = nn.functional
LAYER_NORM_EPS = 1e-5  # torch's own, where a caller gives none
ACTIVATIONS = frozenset(
    (torch.tanh, Tensor.tanh, torch.relu, Tensor.relu, _F.relu, _F.gelu, _F.silu, torch.sigmoid, Tensor.sigmoid)
)


def read_label(hf_model: Any, states: Tensor, inputs: Mapping[str, Tensor], at: tuple[int, ...]) -> LabelReading:
    """The logit at a place `at` of the head's logits, (label,) or (token, label), as a direction in the last states.

    `states` [1, token, d_model] in float32, on the model's device.
    """
    with without_autocast(), torch.enable_grad():
        x = states.detach().clone().requires_grad_(True)
        held = _Held()
        with held:
            logit = run_head(hf_model, x, inputs)[0][at]
        (rows,) = torch.autograd.grad(logit, x)
        with held.again():
            constant = run_head(hf_model, torch.zeros_like(x), inputs)[0][at]
    return LabelReading(rows[0].double().cpu().numpy(), float(constant.detach()), float(logit.detach()))


class _Held(WithoutDropout):
    """The first time inside, what is not linear runs and its factors are kept; the next time, these multiply."""

    def __init__(self) -> None:
        super().__init__()
        self._factors: list[Tensor] = []
        self._next: int | None = None

    def again(self) -> _Held:
        """Itself, from the first factor on."""
        self._next = 0
        return self

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in ACTIVATIONS:
            return args[0] * self._factor(lambda x: _ratio(func(x, *args[1:], **kwargs), x), args[0])
        if func is _F.layer_norm:
            return self._layer_norm(*args, **kwargs)
        return super().__torch_function__(func, types, args, kwargs)

    def _layer_norm(
        self,
        x: Tensor,
        shape: Any,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = LAYER_NORM_EPS,
    ) -> Tensor:
        dims = tuple(range(-len(shape), 0))
        centred = x - x.mean(dim=dims, keepdim=True)
        scale = self._factor(lambda c: torch.rsqrt(c.square().mean(dim=dims, keepdim=True) + eps), centred)
        made = centred * scale if weight is None else centred * scale * weight
        return made if bias is None else made + bias

    def _factor(self, of: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if self._next is None:
            self._factors.append(of(x.detach()))
            return self._factors[-1]
        self._next += 1
        return self._factors[self._next - 1]


def _ratio(made: Tensor, x: Tensor) -> Tensor:
    """f(x) ÷ x; where x is 0 any factor does."""
    return torch.where(x == 0, torch.ones_like(x), made / torch.where(x == 0, torch.ones_like(x), x))
