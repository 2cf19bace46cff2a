"""The direct path: what a model's norms make of a vector on its way from where it is written to where it is read.

Known from the weights alone, so a norm counts by its gain and by whether it centres; how large it is at a token depends
on all that stands in the stream there, and is left out. Everything is a linear map of rows, `x → x·P`.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (norms folded into what follows).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from attn_core.circuits.head_maps import norm_module_before
from attn_core.circuits.score_parts import memory_before_norm
from attn_core.circuits.writers.additions import Floats, Norm, run_module
from attn_core.circuits.writers.inputs import stack_input_parts
from attn_core.errors import HeadlightError
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.tolerances import SMALLEST
from attn_core.traces.block import BlockKind
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace

Place = tuple[int, int]  # layer, and how many attention calls of that block came before
START: Place = (-1, 0)
LARGE = 1000.0


@dataclass(frozen=True, eq=False)
class DirectPath:
    """A row of norms and projections [in, out]."""

    maps: tuple[FrozenNorm | Floats, ...] = ()

    def __add__(self, other: DirectPath) -> DirectPath:
        return DirectPath(self.maps + other.maps)

    @property
    def centres(self) -> bool:
        """Whether the first norm takes the mean away."""
        return next((step.centred for step in self.maps if isinstance(step, FrozenNorm)), False)

    def carry(self, vectors: Floats, *, own_size: bool = False) -> Floats:
        """x·P of rows [..., d]; with `own_size` each norm has the scale of a stream in which the row stands alone."""
        for step in self.maps:
            if isinstance(step, FrozenNorm):
                vectors = _alone(step, vectors) if own_size else vectors
                vectors = step.part(vectors)
            else:
                vectors = vectors @ step
        return vectors

    def fold(self, weight: Floats) -> Floats:
        """P·W for a matrix [d, n] that reads what comes out."""
        for step in reversed(self.maps):
            if isinstance(step, FrozenNorm):
                weight = step.scale[:, None] * weight
                weight = weight - weight.mean(axis=0) if step.centred else weight
            else:
                weight = step @ weight
        return weight


def gain(norm: Norm, d_model: int) -> FrozenNorm:
    """A norm held at a vector of mean square 1, without its ε: its gain γ, and whether it centres."""
    large = np.where(np.arange(d_model) % 2, -LARGE, LARGE)  # beside which ε is nothing
    frozen = FrozenNorm.of(norm, large)
    return replace(frozen, scale=LARGE * frozen.scale)


class Reach(NamedTuple):
    """How what one head writes comes to what another reads: the norms of the stream, then the reader's own."""

    stream: DirectPath
    reading: DirectPath


@dataclass(frozen=True, eq=False)
class DirectPaths:
    """The direct paths of one traced model."""

    trace: Trace
    _readings: dict[tuple[str, int, str], DirectPath] = field(default_factory=dict)  # found once a layer

    def embedding(self, stream: str, layer: int, side: str) -> DirectPath:
        """From a word's row in the table of embeddings to what a head's query, or its key and value, is made of."""
        stack, place = self._stack(stream, side)
        return self._entering(stack) + self._between(stack, START, place(layer)) + self.reading(stream, layer, side)

    def between(self, writer: tuple[str, int], reader: tuple[str, int], side: str) -> Reach | None:
        """From a head of (stream, layer) to the `side` of another: "query" or "key"; None where it cannot get there."""
        stack, place = self._stack(reader[0], side)
        written, _ = self._stack(writer[0], "query")
        start, stop = self._call(*writer), place(reader[1])
        if written.name != stack.name or start >= stop:
            return None
        own = self.after_head(*writer) + self._between(stack, start, stop)
        return Reach(own, self.reading(*reader, side))

    def to_words(self, stream: str, layer: int, *, final: bool) -> DirectPath:
        """From what a head writes to the last embedding, through the final norm where words are read behind it."""
        stack, _ = self._stack(stream, "query")
        path = self.after_head(stream, layer) + self._between(stack, self._call(stream, layer), (stack.n_layers, 0))
        return path + self._final(stack) if final else path

    def after_head(self, stream: str, layer: int) -> DirectPath:
        """The norm of attention's output, in the blocks that have one; a factor is no more than the size of a norm."""
        call = self.trace.stream(stream)
        if call.block(layer) is not BlockKind.NORM_AFTER:
            return DirectPath()
        return DirectPath((gain(partial(call.block_norm, layer, "attention"), call.d_model),))

    def reading(self, stream: str, layer: int, side: str) -> DirectPath:
        """The norm in front of W_Q, or of W_K and W_V, where there is one."""
        key = (stream, layer, side)
        if key not in self._readings:
            self._readings[key] = self._reading(*key)
        return self._readings[key]

    def _reading(self, stream: str, layer: int, side: str) -> DirectPath:
        call = self.trace.stream(stream)
        if side == "query":
            entered, x = call._around("embedding", layer), call._around("x", layer)
        else:
            entered, x = memory_before_norm(self.trace, call, layer), call._around("memory", layer)
        module = norm_module_before(call, layer, entered, x)
        return DirectPath() if module is None else DirectPath((gain(partial(run_module, module), call.d_model),))

    def writers_before(self, stream: str, layer: int) -> list[tuple[str, int]]:
        """(stream, layer) of every attention call whose heads can reach a head, in order."""
        calls = [(name, at) for name in self.trace.streams for at in range(self.trace.n_layers_of(name))]
        return [call for call in calls if any(self._reaches(call, (stream, layer), side) for side in ("query", "key"))]

    def _reaches(self, writer: tuple[str, int], reader: tuple[str, int], side: str) -> bool:
        stack, place = self._stack(reader[0], side)
        return self._stack(writer[0], "query")[0].name == stack.name and self._call(*writer) < place(reader[1])

    def _stack(self, stream: str, side: str) -> tuple[StreamTrace, Callable[[int], Place]]:
        """The stack that a side of a call reads, and the place in it at which layer n does so."""
        if stream == "cross" and side != "query":
            memory = self.trace.stream("encoder")
            return memory, lambda layer: (memory.n_layers, 0)
        stack = self.trace.stream("decoder" if stream == "cross" else stream)
        return stack, lambda layer: self._call(stream, layer)

    def _call(self, stream: str, layer: int) -> Place:
        return layer, int(stream == "cross")

    def _between(self, stack: StreamTrace, start: Place, stop: Place) -> DirectPath:
        """The norms that the stream itself passes: in post-norm blocks, and behind an encoder that is read whole."""
        norms: list[FrozenNorm | Floats] = []
        calls = stack.block_calls()
        for layer in range(stack.n_layers):
            for at, call in enumerate(calls):
                if call.block(layer) is BlockKind.POST_NORM and start <= (layer, at) < stop:
                    norms.append(gain(partial(call.block_norm, layer, "attention"), stack.d_model))
            if calls[-1].block(layer) is BlockKind.POST_NORM and start <= (layer, len(calls)) < stop:
                norms.append(gain(partial(calls[-1].block_norm, layer, "mlp"), stack.d_model))
        path = DirectPath(tuple(norms))
        return path + self._final(stack) if stack.name == "encoder" and stop[0] == stack.n_layers else path

    def _final(self, stack: StreamTrace) -> DirectPath:
        if stack._final_norm is None:
            return DirectPath()
        return DirectPath((gain(stack.final_norm, stack.d_model),))

    def _entering(self, stack: StreamTrace) -> DirectPath:
        """What happens to a word's vector before layer 0: the norm and the projection of the embeddings."""
        embedding = stack.embedding(0)
        found = stack_input_parts(stack, embedding)
        if found is None:
            if embedding.shape[1] != stack.module().get_input_embeddings().embedding_dim:  # type: ignore[operator]
                raise HeadlightError(f"How {stack.family} models make E from their words could not be found.")
            return DirectPath()
        return DirectPath(tuple(_step(module) for module in found[1]))


def _step(module: torch.nn.Module) -> FrozenNorm | Floats:
    if isinstance(module, torch.nn.Linear):
        weight: Floats = module.weight.detach().double().cpu().numpy().T
        return weight
    weight_of_norm = module.get_parameter("weight")
    return gain(partial(run_module, module), len(weight_of_norm))


def _alone(norm: FrozenNorm, vectors: Floats) -> Floats:
    """Rows with the size that they leave a norm with where nothing else is in the stream."""
    centred = vectors - vectors.mean(axis=-1, keepdims=True) if norm.centred else vectors
    size = np.sqrt((centred**2).mean(axis=-1, keepdims=True))
    scaled: Floats = vectors / np.maximum(size, SMALLEST)
    return scaled
