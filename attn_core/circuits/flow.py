"""The flow behind one word: how much of it came from which input word, through all layers below.

In a layer each token's new vector is a sum: what was brought from every token, with the residual from itself, and a
bias. Its share is the weight of an edge, and the flow is the product of all layers' edges:

    rollout   half the mean pattern of the heads and half the residual
    norms     ‖F_i(x_j)‖ of what was brought, ΔE of all heads and the residual together, behind a LayerNorm
    alti      how much nearer to the whole each part brings: max(0, ‖y_i‖₁ − ‖y_i − F_i(x_j)‖₁)

None of them sees inside the MLP: what it adds counts as its token's own.

Sources: Abnar & Zuidema 2020 (rollout); Kobayashi et al. 2020, 2021 (norms); Ferrando et al. 2022 (ALTI).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from attn_core.blocks import row_slices
from attn_core.circuits.writers.additions import Floats, frozen_norm
from attn_core.errors import DoesNotAddUp, HeadlightError, check_index
from attn_core.options import check_choice
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.tolerances import SMALLEST
from attn_core.traces import parity
from attn_core.traces.attention_readers import as_array
from attn_core.traces.block import BlockKind
from attn_core.traces.stream import StreamTrace

FLOW_MEASURES = ("rollout", "norms", "alti")


@dataclass(frozen=True, eq=False)
class Flow:
    """The edges of every layer, `edges` [layer, query, key + 1]; the last column is "bias and shift".

    Rows sum to 1. A row in which no part is positive is NaN, "undefined", and so is every flow that goes through it.
    """

    measure: str
    edges: Floats

    def behind(self, layer: int) -> Floats:
        """The share of every input word in every token as it enters a layer (the last: as it leaves): [token, key + 1].

        Raises IndexError for a layer that is not there.
        """
        check_index("layer", layer, len(self.edges) + 1)
        n = self.edges.shape[1]
        whole = np.concatenate([np.eye(n), np.zeros((n, 1))], axis=1)  # [token, input word + 1]
        for edges in self.edges[:layer]:
            whole = carried_down(edges, whole)
        return whole

    def reach(self, query: int, layer: int) -> Floats:
        """What every token at every place below brings to one token as it enters a layer: [layer + 1, token + 1].

        Row n are the tokens as they enter layer n; the last row is the token itself.
        """
        check_index("layer", layer, len(self.edges) + 1)
        n = self.edges.shape[1]
        check_index("query", query, n)
        rows = [np.eye(n + 1)[query]]
        for edges in self.edges[:layer][::-1]:
            above = rows[0]
            below = carried_down(above[None], edges)[0]
            rows.insert(0, below)
        return np.stack(rows)


def flow(stream: StreamTrace, measure: str = "alti", *, progress: Callable[[float], None] | None = None) -> Flow:
    """The flow of one stream by one measure: "rollout", "norms" or "alti".

    Raises ValueError for another measure, HeadlightError for a decoder with an encoder beside it, whose words come from
    two sentences, and DoesNotAddUp where the parts miss the stream after attention.
    """
    check_choice("measure", measure, FLOW_MEASURES)
    edges = []
    for layer in range(stream.n_layers):
        edges.append(layer_edges(stream, layer, (measure,))[measure])
        if progress is not None:
            progress((layer + 1) / stream.n_layers)
    return Flow(measure, np.stack(edges))


def layer_edges(
    stream: StreamTrace, layer: int, measures: Sequence[str], parts: LayerParts | None = None
) -> dict[str, Floats]:
    """The edges of one layer, [query, key + 1], by each of some measures, from its `parts` where they are there.

    Raises what `flow` raises.
    """
    if stream.name in ("decoder", "cross"):
        raise HeadlightError(
            "A decoder's words come from two sentences, which this flow does not follow: ask the encoder."
        )
    found: dict[str, Floats] = {}
    if "rollout" in measures:
        found["rollout"] = np.concatenate([*_rollout(stream, layer)])
    others = [measure for measure in measures if measure != "rollout"]
    if others:
        blocks = [*_edges(parts or LayerParts.of(stream, layer), others)]  # of each: by measure, [query, key + 1]
        found |= {measure: np.concatenate([block[measure] for block in blocks]) for measure in others}
    return {measure: found[measure] for measure in measures}


def disagreement(one: Floats, other: Floats) -> float:
    """How far two flows [word] of one token are apart: ½ Σ|difference|, 0 for equal ones, 1 for those without overlap.

    >>> disagreement(np.array([1.0, 0.0]), np.array([0.25, 0.75]))
    0.75
    """
    return float(np.abs(one - other).sum()) / 2


def carried_down(edges: Floats, below: Floats) -> Floats:
    """One layer's edges, or amounts, [row, token + 1] over what is below [token, column]; the last column stays.

    A row that reads an undefined row is undefined; one that does not read it is not touched by it.
    """
    n = edges.shape[1] - 1
    undefined = np.isnan(below[:n]).any(axis=1)
    result = edges[:, :n] @ np.nan_to_num(below[:n])
    result[:, -1] += edges[:, -1]
    result[((np.nan_to_num(edges[:, :n]) != 0) & undefined).any(axis=1)] = np.nan
    return result


def _weights(stream: StreamTrace, layer: int) -> Iterator[tuple[slice, Floats]]:
    """A layer's patterns in blocks of rows, (rows, [head, row, key]), 0 where a head was switched off."""
    off = stream._layer(layer).call.replaced
    for rows, block in stream.iter_patterns(layer):
        weights = block.astype(np.float64)
        for head, replaced in off.items():
            weights[head, replaced.rows.numpy()[rows]] = 0
        yield rows, weights


def _rollout(stream: StreamTrace, layer: int) -> Iterator[Floats]:
    """Half the heads' mean pattern, half the residual; the bias stands in for heads that are off. Blocks of queries."""
    n = len(stream.tokens)
    for rows, weights in _weights(stream, layer):
        words = weights[..., :n]  # what goes to other keys comes from no word
        halves = words.mean(axis=0) / 2 + np.eye(words.shape[1], n, k=rows.start) / 2
        yield np.concatenate([halves, np.maximum(1 - halves.sum(axis=1, keepdims=True), 0)], axis=1)


def _edges(attention: LayerParts, measures: Sequence[str]) -> Iterator[dict[str, Floats]]:
    """The shares of one layer by "norms" or "alti", [query, key + 1] each, in blocks of queries."""
    stream, layer = attention.stream, attention.layer
    entered, after = stream.embedding(layer).astype(np.float64), stream.after_attention(layer).astype(np.float64)
    outer, largest = attention.norm_behind(stream, layer, entered), np.abs(after).max()
    for rows, parts, constant in attention.each_brought():
        queries = np.arange(rows.start, rows.stop)
        parts[np.arange(len(queries)), queries] += entered[rows]
        whole = np.concatenate([parts, constant[:, None]], axis=1)  # [query, key + 1, d_model]
        if outer is not None:
            whole = _part(outer, whole, rows)
            whole[:, -1] += outer.shift
        total = whole.sum(axis=1)  # [query, d_model]
        if not np.abs(total - after[rows]).max() <= 10 * parity.TOLERANCE * largest:
            raise DoesNotAddUp(f"In layer {layer} the parts miss the stream after attention, so no flow is given.")
        yield {measure: _shares(whole, total, measure) for measure in measures}


@dataclass(frozen=True, eq=False)
class LayerParts:
    """What all heads of a layer bring from every token to every token, and the bias.

    `moved` [head, key, d_model] is value · W_O, `inner` the norm of attention's output, frozen at every token, where
    there is one; patterns are made a block of rows at a time. `constant` [query, d_model] is the output bias, what
    stands in the place of heads that were switched off, and what comes from virtual tokens: it comes from no word.
    """

    stream: StreamTrace
    layer: int
    moved: Floats
    constant: Floats
    inner: FrozenNorm | None

    @classmethod
    def of(cls, stream: StreamTrace, layer: int) -> LayerParts:
        n = len(stream.tokens)
        values = np.stack([stream.value(layer, head) for head in range(stream.n_heads)])  # [head, key, d_head]
        w_o = as_array(stream._every_w_o(layer)).astype(np.float64)  # [head, d_head, d_model]
        moved = values.astype(np.float64) @ w_o  # [head, key, d_model]
        constant = np.tile(stream.output_bias(layer).astype(np.float64), (n, 1))
        for head, replaced in stream._layer(layer).call.replaced.items():
            rows = replaced.rows.numpy()
            constant[rows] += stream.delta_e(layer, head)[rows]
        if moved.shape[1] > n:  # virtual tokens; "no word" brings nothing
            for some, weights in _weights(stream, layer):
                constant[some] += np.einsum("hqk,hkd->qd", weights[..., n:], moved[:, n:])
        own = cls(stream, layer, moved[:, :n], constant, None)
        if not stream.block(layer).changes_sum:
            return own
        return replace(own, inner=frozen_norm(partial(stream.block_norm, layer, "attention"), own._output()))

    def brought(self, query: int) -> tuple[Floats, Floats]:
        """(what comes from every token [key, d_model], what comes from no token [d_model]) to one token."""
        row = slice(query, query + 1)
        weights = self.stream.patterns(self.layer, row).astype(np.float64)  # [head, 1, key]
        for head, replaced in self.stream._layer(self.layer).call.replaced.items():
            weights[head] *= not replaced.rows[query]
        parts, constant = self._brought(row, weights)
        return parts[0], constant[0]

    def each_brought(self) -> Iterator[tuple[slice, Floats, Floats]]:
        """The same of all tokens, in blocks: (queries, [query, key, d_model], [query, d_model])."""
        for block, weights in _weights(self.stream, self.layer):
            for some in row_slices(weights.shape[1], 8 * self.moved[0].size):  # a megabyte, which a cache still holds
                rows = slice(block.start + some.start, block.start + some.stop)
                yield rows, *self._brought(rows, weights[:, some])

    def _brought(self, rows: slice, weights: Floats) -> tuple[Floats, Floats]:
        words = weights[..., : self.moved.shape[1]].transpose(2, 1, 0)  # [head, query, key] → [key, query, head]
        by_key = words @ self.moved.transpose(1, 0, 2)  # [key, query, head] · [key, head, d_model]
        parts, constant = by_key.transpose(1, 0, 2), self.constant[rows]  # → [query, key, d_model]
        if self.inner is None:
            return parts, constant
        return _part(self.inner, parts, rows), _part(self.inner, constant[:, None], rows)[:, 0] + self.inner.shift

    def sizes(self) -> Floats:
        """How long what each head brings is, before any norm: [head, query, key]."""
        far = np.linalg.norm(self.moved, axis=2)[:, None]  # [head, 1, key]
        blocks = [weights[..., : far.shape[2]] * far for _, weights in _weights(self.stream, self.layer)]
        return np.concatenate(blocks, axis=1)

    def norm_behind(self, stream: StreamTrace, layer: int, entered: Floats) -> FrozenNorm | None:
        """The LayerNorm behind the residual, frozen at every token, where there is one."""
        if stream.block(layer) is not BlockKind.POST_NORM:
            return None
        return frozen_norm(partial(stream.block_norm, layer, "attention"), entered + self._output())

    def _output(self) -> Floats:
        n = self.moved.shape[1]
        output = self.constant.copy()  # [query, d_model]
        for rows, weights in _weights(self.stream, self.layer):
            for own, moved in zip(weights, self.moved, strict=True):
                output[rows] += own[:, :n] @ moved  # [row, key] · [key, d_model]
        return output


def _part(norm: FrozenNorm, vectors: Floats, rows: slice) -> Floats:
    """What a norm that is frozen at every token makes of parts of some tokens, [query, part, d_model]."""
    return FrozenNorm(norm.scale[rows, None], norm.shift, norm.centred).part(vectors)


def _shares(parts: Floats, total: Floats, measure: str) -> Floats:
    """Each part's share of its token, [query, part], of parts [query, part, d_model]; NaN where none is positive."""
    if measure == "norms":
        sizes = np.linalg.norm(parts, axis=2)
    else:
        away = np.abs(total[:, None] - parts).sum(axis=2)
        sizes = np.maximum(np.abs(total).sum(axis=1, keepdims=True) - away, 0)
    whole = sizes.sum(axis=1, keepdims=True)  # [query, 1]
    shares: Floats = np.divide(sizes, whole, out=np.full(sizes.shape, np.nan), where=whole > SMALLEST)
    return shares
