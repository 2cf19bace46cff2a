"""Who made a label likely: its logit at the position that is read, split into what every head, MLP and bias adds.

A fine-tuned head reads a label off the last states by some direction, which `StreamTrace.label_reading` gives. That
direction is carried back through the blocks: each LayerNorm on the way is held at the scale that it really had, and
what it shifts is a constant. Then every part of the stream is multiplied with the direction as it stands where that
part was added:

    logit = Σ heads ΔE · direction + biases + MLPs + E of layer 0 + constant

So a post-norm model (BERT), where a LayerNorm follows every sum, is split as exactly as any other. It is exact as a
sum up to what is held: the norms at their scales, and what the head itself does (the pooler's tanh, an activation) at
the factor that it had. In truth every part also moves these.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (norms held at their scale).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.residual.logit_attribution import LogitAttribution
from attn_core.traces.block import BlockKind
from attn_core.traces.reader import Array
from attn_core.traces.source import LabelReading
from attn_core.traces.stream import StreamTrace

Floats = NDArray[np.float64]


@dataclass(eq=False)
class _Direction:
    """A direction at some tokens, `rows` [token, d_model], carried back; `constant` is what norms shift along it."""

    stream: StreamTrace
    tokens: NDArray[np.int_]
    rows: Floats
    constant: float

    def read(self, vectors: Array | None) -> float:
        """What vectors [token, d_model] of all tokens add along it; None adds nothing."""
        return 0.0 if vectors is None else float((vectors[self.tokens].astype(np.float64) * self.rows).sum())

    def read_heads(self, layer: int) -> Floats:
        """What every head of a layer adds along it: [head]."""
        each = zip(self.tokens, self.rows, strict=True)
        shares: Floats = np.sum([self.stream.heads_delta_e(layer, int(token)) @ row for token, row in each], axis=0)
        return shares

    def before(self, norm: Callable[[Array], Array], x: Array) -> _Direction:
        """The direction before a norm that was given x, [token, d_model] of all tokens."""
        held = FrozenNorm.of(norm, x[self.tokens])
        constant = self.constant + float((self.rows @ held.shift).sum())
        return replace(self, rows=held.direction_before(self.rows), constant=constant)


def label_attribution(stream: StreamTrace, label: int, position: int | None = None) -> LogitAttribution:
    """Split the logit of a label (its number) of a model with a head of its own; `error` says how far the sum misses.

    `position` names the token, for a head that says something of every token; see `StreamTrace.label_reading`. A head
    that reads several tokens (a mean over the text) has the shares of all of them together. Raises HeadlightError for
    a model without labels, or whose blocks could not be followed.
    """
    reading, n_layers = stream.label_reading(label, position), stream.n_layers
    tokens = positions_read(reading)
    at = _Direction(stream, tokens, reading.rows[tokens], reading.constant)
    at = at.before(stream.final_norm, stream.embedding(n_layers))
    heads: list[Floats] = []
    bias, mlp, patches = np.zeros((3, n_layers))
    patches[-1] = at.read(stream._put(n_layers, "residual"))
    for layer in reversed(range(n_layers)):
        at = _after_mlp(at, layer)
        mlp[layer] = at.read(stream.mlp_added(layer))
        patches[layer] += at.read(stream._put(layer, "after_attention"))
        at, added = _around_attention(at, layer)
        patches[layer] += at.read(stream._put(layer, "attention")) + at.read(stream._put(layer, "residual"))
        heads.insert(0, added.read_heads(layer))
        bias[layer] = float((added.rows @ stream.output_bias(layer)).sum())
        at = replace(at, constant=added.constant)
    return LogitAttribution(
        np.stack(heads), bias, mlp, at.read(stream.embedding(0)), at.constant, reading.logit, patches
    )


def positions_read(reading: LabelReading) -> NDArray[np.int_]:
    """The tokens whose last states a label is read off: one, or all of those that a head takes the mean of."""
    return np.flatnonzero(np.abs(reading.rows).sum(axis=1))


def _after_mlp(at: _Direction, layer: int) -> _Direction:
    """The direction at the sum that the MLP ends: before the LayerNorm that follows it in a post-norm block."""
    stream = at.stream
    if stream.block(layer) is not BlockKind.POST_NORM:
        return at
    return at.before(partial(stream.block_norm, layer, "mlp"), stream.after_attention(layer) + stream.mlp_added(layer))


def _around_attention(at: _Direction, layer: int) -> tuple[_Direction, _Direction]:
    """The direction at the sum that attention ends, and for what its heads give, which a norm of its own may take in
    first (norm-after)."""
    stream, block = at.stream, at.stream.block(layer)
    if block is BlockKind.POST_NORM:
        norm = partial(stream.block_norm, layer, "attention")
        at = at.before(norm, stream.embedding(layer) + stream.attention_added(layer))
    if not block.changes_sum:
        return at, at
    return at, at.before(partial(stream.block_norm, layer, "attention"), stream.attention_output(layer))
