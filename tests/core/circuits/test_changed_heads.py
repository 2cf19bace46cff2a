"""Which heads a fine-tuning changed: patterns by scipy's own distance, weights by norms taken by hand."""

from __future__ import annotations

import copy

import numpy as np
import peft
import pytest
import torch
from families import FAMILIES, TEXT, word_tokenizer
from scipy.spatial.distance import jensenshannon

import attn_core as ac
from attn_core.circuits.fine_tuning.weights import MATRICES

TEXTS = [TEXT, "the old fox ran over the hill"]
TOKENIZER = word_tokenizer()


def pair(family: str) -> tuple[object, object]:
    """A model and a copy of it in which head 1.2 has other queries, and all heads of layer 0 other outputs."""
    base = FAMILIES[family].build()
    tuned = copy.deepcopy(base)
    d_head = 8
    with torch.no_grad():
        if family == "bert":
            first, second = tuned.encoder.layer
            second.attention.self.query.weight[2 * d_head : 3 * d_head] *= 3
            first.attention.output.dense.weight += 0.1
        else:
            first, second = tuned.model.layers
            second.self_attn.q_proj.weight[2 * d_head : 3 * d_head] *= 3
            first.self_attn.o_proj.weight += 0.1
    return base, tuned


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_patterns_and_weights_are_those_by_hand(family):
    base, tuned = (ac.wrap(model, TOKENIZER) for model in pair(family))
    found = ac.changed_heads(base, tuned, TEXTS).set_index(["layer", "head"])
    assert list(found.columns) == ["pattern", *MATRICES] and len(found) == 8
    judge = np.zeros((2, 4))
    for text in TEXTS:
        before, after = ac.trace(base, text), ac.trace(tuned, text)
        for layer, head in np.ndindex(2, 4):
            rows = zip(before.pattern(layer, head), after.pattern(layer, head), strict=True)
            judge[layer, head] += np.mean([np.nan_to_num(jensenshannon(a, b, base=2)) for a, b in rows]) / len(TEXTS)
    for layer, head in np.ndindex(2, 4):
        own = found.loc[(layer, head)]
        assert own.pattern == pytest.approx(judge[layer, head], abs=1e-3)
        assert own["query"] == pytest.approx(2.0 if (layer, head) == (1, 2) else 0.0, abs=1e-6)  # ‖3W − W‖ ÷ ‖W‖
        assert own["key"] == own["value"] == 0
        w_o = ac.trace(base, TEXT).w_o(0, head)
        moved = 0.1 * np.sqrt(w_o.size) / np.linalg.norm(w_o) if layer == 0 else 0.0
        assert own["output"] == pytest.approx(moved, rel=1e-4)
    assert found.pattern.is_monotonic_decreasing and (found.pattern.loc[0] < 1e-6).all()  # layer 0 looks as it did


def test_a_model_did_not_change_from_itself():
    model = ac.wrap(FAMILIES["bert"].build(), TOKENIZER)
    found = ac.changed_heads(model, model, TEXTS)
    assert (found[["pattern", *MATRICES]] == 0).all(axis=None)


def test_a_matrix_of_zeros_has_no_share_that_changed():
    base, tuned = pair("bert")
    with torch.no_grad():
        base.encoder.layer[1].attention.output.dense.weight[:, :8] = 0  # head 0's
    found = ac.changed_heads(ac.wrap(base, TOKENIZER), ac.wrap(tuned, TOKENIZER), TEXTS[:1]).set_index(
        ["layer", "head"]
    )
    assert np.isnan(found.output[1, 0]) and np.isfinite(found.drop(index=(1, 0))).all(axis=None)


def test_an_adapter_beside_its_base_and_beside_what_it_was_merged_into():
    base = FAMILIES["llama"].build()
    adapter = peft.LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"])
    owners = peft.get_peft_model(copy.deepcopy(base), adapter).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in (p for p in owners.parameters() if p.requires_grad):
            weight.add_(torch.randn_like(weight) * 0.3)
    merged = copy.deepcopy(owners).merge_and_unload()
    plain, lora, whole = (ac.wrap(model, TOKENIZER) for model in (base, owners, merged))
    against = ac.changed_heads(plain, lora, TEXTS)
    assert (against["query"] > 0.01).all() and (against["value"] > 0.01).all() and against.pattern[0] > 0.01
    assert (against[["key", "output"]] == 0).all(axis=None)
    same = ac.changed_heads(lora, whole, TEXTS)
    assert (same[list(MATRICES)] < 1e-5).all(axis=None) and (same.pattern < 1e-3).all()


@pytest.mark.parametrize("family", ["qwen3", "olmo2"])
def test_matrices_before_a_norm_are_compared_as_matrices(family):
    """The norm is one a head in Qwen 3 and one over all heads in OLMo 2; here head 1.2 asks with other weights."""
    base = FAMILIES[family].build()
    tuned = copy.deepcopy(base)
    with torch.no_grad():
        rows = tuned.model.layers[1].self_attn.q_proj.weight[16:24]
        rows += (noise := torch.randn(rows.shape, generator=torch.Generator().manual_seed(0)))
        tuned.model.layers[0].self_attn.k_proj.weight *= 1.5
    found = ac.changed_heads(*(ac.wrap(model, TOKENIZER) for model in (base, tuned)), [TEXT]).set_index(
        ["layer", "head"]
    )
    own = base.model.layers[1].self_attn.q_proj.weight[16:24]
    judge = float(noise.double().norm() / own.detach().double().norm())
    assert found["query"][1, 2] == pytest.approx(judge, rel=1e-6)
    assert (found["query"].drop(index=(1, 2)) == 0).all()
    np.testing.assert_allclose(found["key"].loc[0], 0.5, atol=1e-6)
    assert (found["key"].loc[1] == 0).all() and (found[["value", "output"]] == 0).all(axis=None)


def test_models_of_other_shapes_or_tokens_are_refused():
    model, other = (ac.wrap(FAMILIES[name].build(), TOKENIZER) for name in ("bert", "distilbert"))
    assert len(ac.changed_heads(model, other, [TEXT])) == 8  # of one shape: each head has its counterpart
    decoder = ac.load("tiny-decoder")
    with pytest.raises(ac.HeadlightError, match="different shapes"):
        ac.changed_heads(model, decoder, ["the fox"])
    letters = copy.deepcopy(TOKENIZER)
    letters.backend_tokenizer.post_processor = None
    with pytest.raises(ac.HeadlightError, match="different tokens"):
        ac.changed_heads(model, ac.wrap(model.hf, letters), [TEXT])
    with pytest.raises(ValueError, match="at least one"):
        ac.changed_heads(model, model, [])
