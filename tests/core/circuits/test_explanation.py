"""What is said of a score: by which rule one pair explains it, how writers are grouped, and where a writer took it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from families import FAMILIES, TARGET, TEXT, word_tokenizer

import attn_core as ac
from attn_core.circuits import explanation
from attn_core.circuits.explanation import Pair
from attn_core.circuits.score_parts import carried_to_score, compared_score
from attn_core.traces.parts import ScoreParts, Writer

INPUTS = Writer("embedding", "embedding"), Writer("head 0.1", "head", layer=0, head=1), Writer("query bias", "own")


def made(matrix, other=None):
    matrix = np.array(matrix, dtype=float)
    score = float(matrix.sum()) + sum((other or {}).values())
    return ScoreParts(1, 0, 0, 0, None, "self", INPUTS, INPUTS, matrix, other or {}, score, score, abs(score))


@pytest.mark.parametrize("sign", [1, -1])
def test_one_pair_explains_a_score_that_it_is_half_of(sign):
    found = explanation.single_pair(made(sign * np.array([[5.0, 1, 0], [0, 2, 0], [1, 1, 0]])))
    assert found == Pair("embedding", "embedding", sign * 5.0)  # 5 of 10
    assert explanation.single_pair(made(sign * np.array([[4.9, 1, 0], [0, 2, 0], [1, 1.1, 0]]))) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_an_opposing_pair_half_as_large_spoils_it(sign):
    assert explanation.single_pair(made(sign * np.array([[0, 6.0, 0], [0, 0, -2.9], [0, 0, 0]]))).part == sign * 6
    assert explanation.single_pair(made(sign * np.array([[0, 6.0, 0], [0, 0, -3], [0, 0, 0]]))) is None


def test_a_position_bias_is_a_pair_like_others_and_nothing_explains_zero():
    parts = made([[1, 0, 0], [0, 0, 0], [0, 0, 0]], {"position bias": 3.0})
    assert explanation.single_pair(parts) == Pair("position bias", None, 3.0)
    assert explanation.grouped(parts).largest(1) == [Pair("position bias", None, 3.0)]
    assert explanation.single_pair(made(np.zeros((3, 3)))) is None


def test_what_float64_leaves_of_a_sum_that_cancels_is_no_pair():
    parts = made([[4, 1e-13, 0], [0, -2, 0], [0, 0, 0]])
    assert [pair.part for pair in explanation.grouped(parts, ["input", "layer 0"]).largest(9)] == [4, -2]


def test_writers_are_added_up_by_layer_until_one_is_opened():
    parts = made([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert explanation.grouped(parts).query_names == ("input", "layer 0", "own bias")
    opened = explanation.grouped(parts, ["layer 0"])
    assert opened.key_names == ("input", "head 0.1", "own bias")
    np.testing.assert_array_equal(opened.matrix, parts.matrix)
    first = bert().score_parts(0, 2, 7, 4)  # before layer 0 there is no layer to add up by
    assert explanation.grouped(first).query_names == first.query_writers
    real = bert().score_parts(1, 2, 7, 4)
    whole = explanation.grouped(real)
    assert whole.query_names == ("input", "layer 0", "own bias")
    assert whole.matrix.sum() == pytest.approx(real.matrix.sum())
    heads = [writer.layer == 0 for writer in real.query_writers]
    assert whole.matrix[1, 0] == pytest.approx(real.matrix[heads][:, :4].sum())
    assert [pair.part for pair in whole.largest(2)] == sorted(whole.matrix.ravel(), key=abs)[:-3:-1]


BERT = ac.wrap(FAMILIES["bert"].build(), word_tokenizer(), name="bert")


def bert():
    return ac.trace(BERT, TEXT)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "qwen3", "gemma2", "olmo2", "t5", "bart"])
def test_what_a_writer_took_from_each_word_sums_to_what_it_adds(name):
    model = FAMILIES[name].build()
    wrapped = ac.wrap(model, word_tokenizer(), name=name)
    trace = ac.trace(wrapped, TEXT, **({"target": TARGET} if wrapped.kind == "encoder-decoder" else {}))
    for stream in trace.streams:
        parts = trace.score_parts(1, 2, 7, 4, stream=stream)
        for side, writers, sums in (
            ("query", parts.query_writers, parts.matrix.sum(axis=1)),
            ("key", parts.key_writers, parts.matrix.sum(axis=0)),
        ):
            at = next(i for i, writer in enumerate(writers) if writer.kind == "head" and writer.head == 1)
            found = explanation.sources_of_writer(trace, parts, side, writers[at])
            size = float(np.abs(parts.matrix).sum(axis=1).max())
            assert found.sum() == pytest.approx(sums[at], abs=1e-5 * size), (name, stream, side)
            token = 7 if side == "query" else 4
            values = trace.value_parts(0, 1, token, 3, stream=writers[at].stream)
            pieces = carried_to_score(trace, parts, side, writers[at], values.vectors)
            assert pieces.sum() == pytest.approx(found[3], abs=1e-5 * size)


def test_against_the_mean_a_key_counts_for_all_but_its_own_part_of_the_mean():
    trace = bert()
    plain, mean = trace.score_parts(1, 2, 7, 4), trace.score_parts(1, 2, 7, 4, "mean")
    writer = plain.key_writers[plain.key_writers.index("head 0.1")]
    ours = explanation.sources_of_writer(trace, mean, "key", writer)
    n = len(trace.tokens)
    np.testing.assert_allclose(ours, explanation.sources_of_writer(trace, plain, "key", writer) * (1 - 1 / n))
    with pytest.raises(ValueError, match="wrote nothing here"):
        explanation.sources_of_writer(trace, plain, "key", Writer("head 1.1", "head", layer=1, head=1))


def test_a_writer_that_is_taken_out_takes_its_row_and_its_column_along():
    parts = made([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert explanation.when_taken_out(parts, INPUTS[1]) == 1 + 3 + 7 + 9
    assert explanation.when_taken_out(parts, Writer("head 9.9")) == parts.score


SILENCED = [  # a family, a writer, and what its own modules have instead of it
    ("bert", "position", "embeddings.position_embeddings.weight"),
    ("bert", "segment", "embeddings.token_type_embeddings.weight"),
    ("bert", "embedding", "embeddings.word_embeddings.weight"),
    ("bert", "mlp 0", "encoder.layer.0.output.dense"),
    ("gpt2", "position", "transformer.wpe.weight"),
    ("gpt2", "mlp 0", "transformer.h.0.mlp.c_proj"),
    ("llama", "embedding", "model.embed_tokens.weight"),
    ("llama", "mlp 0", "model.layers.0.mlp.down_proj"),
    ("bert", "bias 0", "encoder.layer.0.attention.output.dense.bias"),
    ("bert", "mlp norm shift 0", "encoder.layer.0.output.LayerNorm.bias"),
    ("bert", "embedding norm shift", "embeddings.LayerNorm.bias"),
    ("bert", "query bias", "encoder.layer.1.attention.self.query.bias"),
    ("gpt2", "bias 0", "transformer.h.0.attn.c_proj.bias"),
    ("gpt_neox", "bias 0", "gpt_neox.layers.0.attention.dense.bias"),
    ("electra", "projection bias", "embeddings_project.bias"),
]


@pytest.mark.parametrize(("name", "writer", "silent"), SILENCED)
def test_a_writer_is_taken_out_as_if_its_own_weights_were_nothing(name, writer, silent):
    model, copied = (FAMILIES[name].build() for _ in range(2))
    trace = ac.trace(ac.wrap(model, word_tokenizer(), name=name), TEXT)
    parts = trace.score_parts(1, 2, 7, 4)
    options = explanation.taking_out(trace, parts, parts.query_writers[parts.query_writers.index(writer)])
    with torch.no_grad():
        for own, weight in copied.named_parameters():
            if own.startswith(silent):
                weight.zero_()
    judge = ac.trace(ac.wrap(copied, word_tokenizer(), name=name), TEXT)
    really = ac.trace(ac.wrap(model, word_tokenizer(), name=name), TEXT, **options)
    assert compared_score(really.stream(), 1, 2, 7, 4) == pytest.approx(
        compared_score(judge.stream(), 1, 2, 7, 4), abs=1e-5 * parts.largest
    )
    assert abs(compared_score(really.stream(), 1, 2, 7, 4) - parts.score) > 1e-3


def test_between_two_sentences_the_embedding_of_both_is_taken_out():
    model = ac.wrap(FAMILIES["bart"].build(), word_tokenizer(), name="bart")
    trace = ac.trace(model, TEXT, target=TARGET)
    parts = trace.score_parts(1, 2, 7, 4, stream="cross")
    options = explanation.taking_out(trace, parts, parts.query_writers[0])
    assert parts.query_writers[0] == "embedding"
    assert {(place.kind, place.stream) for place in options["patch"]} == {
        ("residual", "encoder"),
        ("residual", "decoder"),
    }
    really = ac.trace(model, TEXT, target=TARGET, **options)
    assert np.isfinite(compared_score(really.stream("cross"), 1, 2, 7, 4))


@pytest.mark.parametrize("name", ["bert", "gpt2", "gpt_neox", "qwen3"])
def test_what_the_head_itself_adds_is_taken_out_of_its_own_query_and_key(name):
    """No norm comes after it, so the frozen split is exact; where one on q and k does, it stays."""
    model = ac.wrap(FAMILIES[name].build(), word_tokenizer(), name=name)
    trace = ac.trace(model, TEXT)
    parts = trace.score_parts(1, 2, 7, 4)
    own = [writer for writer in (*parts.query_writers, *parts.key_writers) if writer.kind == "own"]
    assert len(own) == {"bert": 2, "gpt2": 4, "gpt_neox": 4, "qwen3": 0}[name]
    for writer in own:
        options = explanation.taking_out(trace, parts, writer)
        assert {place.kind for place in options["patch"]} == {writer.partition(" ")[0]}
        really = compared_score(ac.trace(model, TEXT, **options).stream(), 1, 2, 7, 4)
        assert really == pytest.approx(explanation.when_taken_out(parts, writer), abs=1e-5 * parts.largest), writer
        assert abs(really - parts.score) > 1e-6


def test_between_two_sentences_a_bias_stands_in_its_own_stream():
    model = ac.wrap(FAMILIES["bart"].build(), word_tokenizer(), name="bart")
    trace = ac.trace(model, TEXT, target=TARGET)
    parts = trace.score_parts(1, 2, 7, 4, stream="cross")
    writers = {str(writer): writer for writer in (*parts.query_writers, *parts.key_writers)}
    for name, place in {
        "cross bias 0": ac.at.attention(0, stream="cross"),
        "encoder bias 1": ac.at.attention(1, stream="encoder"),
        "encoder mlp norm shift 0": ac.at.residual(1, stream="encoder"),
    }.items():
        (patch,) = explanation.taking_out(trace, parts, writers[name])["patch"].items()
        assert patch[0] == place
        before = getattr(trace, {"attention": "attention_added", "residual": "embedding"}[place.kind])
        gone = before(place.layer, stream=place.stream) - patch[1]
        assert np.ptp(gone, axis=0).max() < 1e-5 < np.abs(gone).max()  # one vector, the same at every token


def test_what_has_no_place_of_its_own_is_not_taken_out_and_the_largest_come_first():
    trace = bert()
    parts = trace.score_parts(1, 2, 7, 4)
    for writer in (*parts.query_writers, *parts.key_writers):
        stays = writer.startswith("attention norm shift")
        assert (explanation.taking_out(trace, parts, writer) is None) == stays, writer
    put = ac.trace(BERT, TEXT, patch={ac.at.residual(1, position=7): "zero"})
    parts_of_put = put.score_parts(1, 2, 7, 4)
    (patched,) = [writer for writer in parts_of_put.query_writers if writer.kind == "patch"]
    assert explanation.taking_out(put, parts_of_put, patched) is None
    sizes = [abs(adds) for _, adds in explanation.effects(parts)]
    assert sizes == sorted(sizes, reverse=True)
    writer, adds = explanation.effects(parts)[0]
    assert adds == pytest.approx(parts.score - explanation.when_taken_out(parts, writer))


@pytest.mark.parametrize("against", [None, "mean", 2])
def test_the_score_alone_is_the_score_that_is_split(against):
    trace = bert()
    assert compared_score(trace.stream(), 1, 2, 7, 4, against) == trace.score_parts(1, 2, 7, 4, against).score
