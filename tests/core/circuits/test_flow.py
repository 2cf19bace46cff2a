"""The flow behind a word: by hand for two layers, identity for identity, and what BERT's own modules give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from families import FAMILIES, TARGET, TEXT, word_tokenizer

import attn_core as ac
from attn_core.circuits.flow import FLOW_MEASURES, Flow, disagreement, flow
from attn_core.errors import HeadlightError
from attn_core.traces.layer import Layer

ALL = [(layer, head) for layer in range(2) for head in range(4)]


def traced(name, text=TEXT, **options):
    model = FAMILIES[name].build()
    return model, ac.trace(ac.wrap(model, word_tokenizer(), name=name), text, **options)


@pytest.mark.parametrize("measure", FLOW_MEASURES)
@pytest.mark.parametrize(
    "name", ["bert", "electra", "gpt2", "gpt_neox", "llama", "gemma2", "olmo2", "mistral", "bigbird_pegasus"]
)
def test_rows_sum_to_1_and_nobody_flows_from_what_may_not_be_seen(name, measure):
    _, trace = traced(name)
    found = flow(trace.stream(), measure)
    n = len(trace.tokens)
    assert found.edges.shape == (trace.n_layers, n, n + 1) and (found.edges >= 0).all()
    np.testing.assert_allclose(found.edges.sum(axis=2), 1, atol=1e-5)
    behind = found.behind(trace.n_layers)
    np.testing.assert_allclose(behind.sum(axis=1), 1, atol=1e-5)
    if trace.kind == "decoder":
        assert np.abs(np.triu(behind[:, :n], 1)).max() == 0
    np.testing.assert_array_equal(found.behind(0), np.eye(n, n + 1))


@pytest.mark.parametrize("measure", ["norms", "alti"])
def test_w_o_of_a_layer_is_looked_at_once(measure, monkeypatch):
    _, trace = traced("bert")
    looked, real = [], Layer.w_o
    monkeypatch.setattr(Layer, "w_o", lambda layer, model: looked.append(layer.site.layer) or real(layer, model))
    flow(trace.stream(), measure)
    assert looked == [0, 1]
    looked.clear()
    trace.score_parts(1, 2, 3, 2)
    assert looked.count(0) == 1, "for who wrote the query and the key alike"


@pytest.mark.parametrize("measure", FLOW_MEASURES)
def test_identity_attention_gives_identity_flow(measure):
    n = len(traced("bert")[1].tokens)
    _, trace = traced("bert", edit={head: np.eye(n, dtype=np.float32) for head in ALL})
    behind = flow(trace.stream(), measure).behind(2)
    assert np.abs(behind[:, :n] - np.diag(np.diag(behind))).max() == 0
    if measure == "rollout":
        np.testing.assert_allclose(behind, np.eye(n, n + 1))


def test_rollout_of_two_even_layers_is_what_one_computes_by_hand():
    even = np.full((2, 2), 0.5, dtype=np.float32)
    _, trace = traced("gpt2", text=[5, 6], edit=None)
    first = flow(trace.stream(), "rollout").edges[0]
    np.testing.assert_allclose(first[0], [1, 0, 0], atol=1e-6)
    _, trace = traced("bert", text=[5, 6], edit=dict.fromkeys(ALL, even))
    found = flow(trace.stream(), "rollout")
    np.testing.assert_allclose(found.edges, [[[0.75, 0.25, 0], [0.25, 0.75, 0]]] * 2)
    np.testing.assert_allclose(found.behind(2), [[0.625, 0.375, 0], [0.375, 0.625, 0]])


@pytest.fixture(scope="module")
def bert():
    return traced("bert")


def parts_of_bert(model, trace, layer):
    """What tokens bring to tokens, and the constant, from BERT's own parameters: [query, key + 1, d_model]."""
    block, x = model.encoder.layer[layer].attention, torch.as_tensor(trace.embedding(layer)).double()
    pattern, d = torch.as_tensor(trace.patterns(layer)).double(), 8
    own, dense, norm = block.self, block.output.dense, block.output.LayerNorm
    value = x @ own.value.weight.double().T + own.value.bias.double()
    out = dense.weight.double()
    brought = sum(
        pattern[h][:, :, None] * (value[:, h * d : h * d + d] @ out[:, h * d : h * d + d].T)[None] for h in range(4)
    )
    for i in range(len(x)):
        brought[i, i] += x[i]
    whole = torch.cat([brought, dense.bias.double().expand(len(x), 1, -1)], dim=1)
    spread = (whole.sum(1).var(-1, unbiased=False) + norm.eps).sqrt()[:, None, None]
    parts = (whole - whole.mean(-1, keepdim=True)) / spread * norm.weight.double()
    parts[:, -1] += norm.bias.double()
    return parts.detach().numpy()


@pytest.mark.parametrize("measure", ["norms", "alti"])
def test_edges_are_those_of_berts_own_parameters(bert, measure):
    model, trace = bert
    found = flow(trace.stream(), measure)
    for layer in range(2):
        parts = parts_of_bert(model, trace, layer)
        total = parts.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(total[:, 0], trace.after_attention(layer), atol=1e-4)
        if measure == "norms":
            sizes = np.sqrt((parts**2).sum(axis=2))
        else:
            sizes = np.maximum(np.abs(total).sum(axis=2) - np.abs(total - parts).sum(axis=2), 0)
        np.testing.assert_allclose(found.edges[layer], sizes / sizes.sum(axis=1, keepdims=True), atol=1e-5)


# What the authors' published code gives for tokens 1 and 4 of the model below, run once and written down: rollout by
# that of Abnar & Zuidema 2020, the two others by that of Ferrando et al. 2022. It has no column for the bias, and takes
# the spread of a token with n − 1; without shifts of the norms that cancels in shares.
PUBLISHED = {
    "alti": [
        [0.115674, 0.261307, 0.119638, 0.09797, 0.06537, 0.057105, 0.1726, 0.110335],
        [0.114587, 0.109491, 0.127023, 0.086517, 0.2451, 0.06953, 0.156819, 0.090933],
    ],
    "norms": [
        [0.122543, 0.247009, 0.086862, 0.069608, 0.167402, 0.079196, 0.145237, 0.082144],
        [0.092105, 0.100051, 0.114772, 0.074578, 0.314282, 0.091258, 0.135392, 0.077562],
    ],
    "rollout": [
        [0.094102, 0.341142, 0.076272, 0.083382, 0.129591, 0.078609, 0.10932, 0.087582],
        [0.076348, 0.092508, 0.102395, 0.077832, 0.375364, 0.084495, 0.108197, 0.082861],
    ],
}


@pytest.mark.parametrize("measure", FLOW_MEASURES)
def test_it_is_what_the_authors_published_code_gives(measure):
    model = FAMILIES["bert"].build()
    with torch.no_grad():
        for layer in model.encoder.layer:
            layer.attention.output.LayerNorm.bias.zero_()
    trace = ac.trace(ac.wrap(model, word_tokenizer(), name="bert"), [2, 5, 9, 17, 30, 41, 7, 3])
    edges = flow(trace.stream(), measure).edges.copy()
    edges[..., -1] = 0
    behind = Flow(measure, edges / edges.sum(axis=2, keepdims=True)).behind(2)
    np.testing.assert_allclose(behind[[1, 4], :-1], PUBLISHED[measure], atol=3e-6)


@pytest.mark.parametrize("measure", FLOW_MEASURES)
@pytest.mark.parametrize("name", ["bert", "gpt2", "olmo2"])
def test_a_head_that_is_off_brings_nothing_from_any_word(name, measure):
    _kept, whole = traced(name)
    _model, trace = traced(name, without=[(0, head) for head in range(4)], replacement="mean")
    found = flow(trace.stream(), measure)
    first = found.edges[0]
    assert not first[:, :-1][~np.eye(len(first), dtype=bool)].any()
    np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-5)
    assert (first[:, -1] > flow(whole.stream(), measure).edges[0][:, -1]).any()


def test_what_reaches_a_word_is_the_same_from_above_and_from_below(bert):
    found = flow(bert[1].stream(), "alti")
    reach = found.reach(7, 2)
    assert reach.shape == (3, len(bert[1].tokens) + 1)
    np.testing.assert_allclose(reach[0], found.behind(2)[7], atol=1e-12)
    np.testing.assert_allclose(reach[1], found.edges[1][7], atol=1e-12)
    np.testing.assert_allclose(reach.sum(axis=1), 1)


def test_an_undefined_row_is_never_spread_evenly():
    edges = np.array([[[1.0, 0, 0], [np.nan] * 3], [[1.0, 0, 0], [0.5, 0.5, 0]]])
    found = Flow("alti", edges)
    np.testing.assert_array_equal(found.behind(2)[0], [1, 0, 0])
    assert np.isnan(found.behind(2)[1]).all()
    assert np.isnan(found.reach(1, 2)[0]).all() and found.reach(0, 2)[0].tolist() == [1, 0, 0]


def test_how_far_two_flows_disagree(bert):
    one, other = (flow(bert[1].stream(), measure).behind(2)[7] for measure in ("rollout", "alti"))
    assert 0 < disagreement(one, other) < 1 and disagreement(one, one) == 0


def test_what_cannot_be_followed_is_refused(bert):
    with pytest.raises(ValueError, match="measure must be one of 'rollout', 'norms', 'alti'"):
        flow(bert[1].stream(), "gradient")
    with pytest.raises(IndexError, match="layer 3 is out of range"):
        flow(bert[1].stream(), "rollout").behind(3)
    _, translated = traced("marian", target=TARGET)
    with pytest.raises(HeadlightError, match="two sentences"):
        flow(translated.stream("decoder"))
    assert flow(translated.stream("encoder")).edges.shape[0] == 2
