"""Logits of parts against torch's own norms, and against the logits of real models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from families import FAMILIES, TARGET, TEXT, word_tokenizer

import attn_core as ac
from attn_core.residual import decomposition, logit_attribution
from attn_core.residual.frozen_norm import FrozenNorm

RNG = np.random.default_rng(0)


def layer_norm(x, eps=1e-5):
    return torch.nn.functional.layer_norm(torch.tensor(x), x.shape[-1:], GAMMA, BETA, eps).numpy()


def rms_norm(x, eps=1e-6):
    return torch.nn.functional.rms_norm(torch.tensor(x), x.shape[-1:], GAMMA, eps).numpy()


GAMMA, BETA = torch.tensor(RNG.normal(size=24)), torch.tensor(RNG.normal(size=24))


@pytest.mark.parametrize("centred", [True, False])
def test_parts_and_constant_are_the_logit_under_a_frozen_norm(centred):
    parts, word = RNG.normal(size=(7, 24)), RNG.normal(size=24)
    x = parts.sum(axis=0)
    scale = np.sqrt(x.var() + 1e-5) if centred else np.sqrt((x**2).mean() + 1e-6)
    shift = BETA.numpy() if centred else np.zeros(24)
    frozen = FrozenNorm(GAMMA.numpy() / scale, shift, centred)
    judge = layer_norm(x) if centred else rms_norm(x)
    np.testing.assert_allclose(frozen.whole(x), judge, rtol=1e-9)
    shares, constant = logit_attribution.direct_logits(parts, frozen, word, bias=0.25)
    assert shares.sum() + constant == pytest.approx(judge @ word + 0.25)


@pytest.mark.parametrize(("judge", "centred"), [(layer_norm, True), (rms_norm, False)])
def test_a_norm_is_frozen_by_what_it_computes(judge, centred):
    x = 2 + RNG.normal(size=24)
    frozen = FrozenNorm.of(judge, x)
    assert frozen.centred is centred
    np.testing.assert_allclose(frozen.whole(x), judge(x), rtol=1e-6)
    pieces = RNG.normal(size=(3, 24))
    pieces[2] = x - pieces[:2].sum(axis=0)
    np.testing.assert_allclose(frozen.part(pieces).sum(axis=0) + frozen.shift, judge(x), rtol=1e-6)


def test_a_norm_is_asked_once_whatever_it_is_frozen_at():
    asked = []
    x = RNG.normal(size=(2, 3, 24))
    frozen = FrozenNorm.of(lambda rows: asked.append(rows.shape) or layer_norm(rows), x)
    assert asked == [(2 + 2 * 6, 24)]
    np.testing.assert_allclose(frozen.whole(x), layer_norm(x), rtol=1e-6)


def test_what_is_no_norm_is_not_frozen():
    with pytest.raises(ValueError, match="neither"):
        FrozenNorm.of(np.tanh, RNG.normal(size=24))


# ------------------------------------------------------------------------------------------------------- real models

TOKEN, WORD, OTHER = 5, 17, 41
PREDICTING = [name for name, family in FAMILIES.items() if family.block != "post-norm" and name not in ("modernbert",)]


def traced(name):
    model = FAMILIES[name].build()
    wrapped = ac.wrap(model, word_tokenizer(), name=name)
    options = {"target": TARGET} if wrapped.kind == "encoder-decoder" else {}
    return model, ac.trace(wrapped, TEXT, **options)


def judged_logits(model, trace):
    """The library's own logits at TOKEN, from an ordinary call."""
    with torch.inference_mode():
        if trace.kind == "encoder-decoder":
            source, target = (torch.tensor([trace.tokens_of(s)[0].ids]) for s in ("encoder", "decoder"))
            return model(input_ids=source, decoder_input_ids=target).logits[0, TOKEN].numpy()
        return model(input_ids=torch.tensor([trace.tokens.ids])).logits[0, TOKEN].numpy()


@pytest.mark.parametrize("name", PREDICTING)
def test_all_parts_are_the_models_own_logit(name):
    model, trace = traced(name)
    judge = judged_logits(model, trace)
    parts = logit_attribution.direct_logit_attribution(trace, TOKEN, WORD)
    size = np.abs(parts.heads).sum() + np.abs(parts.mlp).sum() + abs(parts.embedding)
    assert abs(parts.total - judge[WORD]) < 1e-5 * size
    assert parts.error < 1e-5
    between = parts - logit_attribution.direct_logit_attribution(trace, TOKEN, OTHER)
    assert between.total == pytest.approx(judge[WORD] - judge[OTHER], abs=1e-4)
    assert between.error < 1e-5 and between.logit == pytest.approx(judge[WORD] - judge[OTHER], abs=1e-4)
    assert np.abs(parts.heads).min() > 0  # every head says something


@pytest.mark.parametrize(("name", "norm"), [("gpt2", "transformer.ln_f"), ("llama", "model.norm")])
def test_a_heads_part_is_its_delta_e_through_the_frozen_norm(name, norm):
    model, trace = traced(name)
    parts = logit_attribution.direct_logit_attribution(trace, TOKEN, WORD)
    gamma = model.get_submodule(norm).weight.detach().double().numpy()
    x = trace.embedding(2)[TOKEN].astype(np.float64)
    for layer in range(2):
        for head in range(4):
            delta = trace.delta_e(layer, head)[TOKEN].astype(np.float64)
            if name == "gpt2":
                seen = (delta - delta.mean()) / np.sqrt(x.var() + model.config.layer_norm_epsilon) * gamma
            else:
                seen = delta / np.sqrt((x**2).mean() + model.config.rms_norm_eps) * gamma
            judge = seen @ model.lm_head.weight[WORD].detach().double().numpy()
            assert parts.heads[layer, head] == pytest.approx(judge, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", ["bert", "bart"])
def test_a_norm_after_every_sum_cannot_be_split(name):
    _, trace = traced(name)
    with pytest.raises(ac.HeadlightError, match="LayerNorm"):
        logit_attribution.direct_logit_attribution(trace, TOKEN, WORD)


def test_contributions_that_are_there_are_used_again(monkeypatch):
    _, trace = traced("gpt2")
    added = decomposition.stream_contributions(trace.stream(), TOKEN)
    monkeypatch.setattr(logit_attribution, "stream_contributions", lambda *_, **__: pytest.fail("computed again"))
    assert logit_attribution.direct_logit_attribution(trace, TOKEN, WORD, added=added).error < 1e-5
