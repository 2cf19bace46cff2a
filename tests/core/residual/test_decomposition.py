"""The parts of a block end at the next layer's E, in every family; sources sum to their head.

The judge of the last row is the model itself: the stream that it went on with, as `output_hidden_states` gives it.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from families import FAMILIES, TARGET, TEXT, word_tokenizer

import attn_core as ac
from attn_core import attention
from attn_core.residual import decomposition
from attn_core.traces.layer import Layer

TOKEN = 4


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def traced(request):
    """(name, eager model as the library runs it, trace) of every family."""
    model = FAMILIES[request.param].build()
    wrapped = ac.wrap(model, word_tokenizer(), name=request.param)
    options = {"target": TARGET} if wrapped.kind == "encoder-decoder" else {}
    return request.param, model, ac.trace(wrapped, TEXT, **options)


def streams_of(trace):
    return ["encoder", "decoder"] if trace.kind == "encoder-decoder" else [None]


def layers_of(trace, stream):
    return range(trace.n_layers_of(stream))


def test_the_parts_end_at_the_next_layer(traced):
    name, _, trace = traced
    for stream in streams_of(trace):
        for layer in layers_of(trace, stream):
            block = decomposition.decompose_block(trace.stream(stream), layer, TOKEN)
            total = sum(part.vector.astype(np.float64) for part in block.parts)
            end = trace.embedding(layer + 1, stream=stream)[TOKEN]
            assert np.abs(total - end).max() / np.abs(end).max() < 1e-5, (name, stream, layer)
            assert block.adds_up and block.error < 1e-5


def test_the_end_is_the_librarys_own_hidden_state(traced):
    name, model, trace = traced
    if trace.kind == "encoder-decoder":
        ids = [torch.tensor([tokens.ids]) for tokens, _ in (trace.tokens_of("encoder"), trace.tokens_of("decoder"))]
        result = model(input_ids=ids[0], decoder_input_ids=ids[1], output_hidden_states=True)
        hidden = {"encoder": result.encoder_hidden_states, "decoder": result.decoder_hidden_states}
    else:
        result = model(input_ids=torch.tensor([trace.tokens.ids]), output_hidden_states=True)
        hidden = {None: result.hidden_states}
    for stream in streams_of(trace):
        for layer in list(layers_of(trace, stream))[:-1]:  # the library's last state is after the final norm
            block = decomposition.decompose_block(trace.stream(stream), layer, TOKEN)
            total = np.sum([part.vector for part in block.parts], axis=0)
            judge = hidden[stream][layer + 1][0, TOKEN].detach().numpy()
            np.testing.assert_allclose(
                total, judge, atol=2e-5 * np.abs(judge).max(), err_msg=f"{name} {stream} {layer}"
            )


def test_a_wrong_part_turns_the_sum_red(traced):
    _, _, trace = traced
    block = decomposition.decompose_block(trace.stream(streams_of(trace)[-1]), 0, TOKEN)
    for left_out in range(len(block.parts)):
        if np.abs(block.parts[left_out].vector).max() == 0:  # a model without an output bias
            continue
        parts = block.parts[:left_out] + block.parts[left_out + 1 :]
        broken = decomposition.BlockDecomposition(block.layer, block.token, block.block, parts, block.next_embedding)
        assert not broken.adds_up, block.parts[left_out].name


def test_rows_come_in_the_order_of_the_block(traced):
    name, _, trace = traced
    block = decomposition.decompose_block(trace.stream(streams_of(trace)[-1]), 0, TOKEN)
    kinds = [part.kind for part in block.parts if part.kind != "head"]
    expected = {
        "pre-norm": ["embedding", "bias", "mlp"],
        "parallel": ["embedding", "bias", "mlp"],
        "norm-after": ["embedding", "bias", "norm", "mlp"],
        "scaled": ["embedding", "bias", "norm", "mlp"],
        "post-norm": ["embedding", "bias", "norm", "mlp", "norm"],
    }[FAMILIES[name].block]
    if trace.kind == "encoder-decoder":
        expected = {"pre-norm": ["embedding", "bias", "bias", "mlp"]}.get(
            FAMILIES[name].block, ["embedding", "bias", "norm", "bias", "norm", "mlp", "norm"]
        )
    assert kinds == expected
    heads = [part for part in block.parts if part.kind == "head"]
    assert len(heads) == 4 * (2 if trace.kind == "encoder-decoder" else 1)


def test_heads_are_rows_of_delta_e_and_shares_add_up(traced):
    _, _, trace = traced
    stream = streams_of(trace)[0]
    block = decomposition.decompose_block(trace.stream(stream), 1, TOKEN)
    heads = [part for part in block.parts if part.kind == "head"]
    for part in heads:
        judge = trace.delta_e(1, part.head, stream=stream)[TOKEN]
        np.testing.assert_allclose(part.vector, judge, atol=1e-5 * np.abs(judge).max())
    total = trace.attention_output(1, stream=stream)[TOKEN]
    np.testing.assert_allclose(block.attention, total, atol=1e-5 * np.abs(total).max())
    shares = [block.share(part) for part in block.parts if part.kind in ("head", "bias")]
    assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_sources_are_weight_times_value_through_w_o(traced):
    _, _, trace = traced
    stream = "cross" if trace.kind == "encoder-decoder" else None
    for head in range(trace.n_heads):
        found = decomposition.sources(trace.stream(stream), 1, head, TOKEN)
        parts = trace.delta_e_by_source(1, head, TOKEN, stream=stream)  # [key, d_model]
        delta = trace.delta_e(1, head, stream=stream)[TOKEN]
        size = np.abs(delta).max()
        np.testing.assert_allclose(parts.sum(axis=0), delta, atol=1e-5 * size)
        np.testing.assert_allclose(found.weights, trace.pattern(1, head, stream=stream)[TOKEN], atol=1e-6)
        np.testing.assert_allclose(found.sizes, np.linalg.norm(parts, axis=1), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.along, parts @ delta / np.linalg.norm(delta), rtol=1e-3, atol=1e-5 * size)
        assert found.along.sum() == pytest.approx(np.linalg.norm(delta), rel=1e-4)
        assert found.shares.sum() == pytest.approx(1, rel=1e-6)


def test_sources_of_every_head_look_at_w_o_once(traced, monkeypatch):
    _, _, trace = traced
    own = trace.stream("cross" if trace.kind == "encoder-decoder" else None)
    looked, real = [], Layer.w_o
    monkeypatch.setattr(Layer, "w_o", lambda layer, model: looked.append(layer) or real(layer, model))
    found = decomposition.every_source(own, 1, TOKEN)
    assert len(looked) == 1
    for head, each in enumerate(found):
        alone = decomposition.sources(own, 1, head, TOKEN)
        for name in ("weights", "lengths", "along"):
            np.testing.assert_array_equal(getattr(each, name), getattr(alone, name))


def test_additions_of_all_layers_are_the_last_stream(traced):
    _, _, trace = traced
    stream = streams_of(trace)[-1]
    added = decomposition.stream_contributions(trace.stream(stream), TOKEN)
    n_layers = trace.n_layers_of(stream)
    end = trace.embedding(n_layers, stream=stream)[TOKEN]
    np.testing.assert_allclose(added.parts().sum(axis=0), end, atol=2e-5 * np.abs(end).max())
    assert added.heads.shape[0] == n_layers
    np.testing.assert_array_equal(added.embedding, trace.embedding(0, stream=stream)[TOKEN])


def test_one_query_alone_gives_the_same_row(traced):
    _, _, trace = traced
    for stream in trace.streams:
        where = {} if stream == "self" else {"stream": stream}
        whole = np.stack([trace.delta_e(0, head, **where)[TOKEN] for head in range(4)])
        np.testing.assert_allclose(trace.heads_delta_e(0, TOKEN, **where), whole, atol=1e-5 * np.abs(whole).max())
        row = trace.pattern_row(0, 2, TOKEN, **where)
        np.testing.assert_allclose(row, trace.pattern(0, 2, **where)[TOKEN], atol=1e-6)


def test_places_that_are_not_there_are_refused(traced):
    _, _, trace = traced
    stream = streams_of(trace)[0]
    with pytest.raises(IndexError, match="0 to"):
        decomposition.decompose_block(trace.stream(stream), 0, 999)
    with pytest.raises(IndexError, match="0 to"):
        decomposition.decompose_block(trace.stream(stream), 0, -1)
    with pytest.raises(IndexError, match="0 to"):
        decomposition.decompose_block(trace.stream(stream), 7, 0)


def test_scores_are_made_for_one_query_alone(traced, monkeypatch):
    _, _, trace = traced
    sizes = []
    real = attention.softmax
    monkeypatch.setattr(attention, "softmax", lambda scores: sizes.append(scores.numel()) or real(scores))
    stream = streams_of(trace)[-1]
    decomposition.stream_contributions(trace.stream(stream), TOKEN)
    decomposition.sources(trace.stream(stream), 0, 0, TOKEN)
    longest = max(len(trace.tokens_of(s)[1]) for s in trace.streams)
    assert sizes and max(sizes) <= trace.n_heads * longest  # a row of every head, never a square
