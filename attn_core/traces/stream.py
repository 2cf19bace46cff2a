"""One stream of a trace as a value: everything that can be read of its layers and heads.

A stream is one stack of attention calls: "self" in a model with one stack; "encoder", "decoder" and "cross" (the calls
from the decoder to the encoder) in a model with two. `Trace` says which there are; here is how each is read.

Axes are always layer, head, query, key, d_head, d_model, counted from 0; `layer` is the order of the attention calls.
Readers return fresh float32 arrays, and raise IndexError, naming the range, for an index that is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attn_core import attention
from attn_core.attention import AttentionWeights
from attn_core.errors import HeadlightError, check_index
from attn_core.text.tokens import Tokens
from attn_core.traces import parity
from attn_core.traces.block import BlockKind
from attn_core.traces.layer import Call, Layer
from attn_core.traces.parity import Parity
from attn_core.traces.reader import Array, Flags
from attn_core.traces.source import Source, Vocabulary


@dataclass(frozen=True, eq=False)
class StreamTrace:
    """What one forward pass left behind of one stream.

    `tokens` are those of the queries, `key_tokens` those that are looked at; they differ in "cross".
    """

    name: str
    model_name: str
    family: str
    kind: str  # of the model: "encoder", "decoder" or "encoder-decoder"
    tokens: Tokens
    key_tokens: Tokens
    _layers: tuple[Layer, ...]
    _final: Tensor | None  # what the model's last layer says, after any final norm: [query, d_model]
    _final_norm: str | None  # the module that is the final norm
    _source: Source
    _continued_by: StreamTrace | None = None  # a decoder's blocks go on through "cross"

    # --- Sizes ---------------------------------------------------------------------------------------------------

    @property
    def n_layers(self) -> int:
        """How many attention calls it has."""
        return len(self._layers)

    @property
    def n_heads(self) -> int:
        return size_of("head", [layer.call.n_heads for layer in self._layers])

    @property
    def d_head(self) -> int:
        return size_of("d_head", [layer.call.value.shape[-1] for layer in self._layers])

    @property
    def d_model(self) -> int:
        return size_of("d_model", [layer.taps[layer.site.projected].shape[-1] for layer in self._layers])

    def head_key(self, layer: int, head: int) -> tuple[int, int] | tuple[str, int, int]:
        """How `attn_core.trace(without=…)` names a head: (layer, head), with the stream's name where there are many."""
        return (layer, head) if self.name == "self" else (self.name, layer, head)

    def block_calls(self) -> tuple[StreamTrace, ...]:
        """The attention calls of one block, in order: itself and, in a decoder, the one to the encoder."""
        return (self,) if self._continued_by is None else (self, self._continued_by)

    # --- Attention -----------------------------------------------------------------------------------------------

    def query(self, layer: int, head: int) -> Array:
        """The queries as they were scored, so after any rotation: [query, d_head]."""
        return _array(self._call(layer, head).heads(head)[0][0])

    def key(self, layer: int, head: int) -> Array:
        """The keys as they were scored: [key, d_head]. Heads of one group share them."""
        return _array(self._call(layer, head).heads(head)[1][0])

    def value(self, layer: int, head: int) -> Array:
        """The values in the small space, before W_O: [key, d_head]."""
        return _array(self._call(layer, head).heads(head)[2][0])

    def raw_scores(self, layer: int, head: int) -> Array:
        """q·k alone, [query, key]: no scale, no bias, no mask."""
        query, key, _ = self._call(layer, head).heads(head)
        return _array(attention.raw_scores(query, key)[0])

    def scores(self, layer: int, head: int) -> Array:
        """What the softmax gets, [query, key]: scale, soft cap and position bias in, masked cells −∞."""
        return _array(self._call(layer, head).scores(head)[0])

    def pattern(self, layer: int, head: int) -> Array:
        """The attention pattern of a head, [query, key]; every row sums to 1."""
        return _array(self._call(layer, head).patterns(head)[0])

    def pattern_row(self, layer: int, head: int, query: int) -> Array:
        """One row of a pattern, [key], computed without the others; sums to 1."""
        return _array(self._call(layer, head, query).at(query).patterns(head)[0, 0])

    def patterns(self, layer: int) -> Array:
        """The attention patterns of all heads of a layer, [head, query, key]."""
        return _array(self._call(layer).patterns(None))

    def may_look(self, layer: int) -> Flags:
        """Which query may look at which key, bool [query, key]."""
        call = self._call(layer)
        square: Flags = call.mask.may_look(call.query.shape[1], call.key.shape[1]).numpy().copy()
        return square

    def scaling(self, layer: int) -> float:
        """What q·k is multiplied by in the attention function: 1/√d_head, or 1 where a model scales elsewhere."""
        return self._call(layer).scaling

    def scaled_before(self, layer: int) -> float:
        """What the queries themselves were multiplied by, where a model scales them and not the scores; 1 in most."""
        slices = self._layer(layer).site.query
        return 1.0 if slices is None else slices.factor

    def soft_cap(self, layer: int) -> float | None:
        """The bound that scores are squeezed into, or None."""
        return self._call(layer).soft_cap

    def position_bias(self, layer: int, head: int) -> Array | None:
        """What a relative position adds to the scores of a head, [query, key], or None."""
        call = self._call(layer, head)
        if call.bias is None:
            return None
        return _array(call.bias.cells(head, call.query.shape[1], call.key.shape[1])[0])

    def weighted_values(self, layer: int, head: int) -> Array:
        """What the model's own attention returned for a head, its pattern · value before W_O: [query, d_head].

        A tensor that left the model, not a computation of ours.
        """
        call = self._call(layer, head)
        side_by_side = call.weighted_values  # [query, head·d_head]
        return _array(attention.split_heads(side_by_side, call.n_heads)[head])

    # --- ΔE ------------------------------------------------------------------------------------------------------

    def w_o(self, layer: int, head: int) -> Array:
        """The head's rows of the output matrix, the lesson's "value up": [d_head, d_model]."""
        return _array(self._w_o(layer, head))

    def w_v(self, layer: int, head: int) -> Array:
        """The head's value matrix, the lesson's "value down": [d_model, d_head]; heads of one group share it.

        Raises HeadlightError where it could not be found.
        """
        found, model = self._layer(layer, head), self._source.module()
        if found.site.value is None:
            raise HeadlightError(f"In {self.family} models the values are not W·x alone, so there is no W_V to show.")
        return _array(found.site.value.of_head(model, head, found.call.n_heads)[0])

    def delta_e(self, layer: int, head: int) -> Array:
        """What this head adds to every token, [query, d_model]: (pattern · value) · W_O. The bias is not in it."""
        weighted = self._call(layer, head).weigh_values(head)[0]  # [query, d_head]
        return _array(weighted @ self._w_o(layer, head))

    def delta_e_by_source(self, layer: int, head: int, query: int) -> Array:
        """One token's ΔE from a head, split by the word it came from: [key, d_model]; sums to that row of `delta_e`."""
        call = self._call(layer, head, query)
        if head in call.replaced:
            raise HeadlightError(f"Head {layer}.{head} was switched off in this pass, so its ΔE comes from no word.")
        weights = call.at(query).patterns(head)[0, 0]  # [key]
        return _array(attention.delta_e_by_source(weights, call.heads(head)[2][0], self._w_o(layer, head)))

    def heads_delta_e(self, layer: int, query: int) -> Array:
        """What every head of a layer adds to one token: [head, d_model]."""
        found = self._layer(layer, query=query)
        weighted = found.call.at(query).weigh_values(None)[:, 0]  # [head, 1, d_head] → [head, d_head]
        return _array(torch.einsum("hd,hdm->hm", weighted, found.w_o(self._source.module())))

    def delta_e_sizes(self, layer: int) -> Array:
        """‖ΔE‖ of every head and token of a layer: [head, query]."""
        found = self._layer(layer)
        heads = zip(found.call.weigh_values(None), found.w_o(self._source.module()), strict=True)
        return _array(torch.stack([(weighted @ w_o).norm(dim=-1) for weighted, w_o in heads]))  # d_model summed away

    def output_bias(self, layer: int) -> Array:
        """The output bias b_O, which belongs to no head: [d_model], zeros where the model has none."""
        bias = self._layer(layer).site.output.bias(self._source.module())
        return np.zeros(self.d_model, np.float32) if bias is None else _array(bias)

    def attention_output(self, layer: int) -> Array:
        """Σ over heads of ΔE, plus the output bias, before any norm after attention: [query, d_model]."""
        return _array(self._layer(layer).attention_output(self._source.module()))

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
        w_q, b_q = site.query.of_head(model, head, n_heads)
        w_k, b_k = site.key.of_head(model, head, n_heads)
        w_v, b_v = site.value.of_head(model, head, n_heads)
        return AttentionWeights(w_q, w_k, w_v, found.w_o(model)[head], b_q, b_k, b_v, site.output.bias(model))

    # --- The residual stream -------------------------------------------------------------------------------------

    def block(self, layer: int) -> BlockKind:
        """How the block adds: "pre-norm", "post-norm", "parallel" (with the MLP) or "norm-after" (norm(ΣΔE))."""
        block = self._layer(layer).site.block
        if block in (None, BlockKind.SEQUENTIAL):
            raise HeadlightError(f"How layer {layer} of this model adds up could not be found.")
        return block

    def embedding(self, layer: int) -> Array:
        """E, the residual stream that enters a layer: [token, d_model]. Layer `n_layers` is what leaves the last one,
        before any final norm."""
        check_index("layer", layer, self.n_layers + 1)
        if layer < self.n_layers:
            found = self._layers[layer]
            return _array(found.tap(found.site.embedding, "the residual stream"))
        last = self._with_mlp(self.n_layers - 1)
        return _array(last.tap(last.site.next, "the stream that leaves it"))

    def attention_input(self, layer: int) -> Array:
        """x, what W_Q is multiplied with: E after the norm in pre-norm blocks, E itself in post-norm ones."""
        found = self._layer(layer)
        return _array(found.tap(found.site.x, "what W_Q receives"))

    def attention_memory(self, layer: int) -> Array:
        """What W_K and W_V are multiplied with: x itself, or in "cross" what the encoder left. [key, d_model]"""
        found = self._layer(layer)
        return _array(found.tap(found.site.memory, "what W_K receives"))

    def attention_added(self, layer: int) -> Array:
        """What attention really adds to the residual stream: its output, or the norm of it. [query, d_model]"""
        found = self._layer(layer)
        return _array(found.tap(found.site.added, "what attention adds"))

    def after_attention(self, layer: int) -> Array:
        """The stream after attention, and after its LayerNorm in post-norm blocks: [query, d_model]."""
        found = self._layer(layer)
        if found.site.block is BlockKind.PARALLEL:
            return self.embedding(layer) + self.attention_added(layer)
        return _array(found.tap(found.site.after, "the stream after attention"))

    def mlp_added(self, layer: int) -> Array:
        """What the MLP adds to the residual stream, after its own norm where it has one: [query, d_model]."""
        found = self._with_mlp(layer)
        return _array(found.tap(found.site.mlp, "the MLP's part"))

    def final_embedding(self) -> Array:
        """What the model's last layer says of every token, after any final norm: [query, d_model]."""
        return _array(self._last())

    def block_norm(self, layer: int, after: str, vectors: Array) -> Array:
        """What a block's own norm makes of vectors [..., d_model], with the model's weights.

        `after` is "attention" (post-norm: of the sum; norm-after: of what attention gave) or "mlp" (post-norm). Raises
        ValueError for a block that has no norm there.
        """
        site = self._layer(layer).site
        taps = {
            (BlockKind.POST_NORM, "attention"): site.after,
            (BlockKind.NORM_AFTER, "attention"): site.added,
            (BlockKind.POST_NORM, "mlp"): site.next,
        }
        tap = None if site.block is None else taps.get((site.block, after))
        if tap is None:
            raise ValueError(f"layer {layer} is a {site.block} block: it has no norm after {after!r}")
        return self._through(tap.module, vectors)

    def final_norm(self, vectors: Array) -> Array:
        """What the norm after the last block makes of vectors [..., d_model]; the same where there is no such norm."""
        if self._final_norm is None:
            return np.array(vectors, dtype=np.float32)
        return self._through(self._final_norm, vectors)

    # --- Words and proof -----------------------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's words as vectors; raises HeadlightError where they do not live in the residual stream."""
        return self._source.vocabulary()

    def logits(self, position: int | None = None) -> Array:
        """The model's scores for the next word after a position, or after the last one: [word].

        Raises HeadlightError where no next word is predicted: an encoder's model, or the encoder of a translator.
        """
        if self.name == "encoder":
            raise HeadlightError(f"The encoder of {self.model_name} does not predict a next word; its decoder does.")
        final = self._last()  # [query, d_model]
        position = len(final) - 1 if position is None else position
        check_index("position", position, len(final))
        return _array(self._source.logits(final[position]))

    def read_words(self, vectors: Array) -> Array:
        """Logits that the model's own head gives to final embeddings: [..., d_model] → [..., word]."""
        return _array(self._source.logits(torch.as_tensor(vectors)))

    @torch.inference_mode()
    def check(self) -> Parity:
        """How far these numbers are from tensors that left the model; computed anew from the model's weights."""
        return parity.check(self._layers, self._source.module())

    # --- Inside --------------------------------------------------------------------------------------------------

    def _layer(self, layer: int, head: int | None = None, query: int | None = None) -> Layer:
        check_index("layer", layer, self.n_layers)
        found = self._layers[layer]
        if head is not None:
            check_index("head", head, found.call.n_heads)
        if query is not None:
            check_index("query", query, found.call.query.shape[1])
        return found

    def _call(self, layer: int, head: int | None = None, query: int | None = None) -> Call:
        return self._layer(layer, head, query).call

    def _w_o(self, layer: int, head: int) -> Tensor:
        return self._layer(layer, head).w_o(self._source.module())[head]

    def _with_mlp(self, layer: int) -> Layer:
        """The layer whose MLP ends the block: a decoder's block goes on through its cross-attention."""
        found = self._layer(layer)
        return found if self._continued_by is None or found.site.next else self._continued_by._layer(layer)

    def _last(self) -> Tensor:
        if self._final is None:
            raise HeadlightError("What leaves this model's last layer could not be found.")
        return self._final

    @torch.inference_mode()
    def _through(self, name: str, vectors: Array) -> Array:
        """What a module of the model makes of vectors [..., d_model]."""
        model = self._source.module()
        device = next(model.parameters()).device
        return _array(model.get_submodule(name)(torch.as_tensor(vectors, dtype=torch.float32, device=device)))


def size_of(axis: str, sizes: Sequence[int]) -> int:
    """The one size that all layers have; raises ValueError where they differ."""
    if len(set(sizes)) > 1:
        raise ValueError(f"the layers of this model differ in {axis}: {sorted(set(sizes))}")
    return sizes[0]


def _array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().to(device="cpu", dtype=torch.float32).numpy().copy()
    return array
