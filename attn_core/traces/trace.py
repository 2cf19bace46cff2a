"""A trace: what one forward pass left behind. Patterns and ΔE are computed from it when somebody asks.

Kept are the small things, q, k, v and a few rows of the residual stream, so a trace grows with the sentence and not
with its square. Everything a reader returns is computed by `attention` from what the model itself produced, and
`Trace.check` says how far it is from tensors that left the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from textwrap import shorten

import torch

from attn_core.attention import AttentionWeights
from attn_core.text.tokens import Tokens
from attn_core.traces import parity
from attn_core.traces.block import BlockKind
from attn_core.traces.layer import Layer
from attn_core.traces.parity import Parity
from attn_core.traces.reader import Array, Flags
from attn_core.traces.source import Source, Vocabulary
from attn_core.traces.stream import StreamTrace, size_of


@dataclass(frozen=True, eq=False)
class Trace:
    """What one forward pass left behind: one stream, or the three of an encoder-decoder.

    `trace.stream(name)` is a stream as a value. Every reader of `StreamTrace` stands here too, and hands on to the
    stream that it is asked for; a model with one stream *is* its stream, an encoder-decoder always needs `stream=`.
    """

    model_name: str
    family: str
    kind: str  # "encoder", "decoder" or "encoder-decoder"
    _streams: Mapping[str, StreamTrace]
    _source: Source

    def __repr__(self) -> str:
        sizes = (f"{own.n_layers} × {own.n_heads} {name} heads" for name, own in self._streams.items())
        said = shorten(self._streams[self.streams[0]].tokens.text, 60, placeholder=" …")
        return f"<Trace of {said!r} in {self.model_name}: {', '.join(sizes)}>"

    # --- What was read -------------------------------------------------------------------------------------------

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams' names: ("self",), or ("encoder", "decoder", "cross")."""
        return tuple(self._streams)

    def stream(self, name: str | None = None) -> StreamTrace:
        """One stream as a value; a model with one needs no name. Raises ValueError, naming the choices, otherwise."""
        if name is None and len(self._streams) == 1:
            name = self.streams[0]
        if name is None or name not in self._streams:
            raise ValueError(f"stream must be one of {', '.join(map(repr, self.streams))}; got {name!r}")
        return self._streams[name]

    @property
    def tokens(self) -> Tokens:
        """The tokens of a model with one stream; `tokens_of` has those of an encoder-decoder."""
        return self.stream().tokens

    def tokens_of(self, stream: str | None) -> tuple[Tokens, Tokens]:
        """(query tokens, key tokens) of a stream: they differ in "cross"."""
        own = self.stream(stream)
        return own.tokens, own.key_tokens

    @property
    def n_layers(self) -> int:
        return self.stream().n_layers

    def n_layers_of(self, stream: str | None) -> int:
        """How many attention calls a stream has; an encoder and its decoder may differ."""
        return self.stream(stream).n_layers

    @property
    def n_heads(self) -> int:
        return self._size("head", lambda own: own.n_heads)

    def n_heads_of(self, stream: str | None) -> int:
        """How many heads a layer of a stream has; an encoder and its decoder may differ."""
        return self.stream(stream).n_heads

    @property
    def d_head(self) -> int:
        return self._size("d_head", lambda own: own.d_head)

    @property
    def d_model(self) -> int:
        return self._size("d_model", lambda own: own.d_model)

    def _size(self, axis: str, read: Callable[[StreamTrace], int]) -> int:
        return size_of(axis, [read(own) for own in self._streams.values()])

    def _all_layers(self) -> list[Layer]:
        return [layer for own in self._streams.values() for layer in own._layers]

    @property
    def n_bytes(self) -> int:
        """What this trace keeps in memory, every storage counted once."""
        tensors = [t for layer in self._all_layers() for t in layer.tensors()]
        return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())

    @torch.inference_mode()
    def check(self) -> Parity:
        """How far these numbers are from tensors that left the model; computed anew from the model's weights."""
        return parity.check(self._all_layers(), self._source.module())

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's words as vectors; raises HeadlightError where they do not live in the residual stream."""
        return self._source.vocabulary()

    def logits(self, position: int | None = None) -> Array:
        """The model's scores for the next word after a position, or after the last one: [word].

        Causal models and decoders only.
        """
        return self.stream("decoder" if self.kind == "encoder-decoder" else None).logits(position)

    def read_words(self, vectors: Array) -> Array:
        """Logits that the model's own head gives to final embeddings: [..., d_model] → [..., word]."""
        return self._streams[self.streams[0]].read_words(vectors)

    # --- Readers of one stream, as `StreamTrace` explains them ---------------------------------------------------

    def query(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The queries as they were scored, so after any rotation: [query, d_head]."""
        return self.stream(stream).query(layer, head)

    def key(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The keys as they were scored: [key, d_head]. Heads of one group share them."""
        return self.stream(stream).key(layer, head)

    def value(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The values in the small space, before W_O: [key, d_head]."""
        return self.stream(stream).value(layer, head)

    def raw_scores(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """q·k alone, [query, key]: no scale, no bias, no mask."""
        return self.stream(stream).raw_scores(layer, head)

    def scores(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """What the softmax gets, [query, key]: scale, soft cap and position bias in, masked cells −∞."""
        return self.stream(stream).scores(layer, head)

    def pattern(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The attention pattern of a head, [query, key]; every row sums to 1."""
        return self.stream(stream).pattern(layer, head)

    def pattern_row(self, layer: int, head: int, query: int, *, stream: str | None = None) -> Array:
        """One row of a pattern, [key], computed without the others; sums to 1."""
        return self.stream(stream).pattern_row(layer, head, query)

    def patterns(self, layer: int, *, stream: str | None = None) -> Array:
        """The attention patterns of all heads of a layer, [head, query, key]."""
        return self.stream(stream).patterns(layer)

    def may_look(self, layer: int, *, stream: str | None = None) -> Flags:
        """Which query may look at which key, bool [query, key]."""
        return self.stream(stream).may_look(layer)

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
        """What a relative position adds to the scores of a head, [query, key], or None."""
        return self.stream(stream).position_bias(layer, head)

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
        """How the block adds: "pre-norm", "post-norm", "parallel" (with the MLP) or "norm-after" (norm(ΣΔE))."""
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

    def final_embedding(self, *, stream: str | None = None) -> Array:
        """What the model's last layer says of every token, after any final norm: [query, d_model]."""
        return self.stream(stream).final_embedding()

    def block_norm(self, layer: int, after: str, vectors: Array, *, stream: str | None = None) -> Array:
        """What a block's own norm makes of vectors [..., d_model], with the model's weights."""
        return self.stream(stream).block_norm(layer, after, vectors)

    def final_norm(self, vectors: Array, *, stream: str | None = None) -> Array:
        """What the norm after the last block makes of vectors [..., d_model]; the same where there is no such norm."""
        return self.stream(stream).final_norm(vectors)
