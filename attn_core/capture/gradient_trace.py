"""The trace that `ac.trace(…, grad=True)` gives: its readers are torch tensors in the graph of its pass.

    t = ac.trace(model, "a fluffy blue creature", grad=True)
    torch.autograd.grad(t.logits()[word], t.embedding(3))  # how the logit moves with the stream that enters layer 3

Everything else about it (check, score_parts, save, pictures) is of the same numbers outside the graph: `detached()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from attn_core.capture.gradients import Node
from attn_core.errors import HeadlightError
from attn_core.traces.block import BlockKind
from attn_core.traces.layer import Layer, frozen
from attn_core.traces.reader import Array
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace
from attn_core.traces.wiring import LogitRule


@dataclass(frozen=True, eq=False)
class GradientStream(StreamTrace):
    """One stream whose readers are torch tensors in the graph of the pass; shapes are those of `StreamTrace`.

    Heads that share a key or value give the same tensor, so its gradient is that of all of them.
    """

    _nodes: Mapping[Node, Tensor] = field(default_factory=dict)
    _logit_rule: LogitRule | None = None

    def detached(self) -> StreamTrace:
        """The same stream as arrays."""
        layers = [
            replace(layer, taps=frozen({tap: t.detach() for tap, t in layer.taps.items()})) for layer in self._layers
        ]
        goes_on = self._continued_by
        return StreamTrace(
            *(self.name, self.model_name, self.family, self.kind, self.tokens, self.key_tokens, layers),
            None if self._final is None else self._final.detach(),
            self._final_norm,
            self._source,
            goes_on.detached() if isinstance(goes_on, GradientStream) else None,
            self.changes,
        )

    def _of_head(self, what: str, layer: int, head: int) -> Tensor:
        self._layer(layer, head)
        return self._nodes[what, self.name, layer, head]

    def _of_heads(self, what: str, layer: int) -> Tensor:
        return torch.stack([self._of_head(what, layer, head) for head in range(self._call(layer).n_heads)])  # [head, …]

    def _of_layer(self, layer: Layer, name: str, what: str) -> Tensor:
        return layer.tensor(name, what, self._source.module)

    def query(self, layer: int, head: int) -> Tensor:  # type: ignore[override]
        return self._of_head("query", layer, head)

    def key(self, layer: int, head: int) -> Tensor:  # type: ignore[override]
        return self._of_head("key", layer, head)

    def value(self, layer: int, head: int) -> Tensor:  # type: ignore[override]
        return self._of_head("value", layer, head)

    def raw_scores(self, layer: int, head: int) -> Tensor:  # type: ignore[override]
        return self._of_head("raw_scores", layer, head)

    def scores(self, layer: int, head: int) -> Tensor:  # type: ignore[override]
        return self._of_head("scores", layer, head)

    def pattern(self, layer: int, head: int, rows: slice | None = None) -> Tensor:  # type: ignore[override]
        node = self._of_head("pattern", layer, head)  # the node itself: the model did not go on from a view of it
        return node if rows is None else node[rows]

    def segment_shares(self, layer: int, head: int) -> Array:
        return self.detached().segment_shares(layer, head)

    def pattern_row(self, layer: int, head: int, query: int) -> Tensor:  # type: ignore[override]
        self._layer(layer, head, query)
        row: Tensor = self.pattern(layer, head)[query]
        return row

    def patterns(self, layer: int, rows: slice | None = None) -> Tensor:  # type: ignore[override]
        return self._of_heads("pattern", layer)[:, slice(None) if rows is None else rows]

    def weighted_values(self, layer: int, head: int) -> Tensor:  # type: ignore[override]
        return self._of_head("weighted_values", layer, head)

    def delta_e(self, layer: int, head: int) -> Tensor:  # type: ignore[override]
        return self._of_head("delta_e", layer, head)

    def delta_e_by_source(self, layer: int, head: int, query: int) -> Tensor:  # type: ignore[override]
        weights = self.pattern_row(layer, head, query)
        split: Tensor = (weights[:, None] * self.value(layer, head)) @ self._w_o(layer, head).clone().to(weights)
        return split

    def heads_delta_e(self, layer: int, query: int) -> Tensor:  # type: ignore[override]
        self._layer(layer, query=query)
        return self._of_heads("delta_e", layer)[:, query]

    def delta_e_sizes(self, layer: int) -> Tensor:  # type: ignore[override]
        sizes: Tensor = self._of_heads("delta_e", layer).norm(dim=-1)
        return sizes

    def attention_output(self, layer: int) -> Tensor:  # type: ignore[override]
        found = self._layer(layer)
        return self._of_layer(found, "projected", "what W_O gives")

    def embedding(self, layer: int) -> Tensor:  # type: ignore[override]
        if layer == self.n_layers:
            last = self._with_mlp(layer - 1)
            return self._of_layer(last, "next", "the stream that leaves it")
        found = self._layer(layer)
        return self._of_layer(found, "embedding", "the residual stream")

    def attention_input(self, layer: int) -> Tensor:  # type: ignore[override]
        found = self._layer(layer)
        return self._of_layer(found, "x", "what W_Q receives")

    def attention_memory(self, layer: int) -> Tensor:  # type: ignore[override]
        found = self._layer(layer)
        return self._of_layer(found, "memory", "what W_K receives")

    def attention_added(self, layer: int) -> Tensor:  # type: ignore[override]
        return self._of_layer(_unscaled(self._layer(layer)), "added", "what attention adds")

    def after_attention(self, layer: int) -> Tensor:  # type: ignore[override]
        found = self._layer(layer)
        if found.site.block is BlockKind.PARALLEL:
            return self.embedding(layer) + self.attention_added(layer)
        return self._of_layer(found, "after", "the stream after attention")

    def mlp_added(self, layer: int) -> Tensor:  # type: ignore[override]
        return self._of_layer(_unscaled(self._with_mlp(layer)), "mlp", "the MLP's part")

    def final_embedding(self) -> Tensor:  # type: ignore[override]
        return self._last()

    def logits(self, position: int | None = None) -> Tensor:  # type: ignore[override]
        shape = super().logits(position).shape  # which raises where nothing is predicted
        final = self._last()
        head = self.module().get_output_embeddings()  # type: ignore[operator]
        if not isinstance(head, nn.Linear) or self._logit_rule is None:
            raise HeadlightError(
                f"How {self.family} models read words off is no linear map, so it has no gradient here."
            )
        bias = None if head.bias is None else head.bias.detach().float()
        at = len(final) - 1 if position is None else position
        plain = nn.functional.linear(final[at], head.weight.detach().float(), bias)
        found = self._logit_rule.logits(plain)
        assert found.shape == shape
        return found


def _unscaled(layer: Layer) -> Layer:
    """The layer, where what it adds is a tensor of the pass; HeadlightError where it is a share of one."""
    if layer.site.block is BlockKind.SCALED:
        raise HeadlightError(
            f"In layer {layer.site.layer} of this model a share of what attention and the MLP give is added, which is "
            "no node of the graph: ask for the gradient of attention_output, embedding or after_attention."
        )
    return layer


@dataclass(frozen=True, eq=False)
class GradientTrace(Trace):
    """A trace whose readers are torch tensors in the graph of its pass."""

    def detached(self) -> Trace:
        """The same trace as arrays, outside the graph."""
        streams = {name: own.detached() for name, own in self._streams.items() if isinstance(own, GradientStream)}
        return Trace(self.model_name, self.family, self.kind, frozen(streams), self._source, self.changes)

    def logits(self, position: int | None = None) -> Any:
        """The model's scores for the next word after a position, in the graph: [word]."""
        return self.stream("decoder" if self.kind == "encoder-decoder" else None).logits(position)


def with_gradients(trace: Trace, nodes: Mapping[Node, Tensor], rule: LogitRule | None) -> GradientTrace:
    """A trace of a pass that was cut at its readers, with the tensors of the cuts."""
    streams: dict[str, StreamTrace] = {}
    for name in sorted(trace.streams, key=lambda name: name != "cross"):  # before the decoder that goes on through it
        own = trace.stream(name)
        fields = {key: value for key, value in vars(own).items() if key != "_continued_by"}
        goes_on = streams.get("cross") if name == "decoder" else None
        streams[name] = GradientStream(**fields, _continued_by=goes_on, _nodes=nodes, _logit_rule=rule)
    ordered = frozen({name: streams[name] for name in trace.streams})
    return GradientTrace(trace.model_name, trace.family, trace.kind, ordered, trace._source, trace.changes)
