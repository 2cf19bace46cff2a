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

from attn_core.blocks import row_slices
from attn_core.circuits.writers.additions import Floats, Places, evenly, frozen_norm, run_module
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

    def linear(self, x: Tensor) -> Floats:
        """[token, d_model] → [token, n], a block of tokens at a time: in float64 all of them are large."""
        blocks = row_slices(len(x), 4 * x.shape[1])
        return np.concatenate([self._linear(double(x[rows])) for rows in blocks])

    def _linear(self, x: Floats) -> Floats:
        return x @ self.weight if self.bias is None else x @ self.weight + self.bias

    def inner(self, x: Tensor) -> FrozenNorm | None:
        return None if self.module is None else frozen_norm(partial(run_module, self.module), self.linear(x))

    def heads(self, x: Tensor) -> Floats:
        """The head's queries or keys before any rotation, [token, d_head]."""
        made = self.linear(x)
        return (made if self.module is None else double(run_module(self.module, made)))[:, self.columns]


def query_and_key_projections(
    stream: StreamTrace, layer: int, head: int, inputs: tuple[Tensor, Tensor] | None = None
) -> tuple[tuple[HeadProjection, HeadProjection], Rotation | None]:
    """W_Q and W_K of a head with their norms, and the rotation of the trace's tokens that follows, if there is one.

    `inputs` are its `attention_inputs`, for who has them.
    """
    site, inputs = stream._layer(layer, head).site, inputs or attention_inputs(stream, layer)
    query, key, _ = stream._call(layer, head).heads(head)  # [1, token, d_head]; keys beside words come last
    put = put_into_head(stream, layer, head, "query"), put_into_head(stream, layer, head, "key")

    def captured(some: tuple[Places, Places]) -> tuple[Floats, Floats]:
        """The queries and keys of some tokens as the model made them, before a patch."""
        each = zip((query[0], key[0]), put, some, strict=True)
        found = [double(now[torch.as_tensor(at)]) - (0.0 if had is None else had[at]) for now, had, at in each]
        return found[0], found[1]

    few = evenly(len(inputs[0])), evenly(len(inputs[1]))
    x = [own[torch.as_tensor(at)] for own, at in zip(inputs, few, strict=True)]
    if site.query is not None and site.key is not None:
        weights = stream.projections(layer, head)
        asking = HeadProjection(double(weights.w_q), None if weights.b_q is None else double(weights.b_q))
        answering = HeadProjection(double(weights.w_k), None if weights.b_k is None else double(weights.b_k))
    else:
        asking, answering = (_normed_projection(stream, layer, *both) for both in zip(x, captured(few), strict=True))
    if _alike((asking.heads(x[0]), answering.heads(x[1])), captured(few)):
        return (asking, answering), None
    everywhere = np.arange(len(inputs[0])), np.arange(len(inputs[1]))
    rotation = _rotation((asking.heads(inputs[0]), answering.heads(inputs[1])), captured(everywhere))
    return (asking, answering), rotation


def attention_inputs(stream: StreamTrace, layer: int) -> tuple[Tensor, Tensor]:
    """What W_Q and what W_K is multiplied with, [token, d_model] each: the trace's own, one tensor where they are."""
    site, x = stream._layer(layer).site, stream._around("x", layer)
    return x, x if site.memory == site.x else stream._around("memory", layer)


def put_into_head(stream: StreamTrace, layer: int, head: int, role: str) -> Floats | None:
    """What a patch added to a head's query, key or value, [token, d_head]; None where nothing was put."""
    put = stream._put_into_head(layer, head, role)
    return None if put is None else double(put)


def _normed_projection(stream: StreamTrace, layer: int, x: Tensor, captured: Floats) -> HeadProjection:
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


def _alike(made: tuple[Floats, Floats], captured: tuple[Floats, Floats]) -> bool:
    """Whether queries and keys are those that were scored, so that nothing was turned."""
    return all(parity.same(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(made, captured, strict=True))


def _rotation(made: tuple[Floats, Floats], captured: tuple[Floats, Floats]) -> Rotation:
    """The rotation by place that leads from W·x, [token, d_head] of every token, to what was scored."""
    rotation = None
    if len(made[0]) == len(made[1]):
        before, after = torch.as_tensor(np.stack(made)), torch.as_tensor(np.stack(captured))
        rotation = fit_rotary(before, after, parity.ROTATION)
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
    array = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else values
    return np.asarray(array, dtype=np.float64)
