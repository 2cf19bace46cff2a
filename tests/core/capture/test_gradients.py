"""Gradients against finite differences of patched passes, which `test_patches` judges by eager models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES, TARGET, TEXT, word_tokenizer
from torch import Tensor

import attn_core as ac

DOCS = Path(__file__).parents[3] / "docs" / "gradients.md"
JUDGED = ["gpt2", "llama", "gemma2", "gpt_neox", "bert", "mbart"]


def traced(model: ac.Model, **options: Any) -> ac.Trace:
    target = {"target": TARGET} if model.kind == "encoder-decoder" else {}
    return ac.trace(model, TEXT, **target, **options)


def slope(model: ac.Model, place: Any, around: np.ndarray, way: np.ndarray, step: float) -> float:
    """How fast the loss moves along a way, by a difference of two patched passes."""
    ends = [traced(model, patch={place: around + sign * step * way}) for sign in (1, -1)]
    losses = [loss(torch.tensor(final(end)), torch.float64) for end in ends]
    return float(losses[0] - losses[1]) / (2 * step)


def final(trace: ac.Trace) -> Any:
    return trace.final_embedding(stream="decoder" if len(trace.streams) > 1 else None)


def loss(states: Tensor, kind: torch.dtype = torch.float32) -> Tensor:
    return (states.to(kind).sin() * torch.linspace(-1, 1, states.numel(), dtype=kind).view_as(states)).sum()


@pytest.mark.parametrize("name", JUDGED)
def test_gradients_equal_finite_differences(name: str) -> None:
    """By the stream, query, key, value, pattern, a head's output and ΔE, in every stream."""
    model = ac.wrap(FAMILIES[name].build(), word_tokenizer(), name=name)
    plain, graph = traced(model), traced(model, grad=True)
    assert isinstance(final(graph), Tensor)
    np.testing.assert_allclose(final(graph).detach(), final(plain), atol=1e-5 * np.abs(final(plain)).max())
    value, random = loss(final(graph)), np.random.default_rng(0)
    for stream in plain.streams:
        at = {"stream": stream}
        pattern = plain.pattern(0, 1, **at)
        ways = {
            "embedding": (ac.at.residual(1, **at), (1,)),
            "attention_added": (ac.at.attention(0, **at), (0,)),
            "query": (ac.at.query(0, 1, **at), (0, 1)),
            "value": (ac.at.value(0, 0, **at), (0, 0)),
            "key": (ac.at.key(0, 0, **at), (0, 0)),
            "weighted_values": (ac.at.head(0, 1, **at), (0, 1)),
            "pattern": (ac.at.pattern(0, 1, **at), (0, 1)),
        }
        for reader, (place, where) in ways.items():
            if name in ("llama", "gemma2") and reader in ("key", "value"):
                continue  # heads of a group share theirs: see the test below
            node = getattr(graph, reader)(*where, **at)
            here = getattr(plain, reader)(*where, **at)
            way = random.standard_normal(here.shape).astype(np.float32)
            if reader == "pattern":  # which stays one: rows sum to 1, nothing is negative
                way = pattern * (way - (pattern * way).sum(axis=1, keepdims=True))
            (gradient,) = torch.autograd.grad(value, node, retain_graph=True)
            ours = float((gradient.double() * torch.tensor(way).double()).sum())
            size = float(gradient.norm()) * float(np.linalg.norm(way)) + 1e-6
            theirs = slope(model, place, here, way, 3e-3)
            assert ours == pytest.approx(theirs, abs=4e-3 * size), (stream, reader)
        (by_delta,) = torch.autograd.grad(value, graph.delta_e(0, 1, **at), retain_graph=True)
        (by_output,) = torch.autograd.grad(value, graph.attention_output(0, **at), retain_graph=True)
        np.testing.assert_array_equal(by_delta, by_output)  # ΔE is a term of the sum
        if plain.block(0, **at) != "norm-after":
            (by_added,) = torch.autograd.grad(value, graph.attention_added(0, **at), retain_graph=True)
            np.testing.assert_array_equal(by_delta, by_added)


def test_a_shared_key_has_the_gradient_of_all_its_heads() -> None:
    model = ac.wrap(FAMILIES["llama"].build(), word_tokenizer())
    plain, graph = traced(model), traced(model, grad=True)
    assert graph.value(0, 0) is graph.value(0, 1)
    way = np.random.default_rng(0).standard_normal(plain.value(0, 0).shape).astype(np.float32)
    (gradient,) = torch.autograd.grad(loss(final(graph)), graph.value(0, 0))
    ends = []
    for sign in (1, -1):
        moved = plain.value(0, 0) + sign * 3e-3 * way
        both = traced(model, patch={ac.at.value(0, 0): moved, ac.at.value(0, 1): moved})
        ends.append(float(loss(torch.tensor(final(both)), torch.float64)))
    size = float(gradient.norm()) * float(np.linalg.norm(way))
    assert float((gradient * torch.tensor(way)).sum()) == pytest.approx((ends[0] - ends[1]) / 6e-3, abs=4e-3 * size)


def test_numbers_are_those_of_the_plain_trace_and_splits_still_work() -> None:
    model = ac.load("tiny-decoder")
    text = "the blue creature ate"
    other = ac.trace(model, "the red creature slept")
    patch = {
        ac.at.head(0, 1, position=2): "mean", ac.at.key(1, 0): other, ac.at.pattern(1, 2): other,
        ac.at.residual(1, position=1): other, ac.at.mlp(0): "mean",
    }  # fmt: skip
    for changes in ({}, {"patch": patch}):
        plain, graph = ac.trace(model, text, **changes), ac.trace(model, text, grad=True, **changes)
        assert graph.changes == plain.changes and graph.detached().changes == plain.changes
        np.testing.assert_allclose(graph.logits().detach(), plain.logits(), atol=1e-4)
        for read in ("pattern", "scores", "raw_scores", "query", "key", "value", "delta_e", "weighted_values"):
            np.testing.assert_allclose(getattr(graph, read)(1, 1).detach(), getattr(plain, read)(1, 1), 1e-5, 1e-4)
        for read in ("patterns", "delta_e_sizes", "attention_output", "embedding", "mlp_added", "after_attention"):
            np.testing.assert_allclose(getattr(graph, read)(1).detach(), getattr(plain, read)(1), 1e-5, 1e-4)
        np.testing.assert_allclose(graph.embedding(2).detach(), plain.embedding(2), 1e-5, 1e-4)
        np.testing.assert_allclose(graph.pattern_row(1, 1, 2).detach(), plain.pattern_row(1, 1, 2), atol=1e-5)
        split = graph.delta_e_by_source(1, 1, 2)
        np.testing.assert_allclose(split.detach(), plain.delta_e_by_source(1, 1, 2), atol=1e-4)
        assert graph.check().ok and graph.detached().check().ok
        assert graph.score_parts(1, 1, 2, 1).residue < 1e-5
        np.testing.assert_allclose(graph.detached().pattern(1, 1), plain.pattern(1, 1), atol=1e-6)
    with pytest.raises(IndexError, match="layer 2 is out of range"):
        graph.pattern(2, 0)


def test_weights_stay_as_they_were_and_get_no_gradient() -> None:
    built = FAMILIES["gpt2"].build()
    model = ac.wrap(built, word_tokenizer())
    assert all(p.requires_grad for p in built.parameters())
    graph = traced(model, grad=True)
    loss(final(graph)).backward()
    assert all(p.requires_grad and p.grad is None for p in built.parameters())
    before = traced(model).final_embedding()
    np.testing.assert_allclose(before, final(graph).detach(), atol=1e-5)


def test_the_worked_examples_run_and_hold() -> None:
    """Of docs/gradients.md: the estimate goes with real patches, and integrated gradients are complete."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL):
        exec(block, names)
    assert names["by_stream"].shape == names["trace"].embedding(1).shape and names["by_stream"].abs().max() > 0
    estimated, real = names["estimated"].flatten().numpy(), names["real"].flatten().numpy()
    assert np.corrcoef(estimated, real)[0, 1] > 0.8
    assert float(names["by_token"].sum()) == pytest.approx(names["difference"], rel=0.02)
