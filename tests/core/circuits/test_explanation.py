"""What is said of a score: by which rule one pair explains it, how writers are grouped, and where a writer took it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as tf
from families import _BERT, _IDS, _LLAMA, FAMILIES, TARGET, TEXT, Family, word_tokenizer

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
    ("bert", "attention norm shift 0", "encoder.layer.0.attention.output.LayerNorm.bias"),
    ("distilbert", "attention norm shift 0", "transformer.layer.0.sa_layer_norm.bias"),
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
    """No norm comes after it, so the frozen split is exact."""
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


def really_without(model, trace, parts, writer, **text):
    """The score in a pass that has nothing where a writer wrote."""
    after = ac.trace(model, TEXT, **text, **explanation.taking_out(trace, parts, writer))
    alone = compared_score(after.stream(parts.stream), parts.layer, parts.head, parts.query, parts.key)
    together = explanation.scores_without(model, trace, parts, [parts.query_writers[0], writer])
    assert together[1] == pytest.approx(alone, abs=1e-5 * parts.largest) and len(together) == 2
    return alone


def silenced_score(build, own_name, weights, layer, stream=None, **text):
    """The same of a copy of the model whose own `weights` are nothing."""
    copied = build()
    with torch.no_grad():
        for name in weights:
            copied.get_parameter(name).zero_()
    judge = ac.trace(ac.wrap(copied, word_tokenizer(), name=own_name), TEXT, **text)
    return compared_score(judge.stream(stream), layer, 2, 7, 4)


@pytest.mark.parametrize(
    ("name", "stream", "writer", "weight"),
    [
        ("bart", "encoder", "encoder attention norm shift 0", "model.encoder.layers.0.self_attn_layer_norm.bias"),
        ("bart", "decoder", "decoder attention norm shift 0", "model.decoder.layers.0.self_attn_layer_norm.bias"),
        ("bart", "decoder", "cross attention norm shift 0", "model.decoder.layers.0.encoder_attn_layer_norm.bias"),
        ("bart", "cross", "decoder attention norm shift 1", "model.decoder.layers.1.self_attn_layer_norm.bias"),
        ("marian", "decoder", "decoder mlp norm shift 0", "model.decoder.layers.0.final_layer_norm.bias"),
        ("mbart", "cross", "encoder final norm shift", "model.encoder.layer_norm.bias"),
        ("m2m_100", "cross", "encoder final norm shift", "model.encoder.layer_norm.bias"),
    ],
)
def test_a_shift_in_either_stack_is_taken_out_as_if_its_own_weights_were_nothing(name, stream, writer, weight):
    model = ac.wrap(FAMILIES[name].build(), word_tokenizer(), name=name)
    trace = ac.trace(model, TEXT, target=TARGET)
    parts = trace.score_parts(1, 2, 7, 4, stream=stream)
    named = next(each for each in (*parts.query_writers, *parts.key_writers) if each == writer)
    really = really_without(model, trace, parts, named, target=TARGET)
    judge = silenced_score(FAMILIES[name].build, name, [weight], 1, stream, target=TARGET)
    assert really == pytest.approx(judge, abs=1e-5 * parts.largest)
    assert abs(really - parts.score) > 1e-4


def olmo_with_biases():
    """Norms after attention, here LayerNorms, and biases in all of it; a norm on q and k behind theirs."""
    model = Family(lambda: tf.Olmo2Config(**_LLAMA, **_IDS, attention_bias=True)).build()
    torch.manual_seed(1)
    for layer in model.model.layers:
        layer.post_attention_layernorm = torch.nn.LayerNorm(32)
        torch.nn.init.normal_(layer.post_attention_layernorm.bias, std=0.3)
    return model


def phi_with_norms():
    """A LayerNorm before attention, biases, and LayerNorms on q and k."""
    return Family(lambda: tf.PhiConfig(**_BERT, **_IDS, qk_layernorm=True)).build()


@pytest.mark.parametrize(
    ("build", "writer", "weight"),
    [
        (olmo_with_biases, "bias 0", "model.layers.0.self_attn.o_proj.bias"),
        (olmo_with_biases, "attention norm shift 0", "model.layers.0.post_attention_layernorm.bias"),
        (olmo_with_biases, "query bias", "model.layers.1.self_attn.q_proj.bias"),
        (olmo_with_biases, "key bias", "model.layers.1.self_attn.k_proj.bias"),
        (phi_with_norms, "query bias", "model.layers.1.self_attn.q_proj.bias"),
        (phi_with_norms, "key bias", "model.layers.1.self_attn.k_proj.bias"),
        (phi_with_norms, "query norm shift", "model.layers.1.self_attn.q_layernorm.bias"),
        (phi_with_norms, "key norm shift", "model.layers.1.self_attn.k_layernorm.bias"),
    ],
)
def test_a_bias_before_a_norm_is_taken_out_as_if_it_were_nothing(build, writer, weight):
    """The norm is computed anew, so the frozen split is off; without the norm's own shift it is not."""
    model = ac.wrap(build(), word_tokenizer())
    trace = ac.trace(model, TEXT)
    parts = trace.score_parts(1, 2, 7, 4)
    named = next(each for each in (*parts.query_writers, *parts.key_writers) if each == writer)
    really = really_without(model, trace, parts, named)
    assert really == pytest.approx(silenced_score(build, "", [weight], 1), abs=1e-5 * parts.largest)
    assert abs(really - parts.score) > 1e-4


def test_the_shift_of_a_norm_before_attention_leaves_the_query_alone_where_another_norm_follows():
    """As if the query's bias had what the shift brings taken off: keys, values and the MLP keep it."""
    model = ac.wrap(phi_with_norms(), word_tokenizer())
    trace = ac.trace(model, TEXT)
    parts = trace.score_parts(1, 2, 7, 4)
    (writer,) = [each for each in parts.query_writers if each == "query input norm shift"]
    copied = phi_with_norms()
    layer = copied.model.layers[1]
    with torch.no_grad():
        layer.self_attn.q_proj.bias -= layer.self_attn.q_proj.weight @ layer.input_layernorm.bias
    judge = compared_score(ac.trace(ac.wrap(copied, word_tokenizer()), TEXT).stream(), 1, 2, 7, 4)
    assert really_without(model, trace, parts, writer) == pytest.approx(judge, abs=1e-5 * parts.largest)


def test_every_writer_of_every_family_can_be_taken_out():
    for name in ("bert", "gpt2", "gpt_neox", "qwen3", "gemma2", "t5", "bart", "mbart"):
        model = ac.wrap(FAMILIES[name].build(), word_tokenizer(), name=name)
        text = {"target": TARGET} if model.kind == "encoder-decoder" else {}
        trace = ac.trace(model, TEXT, **text)
        parts = trace.score_parts(1, 2, 7, 4, stream=trace.streams[-1])
        writers = dict.fromkeys([*parts.query_writers, *parts.key_writers])
        for writer in [each for each in writers if each.kind != "head"]:
            assert np.isfinite(really_without(model, trace, parts, writer, **text)), (name, writer)


def test_the_largest_writers_come_first():
    parts = bert().score_parts(1, 2, 7, 4)
    sizes = [abs(adds) for _, adds in explanation.effects(parts)]
    assert sizes == sorted(sizes, reverse=True)
    writer, adds = explanation.effects(parts)[0]
    assert adds == pytest.approx(parts.score - explanation.when_taken_out(parts, writer))


DONOR = TEXT.replace("grey fox", "old hill")  # as many tokens


@pytest.mark.parametrize(
    ("name", "place", "writer"),
    [
        ("bert", ac.at.residual(1), "residual patch 1"),
        ("bert", ac.at.residual(1, position=7), "residual patch 1"),
        ("bert", ac.at.after_attention(0, position=7), "after attention patch 0"),
        ("gpt2", ac.at.after_attention(0), "after attention patch 0"),
        ("gpt2", ac.at.attention(0, position=4), "attention patch 0"),
        ("olmo2", ac.at.attention(0), "attention patch 0"),
        ("qwen3", ac.at.query(1, 2), "query patch"),
        ("bert", ac.at.key(1, 2, position=4), "key patch"),
        ("bert", ac.at.mlp(0, position=4), "mlp 0"),
        ("bert", ac.at.head(0, 1, position=4), "head 0.1"),
    ],
)
def test_a_patch_is_taken_out_as_zero_at_its_place_and_all_else_stays_changed(name, place, writer):
    """By hand: the same pass with zero there. A head that is off beside it stays off."""
    model = ac.wrap(FAMILIES[name].build(), word_tokenizer(), name=name)
    donor = ac.trace(model, DONOR)
    off = {ac.at.head(0, 3): "zero", ac.at.value(1, 0, position=2): "mean"}
    trace = ac.trace(model, TEXT, patch={place: donor} | off)
    parts = trace.score_parts(1, 2, 7, 4)
    (named,) = {each for each in (*parts.query_writers, *parts.key_writers) if each == writer}
    whole = place if writer not in ("mlp 0", "head 0.1") else place.tensor  # those are one writer at all words
    judge = ac.trace(model, TEXT, patch={whole: "zero"} | off)
    assert ac.trace(model, TEXT, **explanation.taking_out(trace, parts, named)).changes == judge.changes
    really = really_without(model, trace, parts, named)
    assert really == compared_score(judge.stream(), 1, 2, 7, 4) and abs(really - parts.score) > 1e-4


@pytest.mark.parametrize("place", [ac.at.memory(), ac.at.residual(2, stream="encoder")])
@pytest.mark.parametrize("name", ["bart", "mbart"])
def test_what_was_put_where_an_encoder_ends_is_taken_out(name, place):
    model = ac.wrap(FAMILIES[name].build(), word_tokenizer(), name=name)
    donor = ac.trace(model, DONOR, target=TARGET)
    trace = ac.trace(model, TEXT, target=TARGET, patch={place: donor})
    parts = trace.score_parts(1, 2, 7, 4, stream="cross")
    (patch,) = [writer for writer in parts.key_writers if writer.kind == "patch"]
    assert {writer.kind for writer in parts.key_writers} <= {"patch", "own", "shift"} and parts.residue < 1e-5
    judge = ac.trace(model, TEXT, target=TARGET, patch={place: "zero"})
    really = really_without(model, trace, parts, patch, target=TARGET)
    assert really == compared_score(judge.stream("cross"), 1, 2, 7, 4)


def test_a_bias_is_taken_out_where_nothing_was_put_and_what_was_put_stays():
    model = ac.wrap(FAMILIES["gpt2"].build(), word_tokenizer(), name="gpt2")
    rows = np.ones(32, np.float32)
    trace = ac.trace(model, TEXT, patch={ac.at.attention(0, position=7): rows, ac.at.residual(0, position=7): rows})
    parts = trace.score_parts(1, 2, 7, 4)
    writers = {str(writer): writer for writer in parts.key_writers}
    after = ac.trace(model, TEXT, **explanation.taking_out(trace, parts, writers["bias 0"]))
    np.testing.assert_array_equal(after.attention_added(0)[7], rows)
    gone = trace.attention_added(0) - after.attention_added(0)
    np.testing.assert_allclose(np.delete(gone, 7, axis=0), np.tile(trace.output_bias(0), (len(gone) - 1, 1)), atol=1e-6)
    places = ac.trace(model, TEXT, **explanation.taking_out(trace, parts, writers["position"]))
    np.testing.assert_array_equal(places.embedding(0)[7], rows)
    words = model.hf.transformer.wte.weight.detach()[trace.tokens.ids].numpy()
    np.testing.assert_allclose(np.delete(places.embedding(0), 7, axis=0), np.delete(words, 7, axis=0), atol=1e-6)


@pytest.mark.parametrize("against", [None, "mean", 2])
def test_the_score_alone_is_the_score_that_is_split(against):
    trace = bert()
    assert compared_score(trace.stream(), 1, 2, 7, 4, against) == trace.score_parts(1, 2, 7, 4, against).score
