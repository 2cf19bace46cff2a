"""What can be read of one stream's ΔE: what its heads add, W_O and W_V, and the sum over heads.

ΔE of a head is (pattern · value) · W_O, [query, d_model]; it goes on from `attention_readers`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attn_core import attention
from attn_core.attention import AttentionWeights
from attn_core.blocks import row_slices
from attn_core.errors import HeadlightError
from attn_core.precision import without_autocast
from attn_core.traces.attention_readers import AttentionReaders, as_array, as_numpy
from attn_core.traces.reader import Array
from attn_core.traces.wiring import HeadSlices


@dataclass(frozen=True, eq=False)
class DeltaReaders(AttentionReaders):
    """The readers of what the heads of a stream add."""

    def w_o(self, layer: int, head: int) -> Array:
        """The head's rows of the output matrix, the lesson's "value up": [d_head, d_model]."""
        return as_array(self._w_o(layer, head))

    def w_v(self, layer: int, head: int) -> Array:
        """The head's value matrix, the lesson's "value down": [d_model, d_head]; heads of one group share it.

        Raises HeadlightError where it could not be found.
        """
        found, model = self._layer(layer, head), self._source.module()
        if found.site.value is None:
            raise HeadlightError(f"In {self.family} models the values are not W·x alone, so there is no W_V to show.")
        self._require_unchanged(found.site.value)
        return as_array(found.site.value.of_head(model, head, found.call.n_heads)[0])

    @without_autocast()
    def delta_e(self, layer: int, head: int) -> Array:
        """What this head adds to every token, [query, d_model]: (pattern · value) · W_O. The bias is not in it.

        pattern · value is what the model's own attention returned; `check` computes it anew and compares.
        """
        weighted = self._call(layer, head).given_values(head)[0]  # [query, d_head]
        return as_array(weighted @ self._w_o(layer, head))

    @without_autocast()
    def delta_e_by_source(self, layer: int, head: int, query: int) -> Array:
        """One token's ΔE from a head, split by the word it came from: [key, d_model]; sums to that row of `delta_e`."""
        call = self._call(layer, head, query)
        if head in call.replaced and bool(call.replaced[head].rows[query]):
            raise HeadlightError(
                f"Head {layer}.{head} was switched off or patched in this pass, so its ΔE comes from no word."
            )
        value = call.heads(head)[2][0]  # [key, d_head]
        weights = torch.from_numpy(self.pattern_row(layer, head, query)).to(value)  # [key]
        return as_numpy(attention.delta_e_by_source(weights, value, self._w_o(layer, head)))

    @without_autocast()
    def heads_delta_e(self, layer: int, query: int) -> Array:
        """What every head of a layer adds to one token: [head, d_model]."""
        found = self._layer(layer, query=query)
        weighted = found.call.given_values(None)[:, query]  # [head, query, d_head] → [head, d_head]
        return as_array(found.heads_added(self._source.module(), weighted, query))

    @without_autocast()
    def delta_e_sizes(self, layer: int) -> Array:
        """‖ΔE‖ of every head and token of a layer: [head, query]."""
        found = self._layer(layer)
        heads = zip(found.call.given_values(None), found.w_o(self._source.module()), strict=True)
        return as_array(torch.stack([_sizes(weighted, w_o) for weighted, w_o in heads]))  # [head, query]

    def output_bias(self, layer: int) -> Array:
        """The output bias b_O, which belongs to no head: [d_model], zeros where the model has none."""
        bias = self._layer(layer).site.output.bias(self._source.module())
        return np.zeros(self.d_model, np.float32) if bias is None else as_array(bias)

    def attention_output(self, layer: int) -> Array:
        """Σ over heads of ΔE, plus the output bias, before any norm after attention: [query, d_model]."""
        return as_array(self._layer(layer).attention_output(self._source.module()))

    def projections(self, layer: int, head: int) -> AttentionWeights:
        """One head's matrices: W_Q, W_K, W_V [d_model, d_head], W_O [d_head, d_model] and biases, as tensors.

        Raises HeadlightError where W_Q and W_K could not be found: the model does more than multiply by them.
        """
        found, model = self._layer(layer, head), self._source.module()
        site, n_heads = found.site, found.call.n_heads
        if site.query is None or site.key is None or site.value is None:
            raise HeadlightError(
                f"In {self.family} models the queries and keys are not W·x alone (they are normalised on the way), "
                "so this starts from the captured q, k and v."
            )
        self._require_unchanged(site.query, site.key, site.value)
        w_q, b_q = site.query.of_head(model, head, n_heads)
        w_k, b_k = site.key.of_head(model, head, n_heads)
        w_v, b_v = site.value.of_head(model, head, n_heads)
        bias = site.output.bias(model)
        b_o = None if bias is None else bias.to(w_q)
        return AttentionWeights(w_q, w_k, w_v, found.w_o(model)[head].to(w_q), b_q, b_k, b_v, b_o)

    def _require_unchanged(self, *slices: HeadSlices) -> None:
        """Raise HeadlightError where the weights of projections are no longer those of the trace."""
        for name in {name for own in slices for name in own.linear.modules}:
            self._source.require_unchanged(name)

    def _w_o(self, layer: int, head: int) -> Tensor:
        self._layer(layer, head)  # which checks both
        return self._every_w_o(layer)[head]

    def _every_w_o(self, layer: int) -> Tensor:
        """The output matrix cut into heads, [head, d_head, d_model]: read once for them all, as each look checks it."""
        return self._layer(layer).w_o(self._source.module())


def _sizes(weighted: Tensor, w_o: Tensor) -> Tensor:
    """‖weighted · W_O‖ of every token, [query], a block of tokens at a time: [query, d_model] is never whole."""
    blocks = row_slices(len(weighted), w_o.shape[-1])
    return torch.cat([(weighted[rows] @ w_o).norm(dim=-1) for rows in blocks])
