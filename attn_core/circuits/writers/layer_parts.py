"""What the heads of a layer bring from every token to every token, computed for some queries and some keys at a time.

All of it at once has a vector for each pair of tokens, and value · W_O one for each head and token: of 8,192 tokens and
GPT-2's shape 400 GB, and 600 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from attn_core import blocks
from attn_core.circuits.writers.additions import frozen_norm
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.traces.attention_readers import as_array
from attn_core.traces.block import BlockKind
from attn_core.traces.stream import StreamTrace

Floats = NDArray[np.float64]
W = TypeVar("W", NDArray[np.float32], Floats)
FEWEST = 32  # queries at a time: value · W_O is made anew for each of these blocks


def every_weight(stream: StreamTrace, layer: int) -> Iterator[tuple[slice, Floats]]:
    """A layer's patterns in blocks of rows, (rows, [head, row, key]), 0 where a head was switched off."""
    for rows, block in stream.iter_patterns(layer):
        yield rows, _with_heads_off(stream, layer, rows, block.astype(np.float64))


def _with_heads_off(stream: StreamTrace, layer: int, rows: slice, weights: W) -> W:
    off = stream._layer(layer).call.replaced
    weights = weights.copy() if off else weights  # what a reader gave is read-only
    for head, replaced in off.items():
        weights[head, replaced.rows.numpy()[rows]] = 0
    return weights


@dataclass(frozen=True, eq=False)
class BroughtRows:
    """What the heads and the residual bring to some queries, `rows`, behind the norms that follow.

    `constant` [row, d_model] comes from no word: the output bias, what stands in the place of heads that were switched
    off, what comes from virtual tokens, and the norms' shifts. `total` [row, d_model] is the sum of all.
    """

    layer: LayerParts
    rows: slice
    weights: NDArray[np.float32]  # [head, row, key]
    constant: Floats
    total: Floats
    inner: FrozenNorm | None  # of attention's output, frozen at every one of these queries, where there is one
    outer: FrozenNorm | None  # the same of the sum behind the residual

    def from_words(self) -> Iterator[tuple[slice, Floats]]:
        """What the heads bring from some keys at a time, behind the norm of attention's output: [key, row, d_model]."""
        a_key = 2 * self.total.size  # float64, of which a cell is two of float32
        for keys in blocks.row_slices(len(self.layer.stream.tokens), a_key):
            each = self.weights[:, :, keys].transpose(2, 1, 0)  # [key, row, head]
            parts = each @ self.layer.moved(keys).transpose(1, 0, 2)  # · [key, head, d_model]
            yield keys, parts if self.inner is None else self.inner.part(parts)

    def with_residual(self) -> Iterator[tuple[slice, Floats]]:
        """The same with the residual, which each query brings itself, behind all norms: [key, row, d_model]."""
        for keys, parts in self.from_words():
            own = np.arange(max(keys.start, self.rows.start), min(keys.stop, self.rows.stop))
            parts[own - keys.start, own - self.rows.start] += self.layer.entered(own)
            yield keys, parts if self.outer is None else self.outer.part(parts)


@dataclass(frozen=True, eq=False)
class LayerParts:
    """What all heads of a layer bring from every token, and the bias [d_model]; `w_o` is [head, d_head, d_model]."""

    stream: StreamTrace
    layer: int
    w_o: Floats
    bias: Floats

    @classmethod
    def of(cls, stream: StreamTrace, layer: int) -> LayerParts:
        w_o = as_array(stream._every_w_o(layer)).astype(np.float64)
        return cls(stream, layer, w_o, stream.output_bias(layer).astype(np.float64))

    def moved(self, keys: slice) -> Floats:
        """value · W_O of some keys, [head, key, d_model]; keys that stand for no word come after the words."""
        return self._values(keys) @ self.w_o

    def _values(self, keys: slice) -> Floats:
        """Some keys' values, [head, key, d_head]."""
        values = as_array(self.stream._layer(self.layer).call.value[:, keys]).astype(np.float64)  # [group, key, d_head]
        return values.repeat(len(self.w_o) // len(values), axis=0)

    def entered(self, rows: slice | NDArray[np.int_]) -> Floats:
        """Some rows of the stream that enters the layer, [row, d_model]."""
        return as_array(self.stream._around("embedding", self.layer)[rows]).astype(np.float64)

    def blocks(self) -> Iterator[BroughtRows]:
        """What is brought to every query, some of them at a time."""
        n = len(self.stream.tokens)
        step = max(FEWEST, blocks.CELLS // (n * self.stream.n_heads))
        for start in range(0, n, step):
            yield self.to(slice(start, min(start + step, n)))

    def to(self, rows: slice) -> BroughtRows:
        """What is brought to some queries, one after the other."""
        stream, layer, n = self.stream, self.layer, len(self.stream.tokens)
        weights = _with_heads_off(stream, layer, rows, stream.patterns(layer, rows))  # [head, row, key]
        output, constant = self._from_words(weights[..., :n]), self._from_no_word(rows, weights)
        inner = outer = None
        if stream.block(layer).changes_sum:
            inner = frozen_norm(partial(stream.block_norm, layer, "attention"), output + constant)
            output, constant = inner.part(output), inner.whole(constant)
        total = output + constant + self.entered(rows)
        if stream.block(layer) is BlockKind.POST_NORM:
            outer = frozen_norm(partial(stream.block_norm, layer, "attention"), total)
            total, constant = outer.whole(total), outer.whole(constant)
        return BroughtRows(self, rows, weights, constant, total, inner, outer)

    def _from_words(self, weights: NDArray[np.float32]) -> Floats:
        """What the heads bring from all words, by their weights [head, row, key]: [row, d_model]."""
        n_heads, n_rows, n_keys = weights.shape
        d_head = self.w_o.shape[1]
        given = np.zeros((n_heads, n_rows, d_head))
        for keys in blocks.row_slices(n_keys, 2 * n_heads * max(n_rows, d_head)):
            given += weights[:, :, keys].astype(np.float64) @ self._values(keys)
        total: Floats = np.einsum("hrv,hvd->rd", given, self.w_o, optimize=True)
        return total

    def _from_no_word(self, rows: slice, weights: NDArray[np.float32]) -> Floats:
        """What comes from no word, before any norm: [row, d_model]."""
        stream, n = self.stream, len(self.stream.tokens)
        constant = np.tile(self.bias, (rows.stop - rows.start, 1))
        for head, replaced in stream._layer(self.layer).call.replaced.items():
            put = replaced.rows.numpy()[rows]
            constant[put] += stream.delta_e(self.layer, head)[rows][put]
        if weights.shape[2] > n:  # virtual tokens; "no word" brings nothing
            constant += np.einsum("hqk,hkd->qd", weights[..., n:], self.moved(slice(n, weights.shape[2])))
        return constant

    def sizes(self) -> Floats:
        """How long what each head brings is, before any norm: [head, query, key]."""
        n = len(self.stream.tokens)
        keys = blocks.row_slices(n, self.stream.n_heads * self.w_o.shape[-1])
        far = np.concatenate([np.linalg.norm(self.moved(some), axis=2) for some in keys], axis=1)[:, None]
        each = [weights[..., :n] * far for _, weights in every_weight(self.stream, self.layer)]
        return np.concatenate(each, axis=1)
