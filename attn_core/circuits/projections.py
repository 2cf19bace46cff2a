"""A head's W_Q and W_K with the norm that may follow them, and the rotation of what they give.

    q = R · N_q(x·W_Q)    N_q the norm of the queries where a model has one; R the rotation of the token's place

Nothing is looked up by name: a matrix, a norm or a rotation is taken where it gives what the model computed, number by
number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attn_core.circuits.writers.additions import Floats, frozen_norm, run_module
from attn_core.errors import HeadlightError
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.rotary import Rotation, fit_rotary
from attn_core.traces import parity
from attn_core.traces.stream import StreamTrace


@dataclass(frozen=True, eq=False)
class HeadProjection:
    """A head's projection before any rotation: x·W + b and, in some families, a norm of that, per head or of all."""

    weight: Floats
    bias: Floats | None
    module: nn.Module | None = None  # the norm
    columns: slice = field(default_factory=lambda: slice(None))

    def linear(self, x: Floats) -> Floats:
        return x @ self.weight if self.bias is None else x @ self.weight + self.bias

    def inner(self, x: Floats) -> FrozenNorm | None:
        return None if self.module is None else frozen_norm(partial(run_module, self.module), self.linear(x))

    def heads(self, x: Floats) -> Floats:
        """The head's queries or keys before any rotation, [token, d_head]."""
        made = self.linear(x)
        return (made if self.module is None else double(run_module(self.module, made)))[:, self.columns]


def query_and_key_projections(
    stream: StreamTrace, layer: int, head: int
) -> tuple[tuple[HeadProjection, HeadProjection], Rotation | None]:
    """W_Q and W_K of a head with their norms, and the rotation of the trace's tokens that follows, if there is one."""
    site, inputs = stream._layer(layer, head).site, attention_inputs(stream, layer)
    keys = stream.key(layer, head)[: len(inputs[1])]  # of words: what stands beside them was projected from nothing
    captured = double(stream.query(layer, head)), double(keys)
    put = put_into_head(stream, layer, head, "query"), put_into_head(stream, layer, head, "key")
    captured = captured[0] - _zero_if_none(put[0]), captured[1] - _zero_if_none(put[1])  # as the model made them
    if site.query is not None and site.key is not None:
        weights = stream.projections(layer, head)
        asking = HeadProjection(double(weights.w_q), None if weights.b_q is None else double(weights.b_q))
        answering = HeadProjection(double(weights.w_k), None if weights.b_k is None else double(weights.b_k))
    else:
        asking, answering = (
            _normed_projection(stream, layer, x, seen) for x, seen in zip(inputs, captured, strict=True)
        )
    rotation = _rotation([asking.heads(inputs[0]), answering.heads(inputs[1])], captured)
    return (asking, answering), rotation


def attention_inputs(stream: StreamTrace, layer: int) -> tuple[Floats, Floats]:
    """What W_Q and what W_K is multiplied with, [token, d_model] each."""
    return double(stream.attention_input(layer)), double(stream.attention_memory(layer))


def put_into_head(stream: StreamTrace, layer: int, head: int, role: str) -> Floats | None:
    """What a patch added to a head's query, key or value, [token, d_head]; None where nothing was put."""
    put = stream._put_into_head(layer, head, role)
    return None if put is None else double(put)


def _zero_if_none(put: Floats | None) -> Floats:
    return np.zeros(1) if put is None else put


def _normed_projection(stream: StreamTrace, layer: int, x: Floats, captured: Floats) -> HeadProjection:
    """W and the norm behind it that give a head's queries or keys, `captured` [token, d_head], unturned at place 0.

    Tried are the matrices and norms that stand beside the value's matrix in the same attention module.
    """
    value = stream._layer(layer).site.value
    if value is not None:
        parent = stream.module().get_submodule(value.linear.module.rpartition(".")[0])
        for module in parent.children():
            for linear in _linears(module, x.shape[-1]):
                for candidate in _normed(linear, parent, captured.shape[-1]):
                    if parity.same(torch.as_tensor(candidate.heads(x[:1])), torch.as_tensor(captured[:1])):
                        return candidate
    after = len(stream.key_tokens.labels) > len(stream.tokens) and stream._call(layer).sink is None
    behind = " that read after virtual tokens" if after and stream.name != "cross" else ""  # which turn the first word
    raise HeadlightError(
        f"In {stream.family} models{behind} W_Q and W_K could not be found, so a score cannot be split."
    )


def _linears(module: nn.Module, d_model: int) -> Iterator[HeadProjection]:
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    if isinstance(module, nn.Linear) and isinstance(weight, Tensor) and weight.shape[1] == d_model:
        yield HeadProjection(double(weight.T), None if bias is None else double(bias))


def _normed(linear: HeadProjection, parent: nn.Module, d_head: int) -> Iterator[HeadProjection]:
    """A matrix with each norm that may follow it, cut into heads before or after the norm."""
    width = linear.weight.shape[1]
    slots = [slice(start, start + d_head) for start in range(0, width - d_head + 1, d_head)]
    for norm in parent.children():
        if is_norm(norm, width):
            yield from (HeadProjection(linear.weight, linear.bias, norm, slot) for slot in slots)
        if is_norm(norm, d_head):
            for slot in slots:
                bias = None if linear.bias is None else linear.bias[slot]
                yield HeadProjection(linear.weight[:, slot], bias, norm)


def _rotation(made: list[Floats], captured: tuple[Floats, Floats]) -> Rotation | None:
    """The rotation by place that leads from W·x to what was scored; None where nothing was turned."""
    before, after = [torch.as_tensor(m) for m in made], [torch.as_tensor(c) for c in captured]
    if all(parity.same(a, b) for a, b in zip(before, after, strict=True)):
        return None
    rotation = None
    if len(before[0]) == len(before[1]):
        rotation = fit_rotary(torch.stack(before), torch.stack(after), parity.ROTATION)
    if rotation is None:
        raise HeadlightError("What this model does to its queries and keys is no rotation, so a score cannot be split.")
    return rotation


def is_norm(module: nn.Module, width: int) -> bool:
    """Whether a module is a norm of vectors of this width, by its weight."""
    weight = getattr(module, "weight", None)
    return (
        isinstance(weight, Tensor)
        and weight.shape[-1:] == (width,)
        and weight.dim() == 1
        and not list(module.children())
    )


def double(values: NDArray[np.floating] | Tensor) -> Floats:
    array = values.detach().float().cpu().numpy() if isinstance(values, Tensor) else values
    return np.asarray(array, dtype=np.float64)
