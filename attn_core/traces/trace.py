"""A trace: what one forward pass left behind. Patterns and ΔE are computed from it when somebody asks.

Kept are the small things, q, k, v and a few rows of the residual stream, so a trace grows with the sentence and not
with its square. Everything a reader returns is computed by `attention` from what the model itself produced, and
`Trace.check` says how far it is from tensors that left the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from attn_core import attention
from attn_core.attention import AttentionWeights
from attn_core.capture.matching import HeadSlices
from attn_core.errors import HeadlightError
from attn_core.text.tokens import Tokens
from attn_core.traces.layer import Call, Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

TOLERANCE = 1e-5


class Parity(NamedTuple):
    """How far our numbers are from tensors that left the model: worst absolute difference ÷ largest value, per layer.

    `pattern`: pattern · value against what the model's attention returned. `delta`: Σ ΔE + bias against what its
    output projection returned. `residual`: E + attention (+ norm) (+ MLP) against the stream that the model went on
    with.
    """

    pattern: float
    delta: float
    residual: float

    @property
    def ok(self) -> bool:
        """Whether all three are within `TOLERANCE`, about a hundred roundings of float32."""
        return max(self) <= TOLERANCE


@dataclass(frozen=True)
class Vocabulary:
    """The words a model can read or write, as vectors: `matrix` [word, d_model] is the model's own, not a copy.

    `kind` says whose rows they are: "unembedding" (what the model predicts with) or "input embedding".
    """

    matrix: Tensor
    kind: str
    word: Callable[[int], str]


class Source(NamedTuple):
    """The way back to the model that a trace came from; raises HeadlightError once that model has been unloaded."""

    module: Callable[[], nn.Module]
    vocabulary: Callable[[], Vocabulary]
    logits: Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Trace:
    """What one forward pass left behind.

    Axes are always layer, head, query, key, d_head, d_model, counted from 0; `layer` is the order of the attention
    calls. Readers return fresh float32 arrays, and raise IndexError for an index that is not there. An encoder-decoder
    has the streams "encoder", "decoder" and "cross", and every reader then needs `stream=`.
    """

    model_name: str
    family: str
    kind: str  # "encoder", "decoder" or "encoder-decoder"
    streams: tuple[str, ...]
    _layers: Mapping[str, Sequence[Layer]]
    _tokens: Mapping[str, tuple[Tokens, Tokens]]
    _final: Mapping[str, Tensor]
    _final_norms: Mapping[str, str]
    _source: Source

    def __repr__(self) -> str:
        sizes = (f"{len(layers)} × {layers[0].call.n_heads} {stream} heads" for stream, layers in self._layers.items())
        said = shorten(self._tokens[self.streams[0]][0].text, 60, placeholder=" …")
        return f"<Trace of {said!r} in {self.model_name}: {', '.join(sizes)}>"

    # --- What was read -------------------------------------------------------------------------------------------

    @property
    def tokens(self) -> Tokens:
        """The tokens of a model with one stream; `tokens_of` has those of an encoder-decoder."""
        return self._tokens[self._stream(None)][0]

    def tokens_of(self, stream: str) -> tuple[Tokens, Tokens]:
        """(query tokens, key tokens) of a stream: they differ in "cross"."""
        return self._tokens[self._stream(stream)]

    @property
    def n_layers(self) -> int:
        return self.n_layers_of(None)

    def n_layers_of(self, stream: str | None) -> int:
        """How many attention calls a stream has; an encoder and its decoder may differ."""
        return len(self._layers[self._stream(stream)])

    @property
    def n_heads(self) -> int:
        return self._shape("head", lambda layer: layer.call.n_heads)

    def n_heads_of(self, stream: str | None) -> int:
        """How many heads a layer of a stream has; an encoder and its decoder may differ."""
        return self._layers[self._stream(stream)][0].call.n_heads

    @property
    def d_head(self) -> int:
        return self._shape("d_head", lambda layer: layer.call.value.shape[-1])

    @property
    def d_model(self) -> int:
        return self._shape("d_model", lambda layer: layer.taps[layer.site.projected].shape[-1])

    def _shape(self, axis: str, read: Callable[[Layer], int]) -> int:
        sizes = {read(layer) for layers in self._layers.values() for layer in layers}
        if len(sizes) > 1:
            raise ValueError(f"the layers of this model differ in {axis}: {sorted(sizes)}")
        return sizes.pop()

    @property
    def n_bytes(self) -> int:
        """What this trace keeps in memory, every storage counted once."""
        tensors = [t for layers in self._layers.values() for layer in layers for t in layer.tensors()]
        return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())

    # --- Attention -----------------------------------------------------------------------------------------------

    def query(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The queries as they were scored, so after any rotation: [query, d_head]."""
        return _array(self._call(layer, stream, head).heads(head)[0][0])

    def key(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The keys as they were scored: [key, d_head]. Heads of one group share them."""
        return _array(self._call(layer, stream, head).heads(head)[1][0])

    def value(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The values in the small space, before W_O: [key, d_head]."""
        return _array(self._call(layer, stream, head).heads(head)[2][0])

    def raw_scores(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """q·k alone, [query, key]: no scale, no bias, no mask."""
        query, key, _ = self._call(layer, stream, head).heads(head)
        return _array(attention.raw_scores(query, key)[0])

    def scores(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """What the softmax gets, [query, key]: scale, soft cap and position bias in, masked cells −∞."""
        return _array(self._call(layer, stream, head).scores(head)[0])

    def pattern(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The attention pattern of a head, [query, key]; every row sums to 1."""
        return _array(self._call(layer, stream, head).patterns(head)[0])

    def pattern_row(self, layer: int, head: int, query: int, *, stream: str | None = None) -> Array:
        """One row of a pattern, [key], computed without the others; sums to 1."""
        call = self._call(layer, stream, head)
        _check_index("query", query, call.query.shape[1])
        return _array(call.at(query).patterns(head)[0, 0])

    def patterns(self, layer: int, *, stream: str | None = None) -> Array:
        """The attention patterns of all heads of a layer, [head, query, key]."""
        return _array(self._call(layer, stream).patterns(None))

    def may_look(self, layer: int, *, stream: str | None = None) -> NDArray[np.bool_]:
        """Which query may look at which key, bool [query, key]."""
        call = self._call(layer, stream)
        return call.mask.may_look(call.query.shape[1], call.key.shape[1]).numpy().copy()

    def scaling(self, layer: int, *, stream: str | None = None) -> float:
        """What q·k is multiplied by in the attention function: 1/√d_head, or 1 where a model scales elsewhere."""
        return self._call(layer, stream).scaling

    def scaled_before(self, layer: int, *, stream: str | None = None) -> float:
        """What the queries themselves were multiplied by, where a model scales them and not the scores; 1 in most."""
        slices = self._layer(layer, stream).site.query
        return 1.0 if slices is None else slices.factor

    def soft_cap(self, layer: int, *, stream: str | None = None) -> float | None:
        """The bound that scores are squeezed into, or None."""
        return self._call(layer, stream).soft_cap

    def position_bias(self, layer: int, head: int, *, stream: str | None = None) -> Array | None:
        """What a relative position adds to the scores of a head, [query, key], or None."""
        call = self._call(layer, stream, head)
        if call.bias is None:
            return None
        return _array(call.bias.cells(head, call.query.shape[1], call.key.shape[1])[0])

    def mixed(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """What the model's own attention returned for a head, its pattern · value before W_O: [query, d_head].

        A tensor that left the model, not a computation of ours.
        """
        call = self._call(layer, stream, head)
        return _array(call.mixed.unflatten(-1, (call.n_heads, -1))[:, head])

    # --- ΔE ------------------------------------------------------------------------------------------------------

    def w_o(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The head's rows of the output matrix, the lesson's "value up": [d_head, d_model]."""
        return _array(self._w_o(self._layer(layer, stream, head))[head])

    def w_v(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """The head's value matrix, the lesson's "value down": [d_model, d_head]; heads of one group share it.

        Raises HeadlightError where it could not be found.
        """
        found, module = self._layer(layer, stream, head), self._source.module()
        if found.site.value is None:
            raise HeadlightError(f"In {self.family} models the values are not W·x alone, so there is no W_V to show.")
        group = _group(found.site.value, head, found.call.n_heads)
        return _array(found.site.value.of_head(module, group)[0])

    def delta_e(self, layer: int, head: int, *, stream: str | None = None) -> Array:
        """What this head adds to every token, [query, d_model]: (pattern · value) · W_O. The bias is not in it."""
        found = self._layer(layer, stream, head)
        return _array(found.call.mixes(head)[0] @ self._w_o(found)[head])

    def delta_e_by_source(self, layer: int, head: int, query: int, *, stream: str | None = None) -> Array:
        """One token's ΔE from a head, split by the word it came from: [key, d_model]; sums to that row of `delta_e`."""
        found = self._layer(layer, stream, head)
        _check_index("query", query, found.call.query.shape[1])
        if head in found.call.replaced:
            raise HeadlightError(f"Head {layer}.{head} was switched off in this pass, so its ΔE comes from no word.")
        weights = found.call.at(query).patterns(head)[0, 0]
        return _array(attention.delta_e_by_source(weights, found.call.heads(head)[2][0], self._w_o(found)[head]))

    def heads_delta_e(self, layer: int, query: int, *, stream: str | None = None) -> Array:
        """What every head of a layer adds to one token: [head, d_model]."""
        found = self._layer(layer, stream)
        _check_index("query", query, found.call.query.shape[1])
        return _array(torch.einsum("hd,hdm->hm", found.call.at(query).mixes(None)[:, 0], self._w_o(found)))

    def delta_e_sizes(self, layer: int, *, stream: str | None = None) -> Array:
        """‖ΔE‖ of every head and token of a layer: [head, query]."""
        found = self._layer(layer, stream)
        parts = zip(found.call.mixes(None), self._w_o(found), strict=True)
        return _array(torch.stack([(mixed @ w_o).norm(dim=-1) for mixed, w_o in parts]))

    def output_bias(self, layer: int, *, stream: str | None = None) -> Array:
        """The output bias b_O, which belongs to no head: [d_model], zeros where the model has none."""
        found = self._layer(layer, stream)
        bias = found.site.output.bias(self._source.module())
        return np.zeros(self.d_model, np.float32) if bias is None else _array(bias)

    def attention_output(self, layer: int, *, stream: str | None = None) -> Array:
        """Σ over heads of ΔE, plus the output bias, before any norm after attention: [query, d_model]."""
        return _array(self._attention_output(self._layer(layer, stream)))

    # --- The residual stream -------------------------------------------------------------------------------------

    def block(self, layer: int, *, stream: str | None = None) -> str:
        """How the block adds: "pre-norm", "post-norm", "parallel" (with the MLP) or "norm-after" (norm(ΣΔE))."""
        block = self._layer(layer, stream).site.block
        if block in (None, "sequential"):
            raise HeadlightError(f"How layer {layer} of this model adds up could not be found.")
        return block

    def embedding(self, layer: int, *, stream: str | None = None) -> Array:
        """E, the residual stream that enters a layer: [token, d_model]. Layer `n_layers` is what leaves the last one,
        before any final norm."""
        stream = self._stream(stream)
        n_layers = len(self._layers[stream])
        _check_index("layer", layer, n_layers + 1)
        if layer < n_layers:
            found = self._layers[stream][layer]
            return _array(found.tap(found.site.embedding, "the residual stream"))
        last = self._second_half(self._layers[stream][-1], stream)
        return _array(last.tap(last.site.next, "the stream that leaves it"))

    def attention_input(self, layer: int, *, stream: str | None = None) -> Array:
        """x, what W_Q is multiplied with: E after the norm in pre-norm blocks, E itself in post-norm ones."""
        found = self._layer(layer, stream)
        return _array(found.tap(found.site.x, "what W_Q receives"))

    def attention_memory(self, layer: int, *, stream: str | None = None) -> Array:
        """What W_K and W_V are multiplied with: x itself, or in "cross" what the encoder left. [key, d_model]"""
        found = self._layer(layer, stream)
        return _array(found.tap(found.site.memory, "what W_K receives"))

    def attention_added(self, layer: int, *, stream: str | None = None) -> Array:
        """What attention really adds to the residual stream: its output, or the norm of it. [query, d_model]"""
        found = self._layer(layer, stream)
        return _array(found.tap(found.site.added, "what attention adds"))

    def after_attention(self, layer: int, *, stream: str | None = None) -> Array:
        """The stream after attention, and after its LayerNorm in post-norm blocks: [query, d_model]."""
        found = self._layer(layer, stream)
        if found.site.block == "parallel":
            return self.embedding(layer, stream=stream) + self.attention_added(layer, stream=stream)
        return _array(found.tap(found.site.after, "the stream after attention"))

    def mlp_added(self, layer: int, *, stream: str | None = None) -> Array:
        """What the MLP adds to the residual stream, after its own norm where it has one: [query, d_model]."""
        found = self._second_half(self._layer(layer, stream), self._stream(stream))
        return _array(found.tap(found.site.mlp, "the MLP's part"))

    def final_embedding(self, *, stream: str | None = None) -> Array:
        """What the model's last layer says of every token, after the final norm where there is one."""
        return _array(self._final_of(stream))

    def block_norm(self, layer: int, after: str, vectors: Array, *, stream: str | None = None) -> Array:
        """What a block's own norm makes of vectors [..., d_model], with the model's weights.

        `after` is "attention" (post-norm: of the sum; norm-after: of what attention gave) or "mlp" (post-norm). Raises
        ValueError for a block that has no norm there.
        """
        site = self._layer(layer, stream).site
        taps = {("post-norm", "attention"): site.after, ("norm-after", "attention"): site.added}
        tap = (taps | {("post-norm", "mlp"): site.next}).get((site.block or "", after))
        if tap is None:
            raise ValueError(f"layer {layer} is a {site.block} block: it has no norm after {after!r}")
        return self._through(tap.module, vectors)

    def final_norm(self, vectors: Array, *, stream: str | None = None) -> Array:
        """What the norm after the last block makes of vectors [..., d_model]; the same where there is no such norm."""
        name = self._stream(stream)
        module = self._final_norms.get("decoder" if name == "cross" else name)
        return np.array(vectors, dtype=np.float32) if module is None else self._through(module, vectors)

    # --- Words ---------------------------------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's words as vectors; raises HeadlightError where they do not live in the residual stream."""
        return self._source.vocabulary()

    def logits(self, position: int = -1) -> Array:
        """The model's scores for the next word after a position: [word]. Causal models and decoders only."""
        final = self._final_of("decoder" if self.kind == "encoder-decoder" else None)
        if not -len(final) <= position < len(final):
            raise IndexError(
                f"position {position} is out of range: this trace has position {-len(final)} to {len(final) - 1}"
            )
        return _array(self._source.logits(final[position]))

    def read_words(self, vectors: Array) -> Array:
        """Logits that the model's own head gives to final embeddings: [..., d_model] → [..., word]."""
        return _array(self._source.logits(torch.as_tensor(vectors)))

    # --- Proof and weights ---------------------------------------------------------------------------------------

    def projections(self, layer: int, head: int, *, stream: str | None = None) -> AttentionWeights:
        """One head's matrices: W_Q, W_K, W_V [d_model, d_head], W_O [d_head, d_model] and biases, as tensors.

        Raises HeadlightError where W_Q and W_K could not be found: the model does more than multiply by them.
        """
        found, module = self._layer(layer, stream, head), self._source.module()
        site = found.site
        if site.query is None or site.key is None or site.value is None:
            raise HeadlightError(
                f"In {self.family} models the queries and keys are not W·x alone (they are normalised on the way), "
                "so this starts from the captured q, k and v."
            )
        parts: dict[str, Tensor | None] = {"w_o": self._w_o(found)[head], "b_o": site.output.bias(module)}
        for name, slices in (("q", site.query), ("k", site.key), ("v", site.value)):
            parts[f"w_{name}"], parts[f"b_{name}"] = slices.of_head(module, _group(slices, head, found.call.n_heads))
        return AttentionWeights(**parts)  # type: ignore[arg-type]

    @torch.inference_mode()
    def check(self) -> Parity:
        """How far these numbers are from tensors that left the model; computed anew from the model's weights."""
        pattern = delta = residual = 0.0
        for stream, layers in self._layers.items():
            for layer in layers:
                mixes = layer.call.mixes(None)
                pattern = max(pattern, _error(attention.join_heads(mixes), layer.call.mixed))
                added = self._attention_output(layer, mixes)
                delta = max(delta, _error(added, layer.taps[layer.site.projected]))
                residual = max(residual, *self._residual_errors(layer, stream, added))
        return Parity(pattern, delta, residual)

    def _residual_errors(self, layer: Layer, stream: str, added: Tensor) -> tuple[float, ...]:
        site, module = layer.site, self._source.module()
        if site.block is None or site.embedding is None:
            return (0.0,)
        stream_in = layer.taps[site.embedding]
        if site.block == "norm-after" and site.added is not None:
            added = module.get_submodule(site.added.module)(added)
        total = stream_in + added
        if site.block == "parallel" and site.mlp is not None and site.next is not None:
            return (_error(total + layer.taps[site.mlp], layer.taps[site.next]),)
        if site.after is None:
            return (0.0,)
        if site.block == "post-norm":
            total = module.get_submodule(site.after.module)(total)
        after = layer.taps[site.after]
        if site.mlp is None or site.next is None:
            return (_error(total, after),)
        end = after + layer.taps[site.mlp]
        if site.block == "post-norm":
            end = module.get_submodule(site.next.module)(end)
        return _error(total, after), _error(end, layer.taps[site.next])

    # --- Inside --------------------------------------------------------------------------------------------------

    def _stream(self, stream: str | None) -> str:
        if stream is None and len(self.streams) == 1:
            return self.streams[0]
        if stream not in self.streams:
            raise ValueError(f"stream must be one of {', '.join(map(repr, self.streams))}; got {stream!r}")
        return stream

    def _layer(self, layer: int, stream: str | None, head: int | None = None) -> Layer:
        layers = self._layers[self._stream(stream)]
        _check_index("layer", layer, len(layers))
        if head is not None:
            _check_index("head", head, layers[layer].call.n_heads)
        return layers[layer]

    def _call(self, layer: int, stream: str | None, head: int | None = None) -> Call:
        return self._layer(layer, stream, head).call

    def _second_half(self, layer: Layer, stream: str) -> Layer:
        """The layer whose MLP ends the block: a decoder's block goes on through its cross-attention."""
        if stream == "decoder" and "cross" in self._layers and layer.site.next is None:
            return self._layers["cross"][layer.site.layer]
        return layer

    @torch.inference_mode()
    def _through(self, name: str, vectors: Array) -> Array:
        module = self._source.module()
        device = next(module.parameters()).device
        return _array(module.get_submodule(name)(torch.as_tensor(vectors, dtype=torch.float32, device=device)))

    def _w_o(self, layer: Layer) -> Tensor:
        """W_O cut into heads, [head, d_head, d_model]."""
        weight = layer.site.output.weight(self._source.module()).to(device="cpu", dtype=torch.float32)
        return weight.unflatten(0, (layer.call.n_heads, -1))

    def _attention_output(self, layer: Layer, mixes: Tensor | None = None) -> Tensor:
        mixes = layer.call.mixes(None) if mixes is None else mixes
        total = attention.join_heads(mixes) @ self._w_o(layer).flatten(0, 1)
        bias = layer.site.output.bias(self._source.module())
        return total if bias is None else total + bias.cpu()

    def _final_of(self, stream: str | None) -> Tensor:
        stream = self._stream(stream)
        key = "decoder" if stream == "cross" else stream
        if key not in self._final:
            raise HeadlightError("What leaves this model's last layer could not be found.")
        return self._final[key]


def _group(slices: HeadSlices, head: int, n_heads: int) -> int:
    return head // (n_heads // len(slices.offsets))


def _check_index(axis: str, index: int, size: int) -> None:
    if not 0 <= index < size:
        raise IndexError(f"{axis} {index} is out of range: this trace has {axis} 0 to {size - 1}")


def _array(tensor: Tensor) -> Array:
    return tensor.detach().to(device="cpu", dtype=torch.float32).numpy().copy()


def _error(ours: Tensor, theirs: Tensor) -> float:
    """The worst absolute difference, as a share of the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-12))
