"""A score is the sum of its parts in every family, and each part is what the model's own modules make of its writer."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from families import FAMILIES, OUTSIDE, TARGET, TEXT, of_each_kind, word_tokenizer
from frozen_judge import FrozenJudge
from transformers import AttentionInterface
from transformers.models.mpt.modeling_mpt import MptAttention

import attn_core as ac
from attn_core.circuits import score_parts as splitting
from attn_core.errors import DoesNotAddUp, HeadlightError

QUERY, KEY, OTHER = 7, 4, 5
JUDGED = [
    *("bert", "distilbert", "electra", "gpt2", "opt", "gpt_neox", "cohere", "llama", "mistral", "qwen3", "gemma2"),
    *("gemma3", "olmo2", "t5", "bart", "mbart"),
]


def traced(name, **options):
    """(the library's model, our trace of it)."""
    model = FAMILIES[name].build()
    wrapped = ac.wrap(model, word_tokenizer(), name=name)
    target = {"target": TARGET} if wrapped.kind == "encoder-decoder" else {}
    return model, ac.trace(wrapped, TEXT, **target, **options)


@pytest.fixture(scope="module", params=of_each_kind())
def pair(request):
    return request.param, *traced(request.param)


@pytest.fixture(scope="module")
def bert():
    return traced("bert")


def where(trace):
    """(stream=… for every reader, layer) of every attention call."""
    for stream in trace.streams:
        for layer in range(trace.n_layers_of(stream)):
            yield {"stream": stream}, layer


def test_the_parts_sum_to_the_models_score(pair):
    name, _, trace = pair
    for stream, layer in where(trace):
        raw = trace.raw_scores(layer, 2, **stream).astype(float)[QUERY] * trace.scaling(layer, **stream)
        bias = trace.position_bias(layer, 2, **stream)
        judge = raw[KEY] + (0 if bias is None else float(bias[QUERY, KEY]))
        parts = trace.score_parts(layer, 2, QUERY, KEY, **stream)
        size = float(np.abs(trace.raw_scores(layer, 2, **stream)).max()) * trace.scaling(layer, **stream)
        assert parts.matrix.shape == (len(parts.query_writers), len(parts.key_writers))
        assert parts.matrix.dtype == np.float64
        total = parts.matrix.sum() + sum(parts.other.values())
        assert total == pytest.approx(judge, abs=1e-5 * size), (name, stream, layer)
        assert parts.score == pytest.approx(judge, abs=1e-6 * size)
        assert parts.capped == pytest.approx(trace.scores(layer, 2, **stream)[QUERY, KEY], abs=2e-6 * size)
        assert parts.residue <= 1e-5 and list(parts.other) == ([] if bias is None else ["position bias"])


def test_against_the_mean_and_another_key_it_is_the_difference_of_splits(pair):
    _, _, trace = pair
    for stream, layer in where(trace):
        row = trace.scores(layer, 1, **stream).astype(float)[QUERY]
        seen = np.flatnonzero(np.isfinite(row))
        alone = {int(key): trace.score_parts(layer, 1, QUERY, int(key), **stream) for key in seen}
        size = max(float(np.abs(parts.matrix).max()) for parts in alone.values())
        other = trace.score_parts(layer, 1, QUERY, KEY, OTHER, **stream)
        np.testing.assert_allclose(other.matrix, alone[KEY].matrix - alone[OTHER].matrix, atol=1e-9 * size)
        assert other.capped == pytest.approx(row[KEY] - row[OTHER], abs=1e-4 * np.abs(row[seen]).max())
        mean = trace.score_parts(layer, 1, QUERY, KEY, "mean", **stream)
        middle = np.mean([parts.matrix for parts in alone.values()], axis=0)
        np.testing.assert_allclose(mean.matrix, alone[KEY].matrix - middle, atol=1e-9 * size)
        assert mean.capped == pytest.approx(row[KEY] - row[seen].mean(), abs=1e-4 * np.abs(row[seen]).max())


def test_values_sum_to_delta_e_by_source(pair):
    _, _, trace = pair
    for stream, layer in where(trace):
        judge = trace.delta_e_by_source(layer, 3, QUERY, **stream)
        parts = trace.value_parts(layer, 3, QUERY, KEY, **stream)
        assert parts.vectors.shape == (len(parts.writers), trace.d_model)
        np.testing.assert_allclose(parts.vectors.sum(axis=0), judge[KEY], atol=1e-5 * np.abs(judge).max())
        assert parts.residue <= 1e-5


@pytest.mark.parametrize("name", JUDGED)
def test_each_writer_is_what_the_models_own_modules_make_of_it(name):
    """The derivative of the score through the model itself, its norms' statistics detached, times the writer."""
    model, trace = traced(name)
    judge = FrozenJudge(model, trace)
    for stream in trace.streams:
        layer = trace.n_layers_of(stream) - 1
        parts = trace.score_parts(layer, 2, QUERY, KEY, stream=stream)
        for side, writers, sums in (
            ("query", parts.query_writers, parts.matrix.sum(axis=1)),
            ("key", parts.key_writers, parts.matrix.sum(axis=0)),
        ):
            found = judge.writers(stream, layer, 2, QUERY, KEY, side)
            assert set(writers) == set(found), (name, stream, side)
            size = np.abs(parts.matrix).sum(axis=1 if side == "query" else 0).max()
            for writer, ours in zip(writers, sums, strict=True):
                assert ours == pytest.approx(found[writer], abs=2e-5 * size), (name, stream, side, writer)


def test_writers_are_named_as_they_stand_in_the_model(bert):
    _, trace = bert
    parts = trace.score_parts(1, 0, QUERY, KEY)
    heads = [f"head 0.{head}" for head in range(4)]
    shifts = ["attention norm shift 0", "mlp 0", "mlp norm shift 0"]
    before = ["embedding", "position", "segment", "embedding norm shift"]
    assert list(parts.query_writers) == [*before, *heads, "bias 0", *shifts, "query bias"]
    assert list(parts.key_writers) == [*before, *heads, "bias 0", *shifts, "key bias"]
    third = parts.query_writers[6]
    assert (third.kind, third.stream, third.layer, third.head) == ("head", "self", 0, 2)
    assert list(trace.value_parts(1, 0, QUERY, KEY).writers)[-1] == "value bias"


def test_a_translators_writers_say_their_stream():
    _, trace = traced("bart")
    parts = trace.score_parts(1, 0, QUERY, KEY, stream="cross")
    assert {"embedding", "decoder head 0.1", "cross head 0.1", "decoder head 1.3"} <= set(parts.query_writers)
    assert "cross head 1.0" not in parts.query_writers  # it is this call
    assert {"encoder head 1.3", "encoder mlp 1"} <= set(parts.key_writers)
    assert not [writer for writer in parts.key_writers if writer.startswith(("decoder", "cross"))]
    assert "cross head 0.1" in trace.score_parts(1, 0, QUERY, KEY, stream="decoder").key_writers


def test_the_frame_has_a_row_for_each_pair_and_sums_to_the_score():
    _, trace = traced("t5")
    parts = trace.score_parts(1, 2, QUERY, KEY, stream="encoder")
    frame = parts.frame()
    assert list(frame.columns) == ["query_writer", "key_writer", "part"]
    assert len(frame) == parts.matrix.size + 1
    assert frame["part"].sum() == pytest.approx(parts.score, abs=1e-5 * parts.largest)
    assert frame["part"].abs().is_monotonic_decreasing
    bias = frame[frame["query_writer"] == "position bias"]
    assert bias["part"].item() == pytest.approx(trace.position_bias(1, 2, stream="encoder")[QUERY, KEY])
    assert bias["key_writer"].isna().all()
    row = frame.iloc[0]
    at = parts.query_writers.index(row["query_writer"]), parts.key_writers.index(row["key_writer"])
    assert row["part"] == parts.matrix[at] == parts.matrix.flat[np.abs(parts.matrix).argmax()]


def test_the_frame_of_values_sums_to_the_length(bert):
    parts = bert[1].value_parts(1, 0, QUERY, KEY)
    frame = parts.frame()
    assert list(frame.columns) == ["writer", "length", "along"] and len(frame) == len(parts.writers)
    assert frame["along"].sum() == pytest.approx(np.linalg.norm(parts.vectors.sum(axis=0)))


def test_alibi_is_a_part_of_its_own():
    """T5 with ALiBi's slopes in its table, on both sides of a word."""
    model = FAMILIES["t5"].build()
    table = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight  # [bucket, head]
    half = len(table) // 2  # words before come first, then those behind; near ones have a bucket each
    slopes = 2.0 ** -torch.arange(1, table.shape[1] + 1)
    with torch.no_grad():
        table.zero_()
        for distance in range(half // 2):
            table[distance] = table[half + distance] = -slopes * distance
    trace = ac.trace(ac.wrap(model, word_tokenizer(), name="alibi"), TEXT, target=TARGET)
    for layer in range(trace.n_layers_of("encoder")):
        parts = trace.score_parts(layer, 2, QUERY, KEY, stream="encoder")
        assert parts.other == {"position bias": pytest.approx(-float(slopes[2]) * (QUERY - KEY), abs=1e-6)}
        nearer = trace.score_parts(layer, 2, QUERY, OTHER, KEY, stream="encoder")
        assert nearer.other["position bias"] == pytest.approx(float(slopes[2]) * (OTHER - KEY), abs=1e-6)
        assert parts.residue <= 1e-5 and nearer.residue <= 1e-5


class InterfaceMptAttention(MptAttention):
    """MPT's own attention, asked for through the library's interface, as a researcher would port it.

    The library's MPT, BLOOM and Falcon compute theirs outside of it, and are refused by name (test_capture).
    """

    def forward(self, hidden_states, position_bias, past_key_values=None, attention_mask=None, **options):
        if self.config._attn_implementation == "eager":
            return super().forward(hidden_states, position_bias, past_key_values, attention_mask, **options)
        n = hidden_states.shape[1]
        parts = self.Wqkv(hidden_states).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for part in parts)
        hidden = attention_mask.expand(1, self.n_heads, n, n)
        mask = position_bias[None, :, -n:, -n:].expand(hidden.shape).masked_fill(hidden, torch.finfo(torch.float32).min)
        attend = AttentionInterface()[self.config._attn_implementation]
        output, weights = attend(self, query, key, value, mask, scaling=self.softmax_scale)
        return self.out_proj(output.flatten(-2)), weights


def test_alibi_of_mpt_is_a_part_of_its_own():
    """Every score of every head: the model's own bias apart, exact, and the pass is the eager library's."""
    eager, model = OUTSIDE["mpt"].build(), OUTSIDE["mpt"].build()
    for block in model.transformer.blocks:
        block.attn.__class__, block.attn.config, block.attn.is_causal = InterfaceMptAttention, model.config, True
    trace = ac.trace(ac.wrap(model, word_tokenizer(), name="mpt"), TEXT)
    n = len(trace.tokens)
    with torch.inference_mode():
        theirs = eager.transformer(torch.tensor([trace.tokens.ids]), use_cache=False)[0][0].numpy()
    np.testing.assert_allclose(trace.final_embedding(), theirs, atol=1e-5 * np.abs(theirs).max())
    alibi = eager.transformer.build_mpt_alibi_tensor(trace.n_heads, n).expand(-1, n, -1).numpy()  # [head, query, key]
    assert np.ptp(alibi[:, 0], axis=1).min() > 0.05
    for layer in range(trace.n_layers):
        for head in range(trace.n_heads):
            own = eager.transformer.blocks[layer].attn
            for against in (None, "mean", OTHER):
                parts = trace.score_parts(layer, head, QUERY, KEY, against)
                row = alibi[head, QUERY]
                less = {None: 0.0, "mean": row[: QUERY + 1].mean(), OTHER: row[OTHER]}[against]
                assert parts.other == {"position bias": pytest.approx(float(row[KEY] - less), abs=1e-6)}
                assert parts.residue <= 1e-5
            plain = trace.score_parts(layer, head, QUERY, KEY)
            product = trace.query(layer, head)[QUERY] @ trace.key(layer, head)[KEY] * own.softmax_scale
            assert plain.matrix.sum() == pytest.approx(float(product), abs=1e-5 * plain.largest)
            assert plain.score == pytest.approx(trace.scores(layer, head)[QUERY, KEY], abs=1e-5 * plain.largest)
            assert plain.frame()["query_writer"].tolist().count("position bias") == 1


def test_parts_that_cancel_are_said(bert):
    parts = bert[1].score_parts(1, 0, QUERY, KEY)
    assert parts.cancellation == pytest.approx(np.abs(parts.matrix).sum() / abs(parts.score))


@pytest.mark.parametrize("replacement", ["zero", "mean"])
def test_a_head_that_was_replaced_writes_what_was_put_in_its_place(bert, replacement):
    model, whole = bert
    wrapped = ac.wrap(model, word_tokenizer(), name="bert")
    trace = ac.trace(wrapped, TEXT, without=[(0, 2)], replacement=replacement)
    parts = trace.score_parts(1, 0, QUERY, KEY)
    assert parts.score == pytest.approx(trace.scores(1, 0)[QUERY, KEY], abs=1e-5)
    row = parts.matrix[parts.query_writers.index("head 0.2")]
    if replacement == "zero":
        assert not row.any()
    else:
        assert np.abs(row).max() > 0
        own = whole.score_parts(1, 0, QUERY, KEY)
        assert not np.allclose(row, own.matrix[own.query_writers.index("head 0.2")])
    with pytest.raises(HeadlightError, match="switched off"):
        trace.value_parts(0, 2, QUERY, KEY)


def test_a_forced_pattern_is_a_writer_too(bert):
    model, whole = bert
    even = np.full((len(whole.tokens),) * 2, 1 / len(whole.tokens))
    trace = ac.trace(ac.wrap(model, word_tokenizer(), name="bert"), TEXT, edit={(0, 1): even})
    assert trace.score_parts(1, 3, QUERY, KEY, "mean").residue < 1e-5
    judge = trace.delta_e_by_source(0, 1, QUERY)[KEY]
    np.testing.assert_allclose(trace.value_parts(0, 1, QUERY, KEY).vectors.sum(axis=0), judge, atol=1e-6)


@pytest.mark.parametrize(("name", "stream"), [("minilm", None), ("tiny-decoder", None), ("tiny-translator", "cross")])
def test_real_models_add_up(name, stream):
    model = ac.load(name)
    target = {"target": "une créature bleue"} if stream else {}
    trace = ac.trace(model, "a fluffy blue creature roamed the verdant forest", **target)
    for named in trace.streams:
        for layer in range(trace.n_layers_of(named)):
            for head in range(0, trace.n_heads_of(named), 3):
                for against in (None, "mean"):
                    parts = trace.score_parts(layer, head, 3, 1, against, stream=named)
                    assert parts.residue < 4e-6
                assert trace.value_parts(layer, head, 3, 1, stream=named).residue < 4e-6


def test_minilm_has_eighty_four_writers_before_its_last_layer():
    model = ac.load("minilm")
    parts = ac.trace(model, "a fluffy blue creature").score_parts(5, 0, 2, 1)
    assert len(parts.query_writers) - 1 == 84  # and the query bias


def test_what_is_not_there_is_refused(bert):
    _, trace = bert
    for asked in ((9, 0, 1, 1), (0, 9, 1, 1), (0, 0, 99, 1), (0, 0, 1, 99), (0, 0, 1, -1), (0, 0, -1, 1)):
        with pytest.raises(IndexError, match="out of range"):
            trace.score_parts(*asked)
        with pytest.raises(IndexError, match="out of range"):
            trace.value_parts(*asked)
    with pytest.raises(IndexError, match="key 99"):
        trace.score_parts(0, 0, 1, 1, 99)
    for against in ("median", 1):
        with pytest.raises(ValueError, match="against must be"):
            trace.score_parts(0, 0, 1, 1, against)
    with pytest.raises(ValueError, match="stream must be one of"):
        trace.score_parts(0, 0, 1, 1, stream="cross")


def test_a_key_that_the_mask_hides_has_no_score():
    _, trace = traced("gpt2")
    with pytest.raises(HeadlightError, match="may not look at key 4"):
        trace.score_parts(1, 0, 2, 4)
    with pytest.raises(HeadlightError, match="may not look at key 4"):
        trace.score_parts(1, 0, 2, 1, 4)
    mean = trace.score_parts(1, 0, 2, 1, "mean")  # of keys 0, 1 and 2 alone
    row = trace.scores(1, 0)[2, :3].astype(float)
    assert mean.score == pytest.approx(row[1] - row.mean(), abs=1e-5)


def test_the_largest_score_is_one_that_may_be_seen():
    _, trace = traced("gpt2")
    largest = []
    for head in range(trace.n_heads):
        scores = trace.scores(1, head)
        largest.append(float(np.abs(scores[np.isfinite(scores)]).max()))
        assert trace.score_parts(1, head, 2, 1).largest == pytest.approx(largest[-1], rel=1e-5)
    hidden = [np.abs(trace.raw_scores(1, head)).max() * trace.scaling(1) for head in range(trace.n_heads)]
    assert any(a > 1.01 * b for a, b in zip(hidden, largest, strict=True))  # else this would tell nothing


def test_parts_that_miss_the_score_are_refused(bert, monkeypatch):
    """One writer left out: the sum is another one, and nothing is handed out."""
    _, trace = bert
    real = splitting.entering
    with monkeypatch.context() as patched:

        def without_position(*given):
            written = real(*given)
            written._additions = [a for a in written._additions if a.writers != ("position",)]
            return written

        patched.setattr(splitting, "entering", without_position)
        with pytest.raises(DoesNotAddUp, match="miss"):
            trace.score_parts(1, 0, QUERY, KEY)
        with pytest.raises(DoesNotAddUp, match="miss"):
            trace.value_parts(1, 0, QUERY, KEY)


def test_a_row_of_keys_is_one_batch(bert, monkeypatch):
    """Against the mean no map runs once a key."""
    _, trace = bert
    sizes = []
    real = splitting.HeadMap.part
    monkeypatch.setattr(splitting.HeadMap, "part", lambda own, x: sizes.append(len(x)) or real(own, x))
    parts = trace.score_parts(1, 0, QUERY, KEY, "mean")
    assert len(sizes) == len(parts.query_writers) + len(parts.key_writers) - 2
    assert set(sizes) == {1, len(trace.tokens)}


def test_a_model_that_was_unloaded_is_loaded_once_for_a_split():
    loaded = []

    def load():
        loaded.append("bert")
        return ac.wrap(FAMILIES["bert"].build(), word_tokenizer(), name="bert", reload=load)

    trace = ac.trace(load(), TEXT)
    for split in (trace.score_parts, trace.value_parts):  # the second finds what the first has loaded
        gc.collect()
        split(1, 0, QUERY, KEY)
        assert len(loaded) == 2


def test_the_shared_model_is_left_as_it_was(bert):
    model, trace = bert
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trace.score_parts(1, 0, QUERY, KEY, "mean")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


# ----------------------------------------------------------------------------------------------------- patched passes

OTHER_TEXT = "the grey fox ran far over one hill and an old fox lay by the sun while the tree went up on it"


def patched(name, place, **options):
    """(the library's model, the pass that is patched from, the patched pass)."""
    built = FAMILIES[name].build()
    model = ac.wrap(built, word_tokenizer(), name=name)
    donor = ac.trace(model, OTHER_TEXT)
    put = donor if place.position is None else donor.embedding(place.layer)[place.position]
    return built, donor, ac.trace(model, TEXT, patch={place: put}, **options)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "olmo2"])
def test_where_a_stream_is_patched_those_before_end_and_the_patch_is_the_writer(name):
    _model, donor, trace = patched(name, ac.at.residual(1))
    parts, judge = trace.score_parts(1, 2, QUERY, KEY), donor.score_parts(1, 2, QUERY, KEY)
    assert parts.query_writers[0] == parts.key_writers[0] == "residual patch 1"
    assert {writer.kind for writer in parts.query_writers} <= {"patch", "own"}
    own = [writer.kind == "own" for writer in judge.query_writers]
    size = np.abs(judge.matrix).max()
    np.testing.assert_allclose(parts.matrix[0].sum(), judge.matrix[~np.array(own)].sum(), atol=1e-5 * size)
    assert parts.score == pytest.approx(judge.score, abs=1e-4 * judge.largest)
    values = trace.value_parts(1, 2, QUERY, KEY)
    assert values.writers[0] == "residual patch 1" and {writer.kind for writer in values.writers} <= {"patch", "own"}


def test_a_patch_at_one_word_ends_what_was_written_into_that_word_alone():
    _model, _, trace = patched("gpt2", ac.at.residual(1, position=KEY))
    parts = trace.score_parts(1, 2, QUERY, KEY)
    assert {"embedding", "head 0.1", "mlp 0"} <= set(parts.query_writers)
    assert {writer.kind for writer in parts.key_writers} <= {"patch", "own"}
    mean = trace.score_parts(1, 2, QUERY, KEY, "mean")  # of other keys, in which everybody writes
    assert {"residual patch 1", "embedding", "head 0.1"} <= set(mean.key_writers)
    assert mean.residue < 1e-5


@pytest.mark.parametrize("name", ["bert", "gpt2", "olmo2"])
def test_where_attention_is_patched_its_heads_end(name):
    _model, _, trace = patched(name, ac.at.attention(0))
    parts = trace.score_parts(1, 2, QUERY, KEY)
    assert "attention patch 0" in parts.query_writers and {"embedding", "mlp 0"} <= set(parts.query_writers)
    assert not [writer for writer in parts.query_writers if writer.kind == "head" or writer == "bias 0"]
    assert parts.residue < 1e-5


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "qwen3"])
def test_where_a_query_is_patched_nobody_else_writes_it(name):
    _model, donor, trace = patched(name, ac.at.query(1, 2))
    parts = trace.score_parts(1, 2, QUERY, KEY)
    assert list(parts.query_writers) == ["query patch"] and len(parts.key_writers) > 5
    scale = trace.scaling(1)
    judge = float(donor.query(1, 2)[QUERY].astype(float) @ trace.key(1, 2)[KEY].astype(float)) * scale
    assert parts.matrix.sum() == pytest.approx(judge, abs=1e-5 * parts.largest)
    _keyed, _, keyed = patched(name, ac.at.key(1, 2))
    assert list(keyed.score_parts(1, 2, QUERY, KEY).key_writers) == ["key patch"]
    _valued, _, valued = patched(name, ac.at.value(1, 2))
    assert list(valued.value_parts(1, 2, QUERY, KEY).writers) == ["value patch"]
