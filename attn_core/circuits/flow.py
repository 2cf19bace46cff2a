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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attn_core.circuits.writers.layer_parts import LayerParts, every_weight
from attn_core.errors import DoesNotAddUp, HeadlightError, check_index
from attn_core.options import check_choice
from attn_core.tolerances import SMALLEST
from attn_core.traces import parity
from attn_core.traces.attention_readers import as_array
from attn_core.traces.stream import StreamTrace

Floats = NDArray[np.float64]
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
    n = len(stream.tokens)
    edges = np.empty((stream.n_layers, n, n + 1))
    for layer in range(stream.n_layers):
        _fill(stream, layer, {measure: edges[layer]})
        if progress is not None:
            progress((layer + 1) / stream.n_layers)
    return Flow(measure, edges)


def layer_edges(
    stream: StreamTrace, layer: int, measures: Sequence[str], parts: LayerParts | None = None
) -> dict[str, Floats]:
    """The edges of one layer, [query, key + 1], by each of some measures, from its `parts` where they are there.

    Raises what `flow` raises.
    """
    n = len(stream.tokens)
    edges = {measure: np.empty((n, n + 1)) for measure in measures}
    _fill(stream, layer, edges, parts)
    return edges


def _fill(stream: StreamTrace, layer: int, edges: Mapping[str, Floats], parts: LayerParts | None = None) -> None:
    """Write the edges of one layer, [query, key + 1], by each measure, a block of queries at a time."""
    if stream.name in ("decoder", "cross"):
        raise HeadlightError(
            "A decoder's words come from two sentences, which this flow does not follow: ask the encoder."
        )
    if "rollout" in edges:
        for rows, own in _rollout(stream, layer):
            edges["rollout"][rows] = own
    others = [measure for measure in edges if measure != "rollout"]
    if others:
        for rows, shares in _edges(parts or LayerParts.of(stream, layer), others):
            for measure, own in shares.items():
                edges[measure][rows] = own


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


def _rollout(stream: StreamTrace, layer: int) -> Iterator[tuple[slice, Floats]]:
    """Half the heads' mean pattern, half the residual; the bias stands in for heads that are off. Blocks of queries."""
    n = len(stream.tokens)
    for rows, weights in every_weight(stream, layer):
        words = weights[..., :n]  # what goes to other keys comes from no word
        halves = words.mean(axis=0) / 2 + np.eye(words.shape[1], n, k=rows.start) / 2
        yield rows, np.concatenate([halves, np.maximum(1 - halves.sum(axis=1, keepdims=True), 0)], axis=1)


def _edges(attention: LayerParts, measures: Sequence[str]) -> Iterator[tuple[slice, dict[str, Floats]]]:
    """The shares of one layer by "norms" or "alti", [query, key + 1] each, in blocks of queries."""
    stream, layer = attention.stream, attention.layer
    after = stream._around("after", layer)  # [query, d_model], of which a block's rows are copied
    largest = float(max(after.max(), -after.min()))
    for brought in attention.blocks():
        missed = np.abs(brought.total - as_array(after[brought.rows])).max()
        if not missed <= 10 * parity.TOLERANCE * largest:
            raise DoesNotAddUp(f"In layer {layer} the parts miss the stream after attention, so no flow is given.")
        sizes = {measure: np.empty((len(brought.total), len(stream.tokens) + 1)) for measure in measures}
        for keys, parts in brought.with_residual():
            for measure, own in sizes.items():
                own[:, keys] = _sizes(parts, brought.total, measure).T
        for measure, own in sizes.items():
            own[:, -1] = _sizes(brought.constant, brought.total, measure)
        rows = brought.rows
        del brought  # before the weights of the next block are made
        yield rows, {measure: _shares(own) for measure, own in sizes.items()}


def _sizes(parts: Floats, total: Floats, measure: str) -> Floats:
    """How much parts [..., row, d_model] count in the whole [row, d_model] of their token: [..., row]."""
    if measure == "norms":
        lengths: Floats = np.sqrt(np.einsum("...d,...d->...", parts, parts))
        return lengths
    left = total - parts
    nearer: Floats = np.abs(total).sum(axis=-1) - np.abs(left, out=left).sum(axis=-1)
    return nearer.clip(min=0)


def _shares(sizes: Floats) -> Floats:
    """Each part's share of its token, [query, part]; NaN where none is positive."""
    whole = sizes.sum(axis=1, keepdims=True)  # [query, 1]
    shares: Floats = np.divide(sizes, whole, out=np.full(sizes.shape, np.nan), where=whole > SMALLEST)
    return shares
