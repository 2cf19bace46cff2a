"""What is compared of a model in half precision, or on another device, with the same weights in float32 on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from families import CAUSAL, FAMILIES, TARGET, TEXT, word_tokenizer

import attn_core as ac

HALF = [torch.bfloat16, torch.float16]
# How far a pass may be from one in float32: what its roundings add up to over two layers, ÷ the largest value.
PASS = {torch.float32: 2e-5, torch.float16: 2e-2, torch.bfloat16: 1.5e-1}


@dataclass
class Pair:
    """One tiny model twice: as it is judged, and in float32 on the CPU."""

    name: str
    kind: torch.dtype
    device: str = "cpu"
    options: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def exact(self) -> ac.Model:
        return ac.wrap(FAMILIES[self.name].build(), word_tokenizer(), name=self.name)

    @cached_property
    def model(self) -> ac.Model:
        hf_model = copy.deepcopy(FAMILIES[self.name].build()).to(self.device, self.kind)
        return ac.wrap(hf_model, word_tokenizer(), name=self.name)

    @property
    def target(self) -> dict[str, str]:
        return {"target": TARGET} if self.exact.kind == "encoder-decoder" else {}

    def traces(self, **options: Any) -> tuple[ac.Trace, ac.Trace]:
        """(as it is judged, exact), with the same options."""
        ours, exact = (ac.trace(m, TEXT, **self.target, **options) for m in (self.model, self.exact))
        return ours, exact

    @property
    def near(self) -> float:
        return PASS[self.kind]


def readings(trace: ac.Trace) -> Iterator[tuple[str, np.ndarray]]:
    """What readers give, by name."""
    for name in trace.streams:
        own = trace.stream(name)
        for layer in range(own.n_layers):
            yield f"E {name} {layer}", own.embedding(layer)
            yield f"attention {name} {layer}", own.attention_output(layer)
            yield f"sizes {name} {layer}", own.delta_e_sizes(layer)
            yield f"patterns {name} {layer}", own.patterns(layer)
            for head in range(own.n_heads):
                yield f"pattern {name} {layer}.{head}", own.pattern(layer, head)
                yield f"delta_e {name} {layer}.{head}", own.delta_e(layer, head)
                yield f"value {name} {layer}.{head}", own.value(layer, head)
    yield "row", own.pattern_row(0, 0, 1)
    yield "by source", own.delta_e_by_source(0, 0, 1)
    yield "heads of a token", own.heads_delta_e(0, 1)
    if own._final is not None:
        yield "final", own.final_embedding()


def assert_near(ours: ac.Trace, exact: ac.Trace, near: float) -> None:
    for (name, one), (_, other) in zip(readings(ours), readings(exact), strict=True):
        assert one.dtype == np.float32 and one.shape == other.shape, name
        assert np.abs(one - other).max() <= near * max(np.abs(other).max(), 1e-6), (name, np.abs(one - other).max())
    for name in exact.streams:
        np.testing.assert_allclose(ours.patterns(0, stream=name).sum(axis=-1), 1, atol=1e-5)  # exactly, not nearly


def check_a_trace(pair: Pair) -> None:
    """Captured as it is, read in float32, and checked with the tolerance of its number type."""
    ours, exact = pair.traces()
    call = ours.stream(ours.streams[0])._layers[0].call
    assert call.query.dtype == torch.float32 and call.query.device.type == pair.device
    assert_near(ours, exact, pair.near)
    check = ours.check()
    assert check.ok, check
    assert check.precision == str(pair.kind).removeprefix("torch.")
    assert ("of a model in" in repr(check)) == (pair.kind != torch.float32)
    parameters = {(p.dtype, p.device.type) for p in pair.model.hf.parameters()}
    assert parameters == {(pair.kind, pair.device)}  # the model is as it was
    if pair.name in CAUSAL:
        logits, wanted = ours.logits(), exact.logits()
        assert np.abs(logits - wanted).max() <= pair.near * np.abs(wanted).max()


def check_patches(pair: Pair) -> None:
    """Patched passes move where those in float32 move, and their sums still add up."""
    plain = pair.traces()
    stream = plain[0].streams[0]
    at = {"stream": stream}
    n = len(plain[1].tokens_of(stream)[0])
    even = plain[1].may_look(1, **at) / plain[1].may_look(1, **at).sum(axis=1, keepdims=True)
    patches = [
        {ac.at.head(0, 1, **at): "zero"},
        {ac.at.attention(0, **at): "mean"},
        {ac.at.residual(1, position=n // 2, **at): plain[1].embedding(0, **at)[0]},
        {ac.at.value(1, 0, **at): "zero", ac.at.pattern(1, 3, **at): even},
    ]
    for patch in patches:
        ours, exact = pair.traces(patch=patch)
        assert_near(ours, exact, pair.near)
        assert ours.check().ok, (patch, ours.check())
        assert np.abs(exact.embedding(2, **at) - plain[1].embedding(2, **at)).max() > 1e-3
    donor = ac.trace(pair.model, TEXT, **pair.target, without=[plain[0].stream(stream).head_key(0, 0)])
    put = ac.trace(pair.model, TEXT, **pair.target, patch={ac.at.residual(1, **at): donor})
    np.testing.assert_array_equal(put.embedding(1, **at), donor.embedding(1, **at))


def check_gradients(pair: Pair) -> None:
    """Readers are float32 tensors in the graph, where the model is, and gradients point where exact ones do."""
    ours, exact = pair.traces(grad=True)
    stream = ours.streams[-1] if len(ours.streams) == 1 else "decoder"
    for one in (ours, exact):
        assert one.check().ok
    got, wanted = [], []
    for trace, found in ((ours, got), (exact, wanted)):
        final = trace.final_embedding(stream=stream)
        loss = (final * torch.linspace(-1, 1, final.numel(), device=final.device).view_as(final)).sum()
        nodes = [
            trace.embedding(0, stream=stream), trace.query(0, 1, stream=stream), trace.value(0, 0, stream=stream),
            trace.pattern(1, 0, stream=stream), trace.delta_e(1, 1, stream=stream),
        ]  # fmt: skip
        assert {node.dtype for node in nodes} == {torch.float32}
        found += [g.cpu() for g in torch.autograd.grad(loss, nodes)]
    near = {torch.float32: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.4}[pair.kind]
    for gradient, other in zip(got, wanted, strict=True):
        assert float((gradient - other).norm()) <= near * float(other.norm())


def check_many(pair: Pair) -> None:
    """Sentences of a batch equal single ones, up to the roundings of the number type."""
    texts = [TEXT, "one fox", "the sun went down on the hill"]
    for text, ours in zip(texts, ac.trace_many(pair.model, texts, batch=3), strict=True):
        assert_near(ours, ac.trace(pair.model, text), pair.near)
        assert ours.check().ok


def check_files(pair: Pair, folder: Any) -> None:
    """A saved trace reads as it did, on the CPU, and says in what its model computed."""
    ours, _ = pair.traces()
    ours.save(folder / "x.headlight", with_output=True)
    for opened in (ac.open_trace(folder / "x.headlight"), ac.open_trace(folder / "x.headlight", pair.model)):
        assert opened.check().precision == ours.check().precision
        stream = ours.streams[0]
        np.testing.assert_allclose(
            opened.delta_e(0, 1, stream=stream), ours.delta_e(0, 1, stream=stream), rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(opened.patterns(1, stream=stream), ours.patterns(1, stream=stream), atol=1e-5)
    assert opened.check().ok
