"""A model of one's own, or one that is named: what `wrap`, `unwrap`, names and limits do, and leave alone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from families import FAMILIES, TEXT, save, word_tokenizer

import attn_core as ac
from attn_core.capture.hooks import TensorHook

TOKENIZER = word_tokenizer()


def hooks_of(hf_model: torch.nn.Module) -> int:
    every = [[*m._forward_hooks.values(), *m._forward_pre_hooks.values()] for m in hf_model.modules()]
    return sum(isinstance(hook, TensorHook) for own in every for hook in own)


class Counting:
    """A compiler that compiles nothing and counts the graphs that it is given."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.graphs += 1
        return graph.forward


def graphs_of(hf_model: Any, ids: torch.Tensor) -> int:
    torch._dynamo.reset()
    compiler = Counting()
    with torch.inference_mode():
        torch.compile(hf_model, backend=compiler)(input_ids=ids)
    return compiler.graphs


def test_a_wrapped_model_compiles_into_as_many_graphs_as_before_and_is_still_traced() -> None:
    hf_model = FAMILIES["bert"].build()
    ids = torch.tensor([TOKENIZER(TEXT)["input_ids"]])
    before = graphs_of(hf_model, ids)
    model = ac.wrap(hf_model, TOKENIZER)
    assert hooks_of(hf_model) > 0 and graphs_of(hf_model, ids) == before
    expected = ac.trace(model, TEXT)
    hf_model.compile(backend=Counting())
    with torch.inference_mode():
        own = hf_model(input_ids=ids)
    again = ac.trace(model, TEXT)
    assert np.array_equal(again.patterns(1), expected.patterns(1)) and again.check().ok
    with torch.inference_mode():
        assert torch.equal(hf_model(input_ids=ids)[0], own[0])
    torch._dynamo.reset()


def test_unwrap_takes_out_what_wrap_put_in() -> None:
    hf_model = FAMILIES["gpt2"].build()
    model = ac.wrap(hf_model, TOKENIZER)
    trace = ac.trace(model, TEXT)
    ac.unwrap(model)
    assert hooks_of(hf_model) == 0 and trace.check().ok
    with pytest.raises(ac.HeadlightError, match=r"was unwrapped: wrap it again"):
        ac.trace(model, TEXT)
    again = ac.trace(ac.wrap(hf_model, TOKENIZER), TEXT)
    assert np.array_equal(again.patterns(0), trace.patterns(0))
    ac.unwrap(hf_model)
    assert hooks_of(hf_model) == 0
    with pytest.raises(ac.HeadlightError, match="was loaded, not wrapped"):
        ac.unwrap(ac.load("tiny-decoder"))
    with pytest.raises(ac.HeadlightError, match="str is no model"):
        ac.unwrap("minilm")


def test_a_model_may_be_named(tmp_path: Path) -> None:
    trace = ac.trace("tiny-decoder", "the blue creature ate")
    assert trace.model_name == "tiny-decoder" and trace.check().ok
    assert ac.load("tiny-decoder").hf is trace.stream().module()  # not read twice
    assert [one.model_name for one in ac.trace_many("tiny-decoder", ["the creature ate"])] == ["tiny-decoder"]
    trace.save(str(tmp_path / "x.headlight"))
    opened = ac.open_trace(str(tmp_path / "x.headlight"), "tiny-decoder")
    assert np.array_equal(opened.delta_e(0, 1), trace.delta_e(0, 1))
    folder = tmp_path / "own"
    save("gpt2", folder)
    assert ac.trace(str(folder), TEXT).family == ac.trace(folder, TEXT).family == "gpt2"
    with pytest.raises(ac.UnknownModel, match="nope"):
        ac.trace("nope", TEXT)
    with pytest.raises(ac.HeadlightError, match=r"not GPT2LMHeadModel; .* wrapped first"):
        ac.trace(FAMILIES["gpt2"].build(), TEXT)


def test_a_text_that_is_cut_warns_and_says_so() -> None:
    hf_model = FAMILIES["gpt2"].build()
    model = ac.wrap(hf_model, TOKENIZER)
    assert model.limit == hf_model.config.n_positions  # the model's own, whatever the app's setting is
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "cut" not in repr(ac.trace(model, TEXT))
    with pytest.warns(ac.TextWasCut, match="cut after 3 tokens: 4 more are not shown") as said:
        trace = ac.trace(model, "one grey fox ran far", limit=3)
    assert said[0].filename == __file__  # the line that asked
    assert len(trace.tokens) == 3 and repr(trace).endswith("; cut after 3 tokens: 4 more are not shown>")
    assert ac.wrap(hf_model, TOKENIZER, limit=4).limit == 4 and model.limit == hf_model.config.n_positions
    with pytest.warns(ac.TextWasCut):
        list(ac.trace_many(ac.wrap(hf_model, TOKENIZER, limit=4), ["one grey fox ran far"]))
    with pytest.raises(ValueError, match="limit must be at least 1 token, got 0"):
        ac.trace(model, TEXT, limit=0)


def test_a_loaded_model_reads_what_it_was_made_for_or_less() -> None:
    whole, less = ac.load("tiny-decoder"), ac.load("tiny-decoder", limit=5)
    assert less.limit == 5 < whole.limit and less.hf is whole.hf
    with pytest.warns(ac.TextWasCut):
        assert len(ac.trace(less, "the blue creature and the green creature ate").tokens) == 5


def test_weights_that_were_learnt_since_a_model_was_wrapped_are_looked_at_anew() -> None:
    """Doge scales the stream by weights that begin at 1: at first a block adds up, and then no more."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = tf.AutoConfig.for_model("doge", vocab_size=99, num_key_value_heads=2, **sizes)
    hf_model = tf.AutoModelForCausalLM.from_config(config).eval()
    assert ac.trace(ac.wrap(hf_model, word_tokenizer()), TEXT).check().residual < 1e-5
    with torch.no_grad():
        for layer in hf_model.model.layers:
            layer.input_residual.mul_(0.9)
        hf_model.model.layers[-1].mlp.down_proj.weight.zero_()  # a tensor of noughts is no sum of anything
    found = ac.trace(ac.wrap(hf_model, word_tokenizer()), TEXT).check()
    assert found.ok and found.residual is None
