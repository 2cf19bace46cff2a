"""A pass whose tensors stay in a graph: what a reader gives can be differentiated by, and be differentiated.

The pass is cut at every tensor that readers look at: the unbatched tensor is a node of the graph, and the model goes on
from it. Heads are split and joined again in the pass, attention runs step by step, so that scores, patterns and ΔE are
nodes too. What enters the first layer is the leaf; weights are frozen for the pass and stay as they were.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from attn_core import attention
from attn_core.capture.hooks import AttentionCall, tensor_at
from attn_core.capture.patches import put_all, put_into_pattern
from attn_core.capture.recorder import PassRecorder
from attn_core.masks import Mask, RelativeBias
from attn_core.traces.changes import Changes
from attn_core.traces.wiring import Linear, ModuleSide, Site, Tap, Wiring

Node = tuple[str, str, int, int]  # what, stream, layer, head


class GradientRecorder(PassRecorder):
    """Cuts the pass at what readers look at; `nodes` are the tensors of heads, `cut` those around attention."""

    in_steps = True

    def __init__(self, wiring: Wiring, model: torch.nn.Module, changes: Changes) -> None:
        super().__init__(wiring, changes)
        self.model = model
        self.nodes: dict[Node, Tensor] = {}
        self.cut: dict[Tap, Tensor] = {}
        self._own: list[Tensor] = []  # what each head of the last call gave
        self._projected = {wiring.first_of(site.projected): site for site in wiring.sites}

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Mask, bias: RelativeBias | None, scaling: float,
        soft_cap: float | None, sink: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """Attention one head at a time, each step a node: query [1, head, query, d_head] → [1, query, head, d_head].

        Nodes are float32 whatever the model is; it goes on with its own number type.
        """
        site, n_heads, kind = self._site(), query.shape[1], query.dtype
        query, key, value = query.float(), key.float(), value.float()
        queries = [self._node("query", site, head, query[0, head]) for head in range(n_heads)]
        keys, values = (self._shared(name, site, part[0]) for name, part in (("key", key), ("value", value)))
        may_look = mask.may_look(query.shape[2], key.shape[2]).to(query.device)
        forced, replaced = ({}, {}) if self.patches is None else (self.patches.patterns(site), self.patches.heads(site))
        outputs, self._own = [], []
        for head in range(n_heads):
            raw = self._node("raw_scores", site, head, attention.raw_scores(queries[head], keys[head]))
            scores = raw * scaling
            scores = scores if soft_cap is None else attention.soft_cap(scores, soft_cap)
            if bias is not None:
                n_words = scores.shape[1] - mask.beside
                own = bias.cells(head, len(scores), n_words)[0].to(scores)  # [query, word]
                scores = scores + torch.nn.functional.pad(own, (0, mask.beside))
            if sink is not None:  # the last key is 0, so its score is what the head has learnt
                own = sink[head].detach().to(scores).expand(len(scores), 1)
                scores = torch.cat([scores[:, :-1], own], dim=1)
            scores = self._node("scores", site, head, attention.mask_scores(scores, may_look))
            weights = torch.softmax(scores, dim=-1)
            if head in forced:
                weights, _ = put_into_pattern(forced[head], weights, may_look, f"{site.layer}.{head}")
            weights = self._node("pattern", site, head, weights)
            weighted = attention.weighted_values(weights, values[head])
            self._own.append(weighted.detach().clone())
            if head in replaced:
                weighted = weighted.clone()
                put_all(replaced[head], weighted)
            outputs.append(self._node("weighted_values", site, head, weighted))
        return torch.stack(outputs, dim=1)[None].to(kind)  # of [query, d_head] each → [1, query, head, d_head]

    def on_attention(self, call: AttentionCall) -> None:
        query, key, value = (part.detach().clone() for part in (call.query, call.key, call.value))
        output = torch.stack(self._own, dim=1)[None]  # before heads were replaced: that is done, and noted, once more
        super().on_attention(call._replace(query=query, key=key, value=value, output=output))

    def on_tensors(self, place: ModuleSide, values: Any, named: dict[str, Any] | None) -> None:
        count = self._patch(place, values, named)
        for tap in self.wiring.wanted.get((*place, count), ()):
            tensor = tensor_at(tap.slot, values, named)
            flat = tensor.reshape(-1, tensor.shape[-1])  # [token, feature]
            site = self._projected.get(tap)
            node = _leaf_or(flat.to(torch.float32, copy=True) if site is None else self._heads_sum(site))
            self.cut[tap] = node
            tensor.copy_(node.view_as(tensor))  # in place, so that whoever has the tensor goes on from the node

    def taps(self) -> dict[Tap, Tensor]:
        return self.cut

    def _heads_sum(self, site: Site) -> Tensor:
        """What W_O gives as Σ ΔE + bias, each ΔE [query, d_model] a node."""
        w_o, bias = _output(site.output, self.model, site.n_heads)
        parts = []
        for head in range(site.n_heads):
            weighted = self.nodes["weighted_values", site.stream, site.layer, head]
            parts.append(self._node("delta_e", site, head, weighted @ w_o[head]))
        total = torch.stack(parts).sum(dim=0)
        return total if bias is None else total + bias

    def _shared(self, name: str, site: Site, part: Tensor) -> list[Tensor]:
        """Every head's key or value; heads of one group share a node."""
        share = site.n_heads // len(part)
        groups = [_leaf_or(each.clone()) for each in part]
        heads = [groups[head // share] for head in range(site.n_heads)]
        self.nodes.update({(name, site.stream, site.layer, head): node for head, node in enumerate(heads)})
        return heads

    def _node(self, name: str, site: Site, head: int, tensor: Tensor) -> Tensor:
        node = self.nodes[name, site.stream, site.layer, head] = _leaf_or(tensor.clone())
        return node


def _output(linear: Linear, model: torch.nn.Module, n_heads: int) -> tuple[Tensor, Tensor | None]:
    weight, bias = linear.weight(model), linear.bias(model)
    exact, place = partial(torch.Tensor.to, dtype=torch.float32, copy=True), next(model.parameters()).device
    by_head = exact(weight, device=place).reshape(n_heads, -1, weight.shape[-1])  # copies may take part in a graph
    return by_head, None if bias is None else exact(bias, device=place)


def _leaf_or(tensor: Tensor) -> Tensor:
    """A tensor of the graph as it is; one that nothing led to begins it."""
    return tensor if tensor.requires_grad else tensor.detach().requires_grad_()
