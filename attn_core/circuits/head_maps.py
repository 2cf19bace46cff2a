"""From the residual stream to one head's queries, keys or values, as maps that are linear: what each part becomes.

    x = N(stream)         N the norm before attention, frozen at the scale that each token had
    q = R · N_q(x·W_Q)    N_q the norm of the queries where a model has one, frozen; R the rotation of the token's place

What belongs to no writer is apart: the shift of N, the bias and the shift of N_q. Nothing is looked up by name: a norm,
a matrix or a rotation is taken where it gives what the model computed, number by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attn_core.circuits.projections import (
    HeadProjection,
    attention_inputs,
    double,
    is_norm,
    put_into_head,
    query_and_key_projections,
)
from attn_core.circuits.writers.additions import Floats, Places, evenly, frozen_norm, run_module
from attn_core.errors import HeadlightError
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.rotary import Rotation, apply_rotary
from attn_core.traces import parity
from attn_core.traces.parts import Writer
from attn_core.traces.stream import StreamTrace


@dataclass(frozen=True, eq=False)
class HeadMap:
    """One head's query, key or value map at some tokens.

    `weight` [d_model, n] and `bias` [n] reach over all that the inner norm sees; `columns` are the head's own of it.
    """

    role: str  # "query", "key" or "value"
    before: FrozenNorm | None
    weight: Floats
    bias: Floats | None
    inner: FrozenNorm | None = None
    columns: slice = field(default_factory=lambda: slice(None))
    rotation: Rotation | None = None  # of these tokens
    put: Floats | None = None  # what was put in the place of the head's own, [token, d_head]; 0 where nothing was
    patched: NDArray[np.bool_] | None = None  # where that is, [token]: whatever else makes it ends there

    @property
    def ends(self) -> bool:
        """Whether nothing but a patch makes it, at all of these tokens."""
        return self.patched is not None and bool(self.patched.all())

    def part(self, vectors: Floats) -> Floats:
        """What a part of the stream becomes: [token, d_model] → [token, d_head]."""
        return self._projected(vectors if self.before is None else self.before.part(vectors))

    def constants(self, n_tokens: int) -> Iterator[tuple[Writer, Floats]]:
        """What belongs to no writer of the stream, each [token, d_head]; those that are zero are left out."""
        if self.put is not None:
            yield Writer(f"{self.role} patch", "patch"), self.put
        if self.ends:
            return
        if self.before is not None and self.before.shift.any():
            shift = np.tile(self.before.shift, (n_tokens, 1))
            yield Writer(f"{self.role} input norm shift", "own"), self._projected(shift)
        if self.bias is not None and self.bias.any():
            yield Writer(f"{self.role} bias", "own"), self._normed(np.tile(self.bias, (n_tokens, 1)))
        if self.inner is not None and self.inner.shift.any():
            shift = np.tile(self.inner.shift, (n_tokens, 1))
            yield Writer(f"{self.role} norm shift", "own"), self.turned(shift[:, self.columns])

    def _projected(self, x: Floats) -> Floats:
        return self._normed(x @ self.weight)

    def _normed(self, y: Floats) -> Floats:
        """[token, n] → [token, d_head]."""
        normed = y if self.inner is None else self.inner.part(y)
        return self.turned(normed[:, self.columns])

    def turned(self, heads: Floats) -> Floats:
        """The head's rows [token, d_head] as they are scored; 0 where a patch stands."""
        if self.patched is not None:
            heads = heads * ~self.patched[:, None]
        if self.rotation is None:
            return heads
        turned: Floats = apply_rotary(torch.from_numpy(np.ascontiguousarray(heads)), self.rotation).numpy()
        return turned


@dataclass(frozen=True, eq=False)
class ScoreMaps:
    """The maps of a head's query and key at whatever tokens; what does not depend on the tokens is found once."""

    stream: StreamTrace
    layer: int
    head: int
    projections: tuple[HeadProjection, HeadProjection]
    rotation: Rotation | None
    entered: tuple[Tensor, Tensor]
    norms: tuple[nn.Module | None, nn.Module | None]

    @classmethod
    def of(cls, stream: StreamTrace, layer: int, head: int, entered: tuple[Tensor, Tensor]) -> ScoreMaps:
        """`entered` are the streams [token, d_model] that the norms of the queries and of the keys received."""
        inputs = attention_inputs(stream, layer)
        plain, rotation = query_and_key_projections(stream, layer, head, inputs)
        norms = tuple(norm_module_before(stream, layer, came, x) for came, x in zip(entered, inputs, strict=True))
        return cls(stream, layer, head, plain, rotation, entered, (norms[0], norms[1]))

    def query(self, places: Places) -> HeadMap:
        return self._at("query", places)

    def key(self, places: Places) -> HeadMap:
        return self._at("key", places)

    def _at(self, role: str, places: Places) -> HeadMap:
        side, rows = int(role == "key"), torch.as_tensor(places)
        own, norm = self.projections[side], self.norms[side]
        before = None if norm is None else frozen_norm(partial(run_module, norm), double(self.entered[side][rows]))
        turned = None if self.rotation is None else self.rotation.at(rows)
        inner = None
        if own.module is not None:  # who needs x is handed it again: it is as large as the stream
            inner = own.inner(self.stream._around(("x", "memory")[side], self.layer)[rows])
        patch = _patch(self.stream, self.layer, self.head, role, places)
        return HeadMap(role, before, own.weight, own.bias, inner, own.columns, turned, *patch)


def value_map(stream: StreamTrace, layer: int, head: int, keys: Places, entered: Tensor) -> HeadMap:
    """The map of a head's value; `entered` is the stream [token, d_model] that its norm received."""
    found = stream._layer(layer, head)
    if found.site.value is None:
        raise HeadlightError(f"In {stream.family} models the values are not W·x alone, so they cannot be split.")
    weight, bias = found.site.value.of_head(stream.module(), head, found.call.n_heads)
    norm = norm_module_before(stream, layer, entered, stream._around("memory", layer))
    came = double(entered[torch.as_tensor(keys)])
    before = None if norm is None else frozen_norm(partial(run_module, norm), came)
    put, patched = _patch(stream, layer, head, "value", keys)
    bias_or_none = None if bias is None else double(bias)
    return HeadMap("value", before, double(weight), bias_or_none, put=put, patched=patched)


def _patch(
    stream: StreamTrace, layer: int, head: int, role: str, places: Places
) -> tuple[Floats, NDArray[np.bool_]] | tuple[None, None]:
    """(what stands in the place of a head's query, key or value at some tokens, at which of them), or nothing."""
    put = put_into_head(stream, layer, head, role)
    rows = None if put is None else np.asarray(put[places].any(axis=1))
    if rows is None or not rows.any():
        return None, None
    stands = {"query": stream.query, "key": stream.key, "value": stream.value}[role](layer, head)
    return double(stands)[places] * rows[:, None], rows


def norm_module_before(stream: StreamTrace, layer: int, entered: Tensor, x: Tensor) -> nn.Module | None:
    """The norm that made x of the stream that entered, both [token, d_model]; None where x is that stream.

    Of the model's norms it is the one that gives x, number by number, at tokens from the first to the last; those that
    stand near W_O are tried first.
    """
    some = torch.as_tensor(evenly(len(x)))
    came, wanted = entered[some], torch.as_tensor(double(x[some]))
    if parity.same(torch.as_tensor(double(came)), wanted):
        return None
    model, near = stream.module(), stream._layer(layer).site.output.module
    norms = [(name, module) for name, module in model.named_modules() if is_norm(module, x.shape[-1])]
    for _, module in sorted(norms, key=lambda named: -_common_prefix(named[0], near)):
        if parity.same(torch.as_tensor(run_module(module, double(came))).double(), wanted):
            found: nn.Module = module
            return found
    raise HeadlightError(f"What leads from the stream to layer {layer}'s queries and keys could not be found.")


def _common_prefix(a: str, b: str) -> int:
    """How many parts of two modules' names agree from the left."""
    pairs = zip(a.split("."), b.split("."), strict=False)
    return next((i for i, (one, other) in enumerate(pairs) if one != other), min(a.count("."), b.count(".")) + 1)
