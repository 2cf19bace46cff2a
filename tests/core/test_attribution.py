"""Logits of parts against torch's own norms, and against the logits of real models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attn_core import attribution

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
    frozen = attribution.FrozenNorm(GAMMA.numpy() / scale, shift, centred)
    judge = layer_norm(x) if centred else rms_norm(x)
    np.testing.assert_allclose(frozen.whole(x), judge, rtol=1e-9)
    shares, constant = attribution.direct_logits(parts, frozen, word, bias=0.25)
    assert shares.sum() + constant == pytest.approx(judge @ word + 0.25)


@pytest.mark.parametrize(("judge", "centred"), [(layer_norm, True), (rms_norm, False)])
def test_a_norm_is_frozen_by_what_it_computes(judge, centred):
    x = 2 + RNG.normal(size=24)
    frozen = attribution.FrozenNorm.of(judge, x)
    assert frozen.centred is centred
    np.testing.assert_allclose(frozen.whole(x), judge(x), rtol=1e-6)
    pieces = RNG.normal(size=(3, 24))
    pieces[2] = x - pieces[:2].sum(axis=0)
    np.testing.assert_allclose(frozen.part(pieces).sum(axis=0) + frozen.shift, judge(x), rtol=1e-6)


def test_what_is_no_norm_is_not_frozen():
    with pytest.raises(ValueError, match="neither"):
        attribution.FrozenNorm.of(np.tanh, RNG.normal(size=24))
