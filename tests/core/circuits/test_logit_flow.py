"""From a next word's logit down: the parts are the logit, and each is what one computes by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from families import FAMILIES, TEXT, word_tokenizer

import attn_core as ac
from attn_core.circuits.flow import FLOW_MEASURES, flow
from attn_core.circuits.logit_flow import logit_top
from attn_core.errors import DoesNotAddUp, HeadlightError
from attn_core.residual.logit_attribution import direct_logit_attribution

TOKEN, WORD = 7, 11
CAUSAL = ["gpt2", "opt", "gpt_neox", "llama", "mistral", "qwen3", "gemma2", "olmo2", "cohere"]


def traced(name, **options):
    model = FAMILIES[name].build()
    return model, ac.trace(ac.wrap(model, word_tokenizer(), name=name), TEXT, **options)


@pytest.fixture(scope="module")
def gpt2():
    return traced("gpt2")


@pytest.mark.parametrize("name", CAUSAL)
def test_words_biases_and_mlps_add_up_to_the_models_logit(name):
    _model, trace = traced(name)
    found = logit_top(trace.stream(), TOKEN, WORD).down(flow(trace.stream()))
    logits = trace.logits(TOKEN).astype(float)
    size = np.abs(found.top.brought).sum() + abs(found.top.mlp) + abs(found.top.constant)
    assert found.top.logit == pytest.approx(logits[WORD] - logits.mean(), abs=1e-9)
    assert found.words.sum() == pytest.approx(found.top.logit, abs=2e-5 * size)
    assert found.words.shape == (len(trace.tokens) + 2,)
    assert not found.top.brought[:, TOKEN + 1 :].any() and not found.reach[:, TOKEN + 1 : -1].any()  # it is causal


@pytest.mark.parametrize("name", ["gpt2", "llama", "olmo2"])
def test_the_top_is_direct_logit_attribution(name):
    """The mean of all words falls out of the difference of two."""
    _model, trace = traced(name)
    behind = flow(trace.stream())
    one, other = (logit_top(trace.stream(), TOKEN, word).down(behind) for word in (WORD, 30))
    judge = direct_logit_attribution(trace, TOKEN, WORD) - direct_logit_attribution(trace, TOKEN, 30)
    brought = (one.top.brought - other.top.brought).sum(axis=1)
    shifts = judge.heads.sum(axis=1)  # of a norm after attention, the heads' share of it
    np.testing.assert_allclose(brought, shifts, atol=2e-5 * np.abs(judge.heads).sum())
    assert one.top.mlp - other.top.mlp == pytest.approx(judge.mlp.sum(), abs=2e-5 * np.abs(judge.mlp).sum())


def test_what_one_layer_brought_is_that_of_gpt2s_own_parameters(gpt2):
    model, trace = gpt2
    found = logit_top(trace.stream(), TOKEN, WORD).down(flow(trace.stream()))
    final, part = model.transformer.ln_f, model.transformer.h[1]
    x = torch.as_tensor(trace.embedding(1)).double()
    normed = torch.nn.functional.layer_norm(x, (32,), part.ln_1.weight.double(), part.ln_1.bias.double(), part.ln_1.eps)
    values = normed @ part.attn.c_attn.weight.double()[:, 64:] + part.attn.c_attn.bias.double()[64:]
    pattern = torch.as_tensor(trace.patterns(1)).double()
    last = torch.as_tensor(trace.embedding(2)[TOKEN]).double()
    scale = final.weight.double() / (last.var(unbiased=False) + final.eps).sqrt()
    table = model.lm_head.weight.detach().double()
    row = table[WORD] - table.mean(0)
    for key in range(len(x)):
        own = sum(
            pattern[h, TOKEN, key]
            * values[key, 8 * h : 8 * h + 8]
            @ part.attn.c_proj.weight.double()[8 * h : 8 * h + 8]
            for h in range(4)
        )
        judge = float((((own - own.mean()) * scale) @ row).detach())
        assert found.top.brought[1, key] == pytest.approx(judge, abs=1e-5), key


@pytest.mark.parametrize("measure", FLOW_MEASURES)
def test_it_goes_down_as_the_flow_behind_each_token(gpt2, measure):
    _model, trace = gpt2
    behind = flow(trace.stream(), measure)
    found = logit_top(trace.stream(), TOKEN, WORD).down(behind)
    n = len(trace.tokens)
    judge = np.append(found.top.brought[0], 0.0) + found.top.brought[1] @ behind.behind(1)
    judge[TOKEN] = found.reach[0, TOKEN]  # and E of the token itself
    np.testing.assert_allclose(found.reach[0], judge, atol=1e-9)
    np.testing.assert_allclose(found.reach[1], np.append(found.top.brought[1], 0.0))
    assert not found.reach[2].any() and found.reach.shape == (3, n + 1)


def test_with_identity_attention_all_that_words_add_is_the_tokens_own():
    n = len(traced("gpt2")[1].tokens)
    edit = {(layer, head): np.eye(n, dtype=np.float32) for layer in range(2) for head in range(4)}
    _model, trace = traced("gpt2", edit=edit)
    found = logit_top(trace.stream(), TOKEN, WORD).down(flow(trace.stream(), "rollout"))
    assert not np.delete(found.reach[0, :-1], TOKEN).any() and found.reach[0, TOKEN] != 0


def test_what_cannot_be_followed_is_refused(gpt2):
    _model, trace = gpt2
    behind = flow(trace.stream())
    with pytest.raises(IndexError, match="token 99"):
        logit_top(trace.stream(), 99, WORD).down(behind)
    _encoder, bert = traced("bert")
    with pytest.raises(HeadlightError, match="LayerNorm follows every sum"):
        logit_top(bert.stream(), TOKEN, WORD).down(flow(bert.stream()))
    donor = np.ones((len(trace.tokens), 32), np.float32)
    _patched, patched = traced("gpt2", patch={ac.at.residual(1): donor})
    with pytest.raises(DoesNotAddUp, match="miss"):
        logit_top(patched.stream(), TOKEN, WORD).down(flow(patched.stream()))
