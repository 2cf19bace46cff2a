"""A trace's readers of one stream by its name.

`trace.pattern(0, 3, stream="cross")` is `trace.stream("cross").pattern(0, 3)`.
Each is explained where it is computed, in `attention_readers`, `delta_readers` and `stream`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from attn_core.attention import AttentionWeights
from attn_core.traces.block import BlockKind
from attn_core.traces.reader import Array, Flags
from attn_core.traces.stream import StreamTrace


class NamedStreamReaders:
    """Readers that take the stream's name; a model with one stream needs none."""

    def stream(self, name: str | None = None) -> StreamTrace:
        """One stream as a value."""
        raise NotImplementedError

    def query(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The queries as they were scored, so after any rotation: [query, d_head]."""
        return self.stream(stream).query(layer, head)

    def key(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The keys as they were scored: [key, d_head]. Heads of one group share them."""
        return self.stream(stream).key(layer, head)

    def value(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The values in the small space, before W_O: [key, d_head]."""
        return self.stream(stream).value(layer, head)

    def key_group(self, layer: int, head: int, *, stream: str | None = None) -> tuple[int, ...]:
        """The heads that share one key and one value, this one among them: (6, 7, 8); itself alone in most models."""
        return self.stream(stream).key_group(layer, head)

    def raw_scores(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """q·k alone, [query, key]: no scale, no bias, no mask."""
        return self.stream(stream).raw_scores(layer, head)

    def scores(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """What the softmax gets, [query, key]: scale, soft cap and position bias in, masked cells −∞."""
        return self.stream(stream).scores(layer, head)

    def pattern(self, layer: int, head: int, rows: slice | None = None, *, stream: str | None = None) -> Array:
        """The attention pattern of a head, [query, key], or `rows` of it, [row, key]; every row sums to 1."""
        return self.stream(stream).pattern(layer, head, rows)

    def segment_shares(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """Of a pair: the shares of attention from each segment to each, [[A→A, A→B], [B→A, B→B]]."""
        return self.stream(stream).segment_shares(layer, head)

    def pattern_row(self, layer: int, head: int, query: int, *, stream: str | None = None) -> Array:
        """One row of a pattern, [key], computed without the others; sums to 1."""
        return self.stream(stream).pattern_row(layer, head, query)

    def patterns(self, layer: int, rows: slice | None = None, *, stream: str | None = None) -> Array:
        """The attention patterns of all heads of a layer, [head, query, key], or `rows` of them, [head, row, key]."""
        return self.stream(stream).patterns(layer, rows)

    def iter_patterns(self, layer: int, *, stream: str | None = None) -> Iterator[tuple[slice, Array]]:
        """The patterns of a layer in blocks of rows, (rows, [head, row, key]), for sentences too long for a square."""
        return self.stream(stream).iter_patterns(layer)

    def may_look(self, layer: int, rows: slice | None = None, *, stream: str | None = None) -> Flags:
        """Which query may look at which key, bool [query, key], or `rows` of it, [row, key]."""
        return self.stream(stream).may_look(layer, rows)

    def scaling(self, layer: int, *, stream: str | None = None) -> float:
        """What q·k is multiplied by in the attention function: 1/√d_head, or 1 where a model scales elsewhere."""
        return self.stream(stream).scaling(layer)

    def scaled_before(self, layer: int, *, stream: str | None = None) -> float:
        """What the queries themselves were multiplied by, where a model scales them and not the scores; 1 in most."""
        return self.stream(stream).scaled_before(layer)

    def soft_cap(self, layer: int, *, stream: str | None = None) -> float | None:
        """The bound that scores are squeezed into, or None."""
        return self.stream(stream).soft_cap(layer)

    def position_bias(self, layer: int, head: int, *, stream: str | None = None) -> Array | None:
        """What a relative position adds to the scores of a head, [query, key], or None; 0 where a key is no word."""
        return self.stream(stream).position_bias(layer, head)

    def learnt_score(self, layer: int, head: int, *, stream: str | None = None) -> float | None:
        """The score that a head has learnt for looking at no word, which its last key gets; None where it has none."""
        return self.stream(stream).learnt_score(layer, head)

    def weighted_values(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """What the model's own attention returned for a head, its pattern · value before W_O: [query, d_head]."""
        return self.stream(stream).weighted_values(layer, head)

    def w_o(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The head's rows of the output matrix, the lesson's "value up": [d_head, d_model]."""
        return self.stream(stream).w_o(layer, head)

    def w_v(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The head's value matrix, the lesson's "value down": [d_model, d_head]; heads of one group share it."""
        return self.stream(stream).w_v(layer, head)

    def delta_e(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """What this head adds to every token, [query, d_model]: (pattern · value) · W_O. The bias is not in it."""
        return self.stream(stream).delta_e(layer, head)

    def delta_e_by_source(self, layer: int, head: int, query: int, *, stream: str | None = None) -> Array:
        """One token's ΔE from a head, split by the word it came from: [key, d_model]; sums to that row of `delta_e`."""
        return self.stream(stream).delta_e_by_source(layer, head, query)

    def heads_delta_e(self, layer: int, query: int, *, stream: str | None = None) -> Array:
        """What every head of a layer adds to one token: [head, d_model]."""
        return self.stream(stream).heads_delta_e(layer, query)

    def delta_e_sizes(self, layer: int, *, stream: str | None = None) -> Array:
        """‖ΔE‖ of every head and token of a layer: [head, query]."""
        return self.stream(stream).delta_e_sizes(layer)

    def output_bias(self, layer: int, *, stream: str | None = None) -> Array:
        """The output bias b_O, which belongs to no head: [d_model], zeros where the model has none."""
        return self.stream(stream).output_bias(layer)

    def attention_output(self, layer: int, *, stream: str | None = None) -> Array:
        """Σ over heads of ΔE, plus the output bias, before any norm after attention: [query, d_model]."""
        return self.stream(stream).attention_output(layer)

    def projections(self, layer: int, head: int, *, stream: str | None = None) -> AttentionWeights:
        """One head's matrices: W_Q, W_K, W_V [d_model, d_head], W_O [d_head, d_model] and biases, as tensors."""
        return self.stream(stream).projections(layer, head)

    def block(self, layer: int, *, stream: str | None = None) -> BlockKind:
        """How the block adds: "pre-norm", "post-norm", "parallel" (with MLP), "norm-after" (norm(ΣΔE)) or "scaled"."""
        return self.stream(stream).block(layer)

    def embedding(self, layer: int, *, stream: str | None = None) -> Array:
        """E, the residual stream that enters a layer: [token, d_model]. Layer `n_layers` is what leaves the last."""
        return self.stream(stream).embedding(layer)

    def attention_input(self, layer: int, *, stream: str | None = None) -> Array:
        """x, what W_Q is multiplied with: E after the norm in pre-norm blocks, E itself in post-norm ones."""
        return self.stream(stream).attention_input(layer)

    def attention_memory(self, layer: int, *, stream: str | None = None) -> Array:
        """What W_K and W_V are multiplied with: x itself, or in "cross" what the encoder left. [key, d_model]"""
        return self.stream(stream).attention_memory(layer)

    def attention_added(self, layer: int, *, stream: str | None = None) -> Array:
        """What attention really adds to the residual stream: its output, or the norm of it. [query, d_model]"""
        return self.stream(stream).attention_added(layer)

    def after_attention(self, layer: int, *, stream: str | None = None) -> Array:
        """The stream after attention, and after its LayerNorm in post-norm blocks: [query, d_model]."""
        return self.stream(stream).after_attention(layer)

    def mlp_added(self, layer: int, *, stream: str | None = None) -> Array:
        """What the MLP adds to the residual stream, after its own norm where it has one: [query, d_model]."""
        return self.stream(stream).mlp_added(layer)

    def tensors(self, layer: int, *, stream: str | None = None) -> Mapping[str, Tensor]:
        """What is kept of a layer, by name, without a copy: torch tensors in float32, where the model is."""
        return self.stream(stream).tensors(layer)

    def final_embedding(self, *, stream: str | None = None) -> Array:
        """What the model's last layer says of every token, after any final norm: [query, d_model]."""
        return self.stream(stream).final_embedding()

    def block_norm(self, layer: int, after: str, vectors: Array, *, stream: str | None = None) -> Array:
        """What a block's own norm makes of vectors [..., d_model], with the model's weights."""
        return self.stream(stream).block_norm(layer, after, vectors)

    def final_norm(self, vectors: Array, *, stream: str | None = None) -> Array:
        """What the norm after the last block makes of vectors [..., d_model]; the same where there is no such norm."""
        return self.stream(stream).final_norm(vectors)
