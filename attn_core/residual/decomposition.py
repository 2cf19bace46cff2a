"""Split what a block adds to one token into its parts: E + heads + bias + MLP (+ norms) = the next layer's E.

    pre-norm      E + ΔE of every head + bias                      + MLP              = next E
    parallel      E + ΔE of every head + bias                      + MLP              = next E
    norm-after    E + ΔE of every head + bias + (norm's change)    + MLP              = next E
    scaled        E + ΔE of every head + bias + (scale's change)   + MLP              = next E
    post-norm     E + ΔE of every head + bias + LayerNorm's change + MLP + LayerNorm's change = next E

A decoder with cross-attention has two sets of heads before its MLP. A norm is no sum, so its row is what it *changed*:
norm(x) − x, where x is the sum of our own rows, and a scale's is c·x − x; `BlockDecomposition.error` then says how far
the end is from the stream that the model itself went on with. Heads are split by source word in the small space, so
nothing here is larger than [head, key] or [head, d_model].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attn_core.residual import geometry
from attn_core.tolerances import SMALLEST
from attn_core.traces import parity
from attn_core.traces.attention_readers import as_array
from attn_core.traces.block import BlockKind
from attn_core.traces.stream import StreamTrace

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Part:
    """One row: `kind` is "embedding", "head", "bias", "norm", "mlp" or "patch"; `vector` [d_model] is what it adds.

    `stream` and `head` say which head it is, where it is one.
    """

    kind: str
    name: str
    vector: Array
    stream: str = "self"
    head: int | None = None


@dataclass(frozen=True, eq=False)
class BlockDecomposition:
    """All parts of one token's step through one block, in the order in which the block adds them."""

    layer: int
    token: int
    block: BlockKind
    parts: tuple[Part, ...]
    next_embedding: Array

    @cached_property
    def attention(self) -> Array:
        """ΔE of the layer: all heads and the output bias together, before any norm, [d_model]."""
        result: Array = np.sum([part.vector for part in self.parts if part.kind in ("head", "bias")], axis=0)
        return result

    @property
    def embedding(self) -> Array:
        """E, the first row, [d_model]."""
        return self.parts[0].vector

    @property
    def error(self) -> float:
        """How far the sum of all parts is from the model's own next E: worst difference ÷ largest value."""
        total = np.sum([part.vector for part in self.parts], axis=0, dtype=np.float64)
        return float(np.abs(total - self.next_embedding).max() / max(np.abs(self.next_embedding).max(), SMALLEST))

    @property
    def adds_up(self) -> bool:
        """Whether the parts end at the next layer's E, up to a hundred roundings of float32."""
        return self.error <= parity.TOLERANCE

    def share(self, part: Part) -> float:
        """How much of the layer's ΔE a head or the bias makes up: its length along the sum ÷ the sum's length.

        Signed: a head that pulls the other way has a negative share. The shares of all heads and the bias add up to 1.
        """
        size = float(geometry.norm(self.attention))
        return float(geometry.along(part.vector, self.attention)) / size if size > 0 else float("nan")


def decompose_block(stream: StreamTrace, layer: int, token: int) -> BlockDecomposition:
    """Split one token's step through one block. Raises HeadlightError where the block's wiring could not be found.

    The "decoder" stream of an encoder-decoder stands for its whole block, cross-attention included.
    """
    builder = _Builder(Part("embedding", "E", _row(stream.embedding(layer), token)))
    calls = stream.block_calls()
    for call in calls:
        if call is not stream:
            _add_patch(builder, call, layer, token)
        _add_attention(builder, call, layer, token)
    last = calls[-1]
    builder.add(Part("mlp", "MLP", _row(last.mlp_added(layer), token)))
    if last.block(layer) == BlockKind.POST_NORM:
        builder.norm("LayerNorm after the MLP", lambda x: last.block_norm(layer, "mlp", x))
    _add_patch(builder, stream, layer + 1, token)
    end = _row(stream.embedding(layer + 1), token)
    return BlockDecomposition(layer, token, stream.block(layer), tuple(builder.parts), end)


class _Builder:
    """Parts in the making, and their sum so far."""

    def __init__(self, first: Part) -> None:
        self.parts = [first]
        self.total = first.vector.astype(np.float64)

    def add(self, part: Part) -> None:
        self.parts.append(part)
        self.total = self.total + part.vector

    def norm(self, name: str, norm: Callable[[Array], Array]) -> None:
        """A row for what a norm changes of the whole sum."""
        self.add(Part("norm", name, norm(self.total) - self.total))


def _add_attention(builder: _Builder, call: StreamTrace, layer: int, token: int) -> None:
    """The rows of one attention call: every head, the output bias, and what a norm after them changes."""
    prefix = "cross " if call.name == "cross" else ""
    heads, bias = call.heads_delta_e(layer, token), call.output_bias(layer)  # [head, d_model], [d_model]
    for head, vector in enumerate(heads):
        builder.add(Part("head", f"{prefix}head {layer}.{head}", vector, call.name, head))
    builder.add(Part("bias", f"{prefix}output bias", bias, call.name))
    block = call.block(layer)
    if block.changes_sum:
        output = heads.sum(axis=0, dtype=np.float64) + bias  # [d_model]
        changed = call.block_norm(layer, "attention", output) - output
        what = "norm" if block is BlockKind.NORM_AFTER else "scale"
        builder.add(Part("norm", f"{what} of attention's output", changed, call.name))
    _add_patch(builder, call, layer, token, "attention")
    if block == BlockKind.POST_NORM:
        builder.norm(f"LayerNorm after {prefix}attention", lambda x: call.block_norm(layer, "attention", x))
    if call.name != "decoder":  # there it is what enters "cross"
        _add_patch(builder, call, layer, token, "after_attention")


def _add_patch(builder: _Builder, call: StreamTrace, layer: int, token: int, what: str = "residual") -> None:
    """The row of what a patch put into the stream that enters a layer or its MLP, or into what attention adds."""
    put = call._put(layer, what)
    if put is not None:
        name = f"patch of {'attention' if what == 'attention' else 'the stream'}"
        builder.add(Part("patch", name, _row(put, token), call.name))


def _row(rows: Array, token: int) -> Array:
    if not 0 <= token < len(rows):
        raise IndexError(f"token {token} is out of range: this trace has tokens 0 to {len(rows) - 1}")
    result: Array = rows[token].copy()  # a view would keep all rows in memory
    return result


# ------------------------------------------------------------------------------------------------ where ΔE came from


@dataclass(frozen=True, eq=False)
class Sources:
    """One head's ΔE of one token, split by source word, in the sentence's order; every field is [key].

    `weights` sum to 1. `lengths` are those of value · W_O, before weighting. `along` is how far weight · value · W_O
    goes in the direction of the head's ΔE, and sums to ‖ΔE‖.
    """

    weights: Array
    lengths: Array
    along: Array

    @property
    def sizes(self) -> Array:
        """‖weight · value · W_O‖ of each source, whatever its direction."""
        return self.weights * self.lengths

    @property
    def shares(self) -> Array:
        """The part of ‖ΔE‖ that each source makes up; signed, sums to 1."""
        size = self.along.sum()
        return self.along / size if size else np.full_like(self.along, np.nan)

    @property
    def strongest(self) -> int:
        """The source that adds most along ΔE."""
        return int(self.along.argmax())


def sources(stream: StreamTrace, layer: int, head: int, token: int) -> Sources:
    """Where a head's ΔE of one token came from, computed in the small space: no [key, d_model] is made."""
    return _sources(stream, layer, head, token, stream.w_o(layer, head))


def every_source(stream: StreamTrace, layer: int, token: int) -> list[Sources]:
    """The same of every head of a layer; its output matrix is looked at once."""
    w_o = as_array(stream._every_w_o(layer))  # [head, d_head, d_model]
    return [_sources(stream, layer, head, token, w_o[head]) for head in range(stream.n_heads)]


def _sources(stream: StreamTrace, layer: int, head: int, token: int, output: Array) -> Sources:
    weights = stream.pattern_row(layer, head, token).astype(np.float64)
    value = stream.value(layer, head).astype(np.float64)  # [key, d_head]
    w_o = output.astype(np.float64)  # [d_head, d_model]
    delta = weights @ value @ w_o  # [key] · [key, d_head] · [d_head, d_model] → [d_model]
    # ‖value · W_O‖² = value · (W_O · W_Oᵀ) · value, so that only [d_head, d_head] is made
    lengths = np.sqrt(np.clip(np.einsum("kd,de,ke->k", value, w_o @ w_o.T, value), 0, None))
    return Sources(weights, lengths, weights * (value @ (w_o @ geometry.unit(delta))))


# --------------------------------------------------------------------------------------------- all layers of one token


@dataclass(frozen=True, eq=False)
class StreamContributions:
    """Everything that was ever added to one token: `heads` [layer, head, d_model], `bias` and `mlp` [layer, d_model].

    `embedding` [d_model] is what it started with. In a decoder with cross-attention the heads of both calls stand side
    by side, its own first. `norms` [layer, d_model] is what the blocks' norms changed: zero for pre-norm and parallel
    blocks, where embedding + heads + bias + mlp is the last residual stream. `patches` [layer, d_model] is what patches
    of the stream or of attention added, zero in a plain pass.
    """

    embedding: Array
    heads: Array
    bias: Array
    mlp: Array
    norms: Array
    patches: Array

    def parts(self) -> Array:
        """All of them in a row, [part, d_model]: embedding, heads layer by layer, biases, MLPs, norms,
        patches."""
        rest = self.bias, self.mlp, self.norms, self.patches
        return np.concatenate([self.embedding[None], np.concatenate(self.heads), *rest])


def stream_contributions(
    stream: StreamTrace, token: int, *, progress: Callable[[float], None] | None = None
) -> StreamContributions:
    """Everything that every layer adds to a token, block by block."""
    blocks = []
    for layer in range(stream.n_layers):
        blocks.append(decompose_block(stream, layer, token))
        if progress is not None:
            progress((layer + 1) / stream.n_layers)

    nothing = np.zeros((1, len(blocks[0].embedding)), np.float32)

    def gather(kind: str) -> Array:
        found = [[p.vector for p in block.parts if p.kind == kind] for block in blocks]
        return np.stack([np.sum(vectors or nothing, axis=0) for vectors in found])  # [layer, d_model]

    # a list of heads a layer, each [d_model] → [layer, head, d_model]
    heads = np.stack([[part.vector for part in block.parts if part.kind == "head"] for block in blocks])
    return StreamContributions(blocks[0].embedding, heads, *map(gather, ("bias", "mlp", "norm", "patch")))
