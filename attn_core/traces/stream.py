"""One stream of a trace as a value: everything that can be read of its layers and heads.

A stream is one stack of attention calls: "self" in a model with one stack; "encoder", "decoder" and "cross" (the calls
from the decoder to the encoder) in a model with two. `Trace` says which there are; here is how each is read.

The readers are in three parts: attention (`attention_readers`), ΔE (`delta_readers`), and here the residual stream.

Axes are always layer, head, query, key, d_head, d_model, counted from 0; `layer` is the order of the attention calls.
Readers return fresh float32 arrays, and raise IndexError, naming the range, for an index that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from textwrap import shorten
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from attn_core.errors import HeadlightError, check_index
from attn_core.precision import through, without_autocast
from attn_core.tolerances import coarsest
from attn_core.traces import comparisons
from attn_core.traces.attention_readers import as_array
from attn_core.traces.block import BlockKind
from attn_core.traces.changes import Changes
from attn_core.traces.comparisons import End, some_layers
from attn_core.traces.delta_readers import DeltaReaders
from attn_core.traces.layer import Layer, frozen
from attn_core.traces.parity import Parity
from attn_core.traces.reader import Array
from attn_core.traces.source import KeptOutputs, LabelProbabilities, LabelReading, OwnHead, Vocabulary

_AROUND = {  # tensors around a call, as an error calls them
    "embedding": "the residual stream",
    "next": "the stream that leaves it",
    "x": "what W_Q receives",
    "memory": "what W_K receives",
    "added": "what attention adds",
    "after": "the stream after attention",
    "mlp": "the MLP's part",
}


@dataclass(frozen=True, eq=False)
class StreamTrace(DeltaReaders):
    """What one forward pass left behind of one stream.

    `tokens` are those of the queries, `key_tokens` those that are looked at; they differ in "cross".
    """

    _continued_by: StreamTrace | None = None  # a decoder's blocks go on through "cross"
    changes: Changes = Changes()  # what was done to the whole pass, in this stream or another

    def __repr__(self) -> str:
        said = shorten(self.tokens.said, 60, placeholder=" …")
        changed = f"; changed: {self.changes}" if self.changes else ""
        return f"<Stream {self.name!r} of {said!r} in {self.model_name}: {self.n_layers} layers{changed}>"

    def block_calls(self) -> tuple[StreamTrace, ...]:
        """The attention calls of one block, in order: itself and, in a decoder, the one to the encoder."""
        return (self,) if self._continued_by is None else (self, self._continued_by)

    def module(self) -> nn.Module:
        """The model itself, shared and never to be changed; raises HeadlightError once it has been unloaded."""
        found = self._source.module()
        if isinstance(found, KeptOutputs):
            raise found.missing()
        return found

    @property
    def precision(self) -> str:
        """The number type that the model computed in: "float32", "float16" or "bfloat16"; what is read is float32."""
        return coarsest(layer.precision for layer in self._layers)

    # --- The residual stream -------------------------------------------------------------------------------------

    def block(self, layer: int) -> BlockKind:
        """How the block adds: "pre-norm", "post-norm", "parallel" (with MLP), "norm-after" (norm(ΣΔE)) or "scaled"."""
        block = self._layer(layer).site.block
        if block in (None, BlockKind.SEQUENTIAL):
            raise HeadlightError(f"How layer {layer} of this model adds up could not be found.")
        return block

    def embedding(self, layer: int) -> Array:
        """E, the residual stream that enters a layer: [token, d_model]. Layer `n_layers` is what leaves the last one,
        before any final norm."""
        return as_array(self._around("embedding", layer))

    def attention_input(self, layer: int) -> Array:
        """x, what W_Q is multiplied with: E after the norm in pre-norm blocks, E itself in post-norm ones."""
        return as_array(self._around("x", layer))

    def attention_memory(self, layer: int) -> Array:
        """What W_K and W_V are multiplied with: x itself, or in "cross" what the encoder left. [key, d_model]"""
        return as_array(self._around("memory", layer))

    def attention_added(self, layer: int) -> Array:
        """What attention really adds to the residual stream: its output, the norm of it or a share. [query, d_model]"""
        return as_array(self._around("added", layer))

    def after_attention(self, layer: int) -> Array:
        """The stream after attention, and after its LayerNorm in post-norm blocks: [query, d_model]."""
        return as_array(self._around("after", layer))

    def mlp_added(self, layer: int) -> Array:
        """What the MLP adds to the residual stream, after its own norm where it has one: [query, d_model]."""
        return as_array(self._around("mlp", layer))

    def final_embedding(self) -> Array:
        """What the model's last layer says of every token, after any final norm: [query, d_model]."""
        return as_array(self._last())

    def block_norm(self, layer: int, after: str, vectors: Array) -> Array:
        """What a block's own norm makes of vectors [..., d_model], with the model's weights.

        `after` is "attention" (post-norm: of the sum; norm-after: of what attention gave) or "mlp" (post-norm). In a
        block that scales what attention gave it is that factor. Raises ValueError for a block that has no norm there.
        """
        site = self._layer(layer).site
        if site.block is BlockKind.SCALED and after == "attention":
            return np.asarray(np.float32(site.scale) * np.asarray(vectors, dtype=np.float32))
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

    def tensors(self, layer: int) -> Mapping[str, Tensor]:
        """What is kept of a layer, by name, without a copy: torch tensors in float32, where the model is.

        "query" [head, query, d_head], "key" and "value" [group, key, d_head], "weighted_values" [query, head·d_head],
        and of the stream, [token, d_model], what was found and does not follow from the rest: "embedding", "projected",
        "added", "after", "mlp", "next"; in a block that scales what it adds, "added" and "mlp" before they are scaled.
        They are the trace's own, and other readers read them: work on a clone.
        """
        found = self._layer(layer)
        names = ("embedding", "projected", "added", "after", "mlp", "next")
        taps = {name: getattr(found.site, name) for name in names}
        around = {name: found.taps[tap] for name, tap in taps.items() if tap in found.taps}
        call = found.call
        own = {"query": call.query, "key": call.key, "value": call.value, "weighted_values": call.weighted_values}
        return frozen({name: t for name, t in (own | around).items() if t is not None})

    # --- Words and proof -----------------------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's words as vectors; raises HeadlightError where they are no vectors of the residual stream."""
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
        return as_array(self._source.logits(final[position]))

    @property
    def own_head(self) -> OwnHead:
        """What the model's own head says: labels of the whole or of every token, an answer's ends, words filled in.

        Raises HeadlightError for a model without a head that can be read.
        """
        return self._source.own_head().says

    def head_logits(self, position: int | None = None) -> Array:
        """What the model's own head gives: [label], or [token, label]; of a head that fills words in, [word].

        That one is asked at a position. Raises HeadlightError for a model without a head that can be read.
        """
        head, final = self._source.own_head(), self._last()
        if head.says.task == "word":
            if position is None:
                raise ValueError("a head that fills words in is asked at a position: give one")
            check_index("position", position, len(final))
            final = final[position : position + 1]
        return as_array(head.logits(final, self.tokens))

    def label_probabilities(self) -> LabelProbabilities:
        """What the model's own head says of the text, of every token, or of an answer's start and end.

        Raises HeadlightError for a model without a head that names labels.
        """
        says = self.own_head
        if says.task == "word":
            raise HeadlightError(f"{self.model_name} fills words in; it names no labels.")
        return LabelProbabilities.of(says, self.head_logits().astype(np.float64))

    def label_reading(self, label: int, position: int | None = None) -> LabelReading:
        """The logit of a label as a sum over the last states, what the head does besides held at what it did.

        `position` names the token whose label it is, for a head that says one of every token, or where an answer
        starts (label 0) or ends (1). Raises HeadlightError for a model without labels.
        """
        head, final = self._source.own_head(), self._last()
        if head.says.task == "word":
            raise HeadlightError(f"{self.model_name} fills words in; it names no labels.")
        check_index("label", label, len(head.says.labels), "this head")
        if head.says.task == "text":
            return head.reading(final, self.tokens, (label,))
        if position is None:
            raise ValueError("this head says something of every token: give a position")
        check_index("position", position, len(final))
        return head.reading(final, self.tokens, (position, label))

    def word(self, token_id: int) -> str:
        """What a person reads for a token's id."""
        return self._source.word(token_id)

    def read_words(self, vectors: Array) -> Array:
        """Logits that the model's own head gives to final embeddings: [..., d_model] → [..., word]."""
        return as_array(self._source.logits(torch.as_tensor(vectors)))

    @torch.inference_mode()
    @without_autocast()
    def check(self, layers: Iterable[int] | None = None) -> Parity:
        """How far these numbers are from tensors that left the model; computed anew from the model's weights.

        `layers` are those that are checked, by default all. Raises IndexError for one that is not there,
        and ValueError where none is named.
        """
        wanted = some_layers(layers)
        chosen = self._layers if wanted is None else [*map(self._layer, wanted)]
        checked = comparisons.check(chosen, self._source.module(), [self._end(chosen)])
        return checked.with_own_pass(self._source.own_pass, self._source.own_weights)

    # --- Inside --------------------------------------------------------------------------------------------------

    def _end(self, layers: Iterable[Layer]) -> End:
        """How far the final norm of what leaves the last layer is from what the model ended with, where the last layer
        is among those that are checked; or the last module of what it received. What was put where it ends follows from
        nothing, and where nothing comes after the last block, its sum is what it ended with."""
        last, module, final = self._layers[-1], self._source.module(), self._final
        put = any(one.place.kind == "memory" and one.place.stream == self.name for one in self.changes.patches)
        checked = any(layer is last for layer in layers) and last.sample is None and self.name != "cross"
        if not checked or put or final is None or isinstance(module, KeptOutputs):
            return End()
        end = self._with_mlp(self.n_layers - 1)
        site, name, part = end.site, self._final_norm, "residual"
        given = None if site.next is None else end.taps[site.next]
        if given is not None and name is None and given.data_ptr() == final.data_ptr():
            return End()
        if name is None or given is None:
            given = None if site.last is None else end.taps.get(site.last)
            name, part = site.last and site.last.module, "final"
        if name is None or given is None:
            return End(unseen=True)
        norm = partial(last.through, module, name)
        return End(comparisons.final_errors(self.name, end, given, norm, final, part))

    def _around(self, name: str, layer: int) -> Tensor:
        """A tensor around a call, [token, d_model], by its name in `_AROUND`; it may be the trace's own, so it is to
        be read and never written to. Who needs a few rows takes them from it, without a copy of all."""
        if name == "embedding":
            check_index("layer", layer, self.n_layers + 1)
        if name == "embedding" and layer == self.n_layers:
            name, layer = "next", layer - 1
        found = self._with_mlp(layer) if name in ("next", "mlp") else self._layer(layer)
        if name == "after" and found.site.block is BlockKind.PARALLEL:
            return self._around("embedding", layer) + self._around("added", layer)
        return found.tensor(name, _AROUND[name], self._source.module)

    def _with_mlp(self, layer: int) -> Layer:
        """The layer whose MLP ends the block: a decoder's block goes on through its cross-attention."""
        found = self._layer(layer)
        return found if self._continued_by is None or found.site.next else self._continued_by._layer(layer)

    def _put(self, layer: int, what: str) -> Array | None:
        """What a patch added to the stream, [token, d_model]: what was put minus what the model had computed.

        `what` is "residual", the stream that enters a layer (or leaves the last), "attention", "after_attention", or
        "memory", what "cross" reads of the encoder. None: no patch.
        """
        if what != "residual":
            found = self._layer(layer)
            site = found.site
            put = found.put({"attention": site.added, "after_attention": site.after, "memory": site.memory}[what])
            put = site.scale * put if put is not None and what == "attention" else put
        elif layer < self.n_layers:
            put = self._layers[layer].put(self._layers[layer].site.embedding)
        else:
            last = self._with_mlp(layer - 1)
            put = last.put(last.site.next)
        return None if put is None else as_array(put)

    def _last(self) -> Tensor:
        if self._final is None:
            raise HeadlightError("What leaves this model's last layer could not be found.")
        return self._final

    def _through(self, name: str, vectors: Array) -> Array:
        """What a module of the model makes of vectors [..., d_model]."""
        self._source.require_unchanged(name)
        return as_array(through(self.module().get_submodule(name), torch.as_tensor(vectors, dtype=torch.float32)))


class StreamSource(Protocol):
    """What has streams to read: a `Trace`, or whatever a caller shares one by."""

    def stream(self, name: str | None = None) -> StreamTrace: ...
