"""The judge of single writers: the derivative of a score through the model's own modules, times the writer.

Every place where something is written into the residual stream is a leaf of the graph: what attention returns, what the
MLPs return, what the tables return, and the biases. Norms run with their statistics detached, so that the score is
linear in each leaf, and derivative · value is what that writer adds to the score.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv
from transformers.masking_utils import eager_mask, sdpa_mask

from attn_core.capture import interface, running

_calls = []


def _attend(module, query, key, value, *args, **kwargs):
    """Attention as it is, whose output is a leaf: what came before it is another writer's."""
    output = interface.attend(module, query, key, value, *args, **kwargs)[0].detach().requires_grad_()
    scaling = kwargs.get("scaling") if kwargs.get("scaling") is not None else query.shape[-1] ** -0.5
    _calls.append((query, key, scaling, output))
    return output, None


for _name, _mask in (("judge", sdpa_mask), ("judge-with-mask", eager_mask)):
    AttentionInterface.register(_name, _attend)
    AttentionMaskInterface.register(_name, _mask)


def _frozen_layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    centred = x - x.mean(dim=-1, keepdim=True)
    normed = centred * (x.var(dim=-1, keepdim=True, unbiased=False) + eps).rsqrt().detach()
    normed = normed if weight is None else normed * weight
    return normed if bias is None else normed + bias


@contextmanager
def _frozen_norms():
    """Norms whose scale is a constant of the graph: LayerNorm by its function, RMSNorms by their square root."""
    real = torch.rsqrt
    with (
        mock.patch.object(torch.nn.functional, "layer_norm", _frozen_layer_norm),
        mock.patch.object(torch, "rsqrt", lambda x: real(x).detach()),
    ):
        yield


class FrozenJudge:
    """One pass of the library's model, with a leaf at every place where something is written."""

    def __init__(self, model, trace):
        self.model, self.trace, self.leaves = model, trace, []
        sites = [layer.site for stream in trace.streams for layer in trace.stream(stream)._layers]
        self.sites = sites
        ids = {"input_ids": torch.tensor([trace.tokens_of(trace.streams[0])[0].ids])}
        if len(trace.streams) > 1:
            ids["decoder_input_ids"] = torch.tensor([trace.tokens_of("decoder")[0].ids])
        _calls.clear()
        name = "judge-with-mask" if running.our_name(model) == interface.NAME_WITH_MASK else "judge"
        with ExitStack() as stack:
            for site in sites:
                if site.mlp is not None:
                    owner = "decoder" if site.stream == "cross" else site.stream
                    self._leaf_at(stack, site.mlp.module, f"{self._prefix(owner)}mlp {site.layer}")
            for module_name, module in model.named_modules():
                if isinstance(module, nn.Embedding) and "relative" not in module_name:
                    self._leaf_at(stack, module_name, self._table(module_name, module))
            stack.enter_context(_frozen_norms())
            stack.enter_context(running.attention_of(model, name))
            model(**ids, use_cache=False) if model.config.is_encoder_decoder else model(**ids)
        self.calls = list(_calls)
        order = iter(self.calls)
        streams = ["encoder"] * trace.n_layers_of("encoder") if len(trace.streams) > 1 else []
        rest = trace.n_layers_of("decoder" if streams else trace.streams[0])
        names = [(s, i) for i, s in enumerate(streams)]
        names += [(s, i) for i in range(rest) for s in (("decoder", "cross") if streams else trace.streams)]
        self.by_site = dict(zip(names, order, strict=True))

    def writers(self, stream, layer, head, query, key, side):
        """What each writer adds to a score by way of the query or the key: {name: number}."""
        q, k, scaling, _ = self.by_site[stream, layer]
        k = repeat_kv(k, q.shape[1] // k.shape[1])
        asked, answer = q[0, head, query], k[0, head, key]
        score = asked @ answer.detach() if side == "query" else asked.detach() @ answer
        score = score * scaling
        biases = [(n, p) for n, p in self.model.named_parameters() if n.endswith("bias") and p.dim() == 1]
        heads = [(at, call[3]) for at, call in self.by_site.items()]
        leaves = [leaf for _, leaf in self.leaves] + [out for _, out in heads] + [p for _, p in biases]
        grads = torch.autograd.grad(score, leaves, retain_graph=True, allow_unused=True)
        found = {}
        for (name, leaf), grad in zip(self.leaves, grads, strict=False):
            if grad is not None:
                found[name] = found.get(name, 0.0) + float((grad.double() * leaf.detach().double()).sum())
        grads = grads[len(self.leaves) :]
        for ((of, at), out), grad in zip(heads, grads, strict=False):
            if grad is not None:
                each = (grad.double() * out.detach().double()).sum(dim=(0, 1, 3))  # [head]
                found |= {f"{self._prefix(of)}head {at}.{h}": float(value) for h, value in enumerate(each)}
        for (name, bias), grad in zip(biases, grads[len(heads) :], strict=True):
            if grad is not None and bool(grad.any()):
                found[self._bias(name, stream, layer, side)] = float((grad.double() * bias.detach().double()).sum())
        return found

    def _leaf_at(self, stack, module, name):
        def hook(_module, _args, output):
            given = output[0] if isinstance(output, tuple) else output
            leaf = given.detach().requires_grad_()
            self.leaves.append((name, leaf))
            return (leaf, *output[1:]) if isinstance(output, tuple) else leaf

        stack.callback(self.model.get_submodule(module).register_forward_hook(hook).remove)

    def _prefix(self, stream):
        return "" if stream == "self" else f"{stream} "

    def _table(self, name, module):
        if module.num_embeddings == self.model.config.vocab_size:
            return "embedding"
        return "segment" if "type" in name else "position"

    def _bias(self, name, stream, layer, side):
        """What we call the bias of a module: told by the module's place in the wiring, or by what else has one."""
        module = name.removesuffix(".bias")
        for site in self.sites:
            prefix, owner = self._prefix(site.stream), "decoder" if site.stream == "cross" else site.stream
            if module == site.output.module:
                return f"{prefix}bias {site.layer}"
            if site.query is not None and module in (site.query.linear.module, site.key.linear.module):
                return f"{side} bias"
            if site.block == "post-norm" and module == site.after.module:
                return f"{prefix}attention norm shift {site.layer}"
            if site.block == "post-norm" and site.next is not None and module == site.next.module:
                return f"{self._prefix(owner)}mlp norm shift {site.layer}"
        if "embeddings_project" in module:
            return "projection bias"
        if "embed" in module.lower():
            return "embedding norm shift"
        if stream == "cross" and side == "key":
            return "encoder final norm shift"
        return f"{side} input norm shift"
