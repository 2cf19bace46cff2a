"""What a trace keeps: no tensor that follows from others; `keep="small"`: q, k, v and the residual stream alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from families import FAMILIES, TARGET, TEXT, of_each_kind, word_tokenizer

import attn_core as ac
from attn_core.capture.model import WIRINGS

TOKENIZER = word_tokenizer()
OF_A_LAYER = ("attention_input", "attention_memory", "attention_added", "after_attention", "mlp_added", "embedding")
OF_HEADS = ("attention_output", "delta_e_sizes", "patterns")


def texts_of(model: ac.Model) -> dict[str, Any]:
    return {"text": TEXT, "target": TARGET if model.kind == "encoder-decoder" else None}


def keeping_all(model: ac.Model) -> ac.Trace:
    """The trace of a pass that keeps everything, whether or not it follows from something else."""
    return ac.trace(replace(model, wiring=model.wiring.keeping_all()), **texts_of(model))


def assert_close(
    ours: ac.Trace, whole: ac.Trace, names: tuple[str, ...] = OF_A_LAYER + OF_HEADS, near: float = 1e-6
) -> None:
    """Every reader of every layer, within a few roundings of the stream that it was computed from."""
    for stream in whole.streams:
        own, other = ours.stream(stream), whole.stream(stream)
        for layer in range(own.n_layers):
            size = max(float(np.abs(other.embedding(n)).max()) for n in (layer, layer + (stream != "decoder")))
            for name in names:
                try:
                    theirs = getattr(other, name)(layer)
                except ac.HeadlightError:  # no such tensor in this family, or in this stream
                    continue
                allowed = near * max(size, float(np.abs(theirs).max()))
                np.testing.assert_allclose(getattr(own, name)(layer), theirs, rtol=0, atol=allowed, err_msg=name)
            np.testing.assert_allclose(own.delta_e(layer, 1), other.delta_e(layer, 1), rtol=0, atol=near * size)


@pytest.fixture(scope="module", params=of_each_kind())
def model(request: pytest.FixtureRequest) -> ac.Model:
    return ac.wrap(FAMILIES[request.param].build(), TOKENIZER, name=request.param)


def test_what_follows_from_the_rest_is_what_the_model_had(model: ac.Model) -> None:
    trace, whole = ac.trace(model, **texts_of(model)), keeping_all(model)
    assert_close(trace, whole)
    assert trace.check().ok and trace.check().not_compared == whole.check().not_compared
    if model.kind == "decoder" and whole.stream().block(0) == "pre-norm":
        assert trace.n_bytes < 0.85 * whole.n_bytes
        np.testing.assert_array_equal(trace.after_attention(0), whole.after_attention(0))  # the very same addition


def test_a_small_trace_reads_as_a_whole_one_and_is_not_compared(model: ac.Model) -> None:
    small, whole = ac.trace(model, **texts_of(model), keep="small"), keeping_all(model)
    assert small.n_bytes < ac.trace(model, **texts_of(model)).n_bytes
    names = OF_A_LAYER + OF_HEADS if whole.stream(whole.streams[0]).block(0) != "post-norm" else OF_HEADS
    assert_close(small, whole, names)
    for stream in whole.streams:
        theirs = whole.stream(stream).weighted_values(1, 2)
        np.testing.assert_allclose(small.stream(stream).weighted_values(1, 2), theirs, atol=1e-6 * np.abs(theirs).max())
    check = small.check()
    assert check.not_compared == ("pattern", "delta", "residual") and not check.ok
    assert repr(check).startswith("Parity(pattern=not compared, delta=not compared, residual=not compared")


def test_the_shape_of_gpt2_keeps_what_it_may() -> None:
    """235 MB of 12 layers and 1,024 tokens, 160 MB small; here a layer and a half's worth of both, exactly."""
    n, width, layers = 64, 768, 2
    settings = tf.GPT2Config(vocab_size=99, n_layer=layers, n_positions=n)
    model = ac.wrap(tf.GPT2LMHeadModel(settings).eval(), TOKENIZER)
    tensor = 4 * n * width
    ids = [5 + i % 20 for i in range(n)]
    assert ac.trace(model, ids).n_bytes == (6 * layers + 2) * tensor  # q, k, v, E, weighted, projected; the last two
    small = ac.trace(model, ids, keep="small").n_bytes
    assert 0 <= small - (4 * layers + 2) * tensor <= layers * 2 * 7 * width * 4  # and a few rows of each layer
    whole = 1024 / n * tensor / 1e6
    assert (6 * 12 + 2) * whole <= 235 and (4 * 12 + 2) * whole + 12 * 2 * 7 * width * 4 / 1e6 <= 160


def test_a_small_trace_is_of_a_plain_pass() -> None:
    model = ac.load("tiny-decoder")
    for options in ({"without": [(0, 1)]}, {"patch": {ac.at.mlp(0): "zero"}}, {"grad": True}):
        with pytest.raises(ValueError, match='keep="small" is for a plain pass'):
            ac.trace(model, "the creature ate", keep="small", **options)
    with pytest.raises(ValueError, match="keep must be"):
        ac.trace(model, "the creature ate", keep="tiny")


@pytest.mark.parametrize("name", ["gpt2", "bert", "llama", "t5"])
def test_many_traces_are_as_small_as_one_and_read_alike(name: str) -> None:
    model = ac.wrap(FAMILIES[name].build(), TOKENIZER)
    target = TARGET if model.kind == "encoder-decoder" else None
    texts = [TEXT, "one fox", "the old fox sat by the tree"]
    many = ac.trace_many(model, [(text, target) if target else text for text in texts], keep="small")
    for text, ours in zip(texts, many, strict=True):
        assert ours.n_bytes == ac.trace(model, text, target=target, keep="small").n_bytes
        assert ours.n_bytes < ac.trace(model, text, target=target).n_bytes or text == "one fox"
        assert_close(ours, ac.trace(model, text, target=target), OF_HEADS, 1e-5)
        assert ours.check().not_compared == ("pattern", "delta", "residual")
    with pytest.raises(ValueError, match="keep must be"):
        ac.trace_many(model, texts, keep="tiny")


def test_a_small_trace_is_saved_and_opened(tmp_path: Path) -> None:
    model = ac.load("tiny-decoder")
    trace = ac.trace(model, "the blue creature ate", keep="small")
    trace.save(tmp_path / "x", with_output=True)
    for again in (ac.open_trace(tmp_path / "x"), ac.open_trace(tmp_path / "x", model)):
        assert again.check().not_compared == ("pattern", "delta", "residual")
        for name in ("delta_e", "pattern"):
            np.testing.assert_array_equal(getattr(again, name)(1, 2), getattr(trace, name)(1, 2))
        np.testing.assert_array_equal(again.mlp_added(1), trace.mlp_added(1))


@pytest.mark.parametrize("keep", ["full", "small"])
def test_other_weights_give_no_x_and_no_delta_e(keep: str) -> None:
    """What is computed again by the model's norms must be what they gave in the pass."""
    hf_model = FAMILIES["gpt2"].build()
    model = ac.wrap(hf_model, TOKENIZER)
    trace = ac.trace(model, TEXT, keep=keep)
    trace.attention_input(1)
    with torch.no_grad():
        hf_model.transformer.h[1].ln_1.weight.mul_(1.01)
    with pytest.raises(ac.HeadlightError, match="no longer those of this trace"):
        trace.attention_input(1)
    with torch.no_grad():
        hf_model.transformer.h[1].attn.c_proj.weight.mul_(1.01)
    with pytest.raises(ac.HeadlightError, match="no longer those of this trace"):
        trace.delta_e(1, 0)


def test_a_model_that_is_trained_is_checked_without_its_dropout() -> None:
    settings = {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "resid_pdrop": 0.5}
    hf_model = tf.GPT2LMHeadModel(tf.GPT2Config(**settings)).train()
    trace = ac.trace(ac.wrap(hf_model, TOKENIZER), TEXT)
    assert trace.check().ok and trace.check().residual is not None and hf_model.training


def test_half_precision_keeps_what_sums_do_not_give_exactly() -> None:
    hf_model = FAMILIES["gpt2"].build().to(torch.bfloat16)
    model = ac.wrap(hf_model, TOKENIZER)
    assert not any(site.derived for site in model.wiring.sites)
    assert any(site.derived for site in ac.wrap(FAMILIES["gpt2"].build(), TOKENIZER).wiring.sites)
    assert ac.trace(model, TEXT).check().ok and WIRINGS[hf_model][1] is model.wiring
