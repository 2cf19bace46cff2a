"""Keys that stand for no word: a learned sink is a column "no word" that takes what the words leave of each row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from families import TEXT, Family, word_tokenizer

import attn_core as ac
from attn_core.capture.again import trace_again
from attn_core.circuits import explanation
from attn_core.circuits.flow import flow
from attn_core.heads.quantities import StreamReading
from attn_core.heads.salience import salient_query_of
from attn_core.text.decoding import visible
from attn_core.views import files
from attn_core.views.view import View
from attn_core.walkthrough.from_trace import from_trace
from attn_core.walkthrough.head import run_stages

_SIZES = {
    "num_attention_heads": 4, "num_hidden_layers": 2, "hidden_size": 32, "vocab_size": 99, "intermediate_size": 48,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "sliding_window": 6,
}  # fmt: skip
SINKS = {
    "gpt_oss": lambda: tf.GptOssConfig(**_SIZES, head_dim=8, num_local_experts=2, num_experts_per_tok=1),
    "granite_swa": lambda: tf.AutoConfig.for_model("granite_swa", **_SIZES),  # its weights are told before the sink
    "mimo_v2_flash": lambda: tf.MiMoV2FlashConfig(  # a sink where it has a window, and none in the other layer
        **_SIZES, head_dim=8, v_head_dim=8, swa_num_attention_heads=4, swa_num_key_value_heads=2, swa_head_dim=8,
        swa_v_head_dim=8, n_routed_experts=4, num_experts_per_tok=1, moe_intermediate_size=16,
        layer_types=["full_attention", "sliding_attention"],
    ),
}  # fmt: skip


def sinking(name: str) -> Any:
    model = Family(SINKS[name]).build()
    torch.manual_seed(2)
    with torch.no_grad():
        for weight, numbers in model.named_parameters():
            if weight.endswith("sinks"):
                numbers.copy_(1 + torch.randn_like(numbers))
    return model


@pytest.fixture(scope="module")
def model() -> ac.Model:
    return ac.wrap(sinking("gpt_oss"), word_tokenizer())


@pytest.fixture(scope="module")
def trace(model: ac.Model) -> ac.Trace:
    return ac.trace(model, TEXT)


@pytest.mark.parametrize("name", SINKS)
def test_a_learned_sink_is_a_column_that_takes_what_the_words_leave(name: str) -> None:
    owners = sinking(name)
    trace = ac.trace(ac.wrap(owners, word_tokenizer()), TEXT)
    owners.set_attn_implementation("eager")
    with torch.inference_mode():
        said = owners(torch.tensor([trace.tokens.ids]), output_attentions=True)
    n = len(trace.tokens)
    sinks = [getattr(layer.self_attn, "sinks", None) for layer in owners.model.layers]
    for layer, (theirs, own) in enumerate(zip(said.attentions, sinks, strict=True)):
        pattern = trace.patterns(layer)
        np.testing.assert_allclose(pattern.sum(axis=-1), 1, atol=1e-6)
        if own is None:
            assert not trace.may_look(layer)[:, n].any() and not pattern[..., n].any()
            assert np.isneginf(trace.scores(layer, 0)[:, n]).all() and trace.learnt_score(layer, 0) is None
        else:
            assert trace.may_look(layer)[:, n].all() and (pattern[..., n] > 0).all()
            np.testing.assert_array_equal(trace.scores(layer, 3)[:, n], np.full(n, own[3].item(), np.float32))
            assert trace.learnt_score(layer, 3) == own[3].item()
        words = pattern[..., :n]
        before = words if name != "granite_swa" else words / words.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(before, theirs[0], atol=2e-6)
        assert not trace.value(layer, 1)[n].any() and not trace.raw_scores(layer, 1)[:, n].any()
    np.testing.assert_allclose(trace.logits(), said.logits[0, -1], atol=1e-4)
    check = trace.check()
    assert check.ok and check.own_pass < 1e-5 and check.own_weights < 1e-5
    queries, keys = trace.tokens_of("self")
    assert keys.labels == [*queries.labels, "no word"] and keys.special[n] and keys.words[n] is None
    assert keys.ids[:n] == queries.ids and keys.ids[n] < 0


def test_no_word_brings_nothing_and_the_words_sum_to_delta_e(trace: ac.Trace) -> None:
    sources = trace.delta_e_by_source(1, 2, 5)
    assert sources.shape == (len(trace.tokens) + 1, 32) and not sources[-1].any()
    np.testing.assert_allclose(sources.sum(axis=0), trace.delta_e(1, 2)[5], atol=1e-5)
    total = sum(trace.delta_e(1, head) for head in range(4)) + trace.output_bias(1)
    np.testing.assert_allclose(total, trace.attention_added(1), atol=1e-5)
    row = trace.pattern_row(1, 2, 5)
    np.testing.assert_allclose(row, trace.pattern(1, 2)[5], atol=1e-7)
    np.testing.assert_array_equal(trace.patterns(1, slice(3, 7)), trace.patterns(1)[:, 3:7])


def test_every_kind_of_pass_has_the_column(model: ac.Model, trace: ac.Trace, tmp_path: Path) -> None:
    other = "the old fox sat"
    for many, text in zip(ac.trace_many(model, [TEXT, other]), (TEXT, other), strict=True):
        np.testing.assert_allclose(many.pattern(1, 1), ac.trace(model, text).pattern(1, 1), atol=1e-6)
        assert many.check().ok
    graph = ac.trace(model, TEXT, grad=True)
    np.testing.assert_allclose(graph.pattern(1, 1).detach(), trace.pattern(1, 1), atol=1e-6)
    np.testing.assert_allclose(graph.scores(1, 1).detach(), trace.scores(1, 1), atol=1e-5)
    path = tmp_path / "trace.safetensors"
    trace.save(path, with_output=True)
    opened = ac.open_trace(path)
    np.testing.assert_array_equal(opened.pattern(1, 1), trace.pattern(1, 1))
    assert visible(opened.tokens_of("self")[1].labels[-1]) == "no word" and opened.check().ok
    off = ac.trace(model, TEXT, without=[(1, 0)])
    np.testing.assert_array_equal(trace_again(model, trace, without=[(1, 0)]).embedding(2), off.embedding(2))
    forced = ac.trace(model, TEXT, edit={(1, 0): trace.pattern(1, 1)})
    np.testing.assert_array_equal(forced.pattern(1, 0), trace.pattern(1, 1))
    patched = ac.trace(model, TEXT, patch={ac.at.key(1, 2): trace, ac.at.value(1, 1, position=2): trace})
    np.testing.assert_allclose(patched.final_embedding(), trace.final_embedding(), atol=1e-5)
    assert off.check().ok and forced.check().ok and patched.check().ok
    table = trace.frame()
    assert table[table["key_token"] == "no word"]["key"].eq(len(trace.tokens)).all()


@pytest.mark.parametrize(
    "arranged", [{}, {"words": True}, {"hide_sink": True}, {"words": True, "hide_sink": True}, {"mean": "all"}],
    ids=lambda arranged: " ".join(arranged) or "plain",
)  # fmt: skip
def test_maps_and_files_have_the_column_and_hiding_takes_it_out(trace: ac.Trace, arranged: dict[str, Any]) -> None:
    view = View(trace, 1, 2, query=4, **arranged)
    rows, columns = view.sides
    hidden = "hide_sink" in arranged
    assert (columns.labels[-1] == "no word") is not hidden and rows.labels[-1] != "no word"
    assert view.pattern.shape == view.may_look.shape == (len(rows.labels), len(columns.labels))
    np.testing.assert_allclose(view.pattern.sum(axis=-1), 1, atol=1e-5)
    lines = [line.split(",") for line in files.csv(view).splitlines()]
    names = [line[3] for line in lines]
    assert names.count("no word") == (0 if hidden else len(rows.labels))
    assert [key["token"] for key in json.loads(files.json(view))["keys"]] == columns.labels
    assert ('"no word"' in files.html(view)) is not hidden
    assert files.figure(view).data[0].x[-1].startswith("no word") is not hidden


def test_measures_take_no_word_for_a_place_to_rest_and_for_no_separator(trace: ac.Trace) -> None:
    reading = StreamReading(trace.stream())
    n = len(trace.tokens)
    assert reading.sink[n] and not next(reading.readings(1)).special[n]
    for kind in ("next", "local", "duplicate", "punctuation"):
        assert reading.score(1, kind) is None or np.isfinite(reading.score(1, kind).total).all()
    assert salient_query_of(trace.stream(), trace.pattern(1, 2)) < n
    assert len(ac.classify_heads(ac.wrap(sinking("gpt_oss"), word_tokenizer()), texts=[TEXT], seeds=[0])) == 8


def test_step_by_step_computes_the_head_with_its_learnt_score(trace: ac.Trace) -> None:
    inputs = from_trace(trace.stream(), 1, 2)
    assert inputs.weights is not None and inputs.rotation is not None  # the words' keys are W·x, and turned
    stages = run_stages(inputs)
    np.testing.assert_allclose(stages.pattern, trace.pattern(1, 2), atol=1e-6)
    np.testing.assert_allclose(stages.delta, trace.delta_e(1, 2), atol=1e-5)
    for ablation in inputs.possible_ablations():
        assert run_stages(inputs, frozenset({ablation})).pattern.shape == stages.pattern.shape


def test_scores_beside_a_learnt_one_are_split_and_the_learnt_one_is_a_part_of_its_own(trace: ac.Trace) -> None:
    """Rows have one cell more, which no query and no key makes: its logit is what the head has learnt."""
    n = len(trace.tokens)
    for key, against in ((3, None), (3, 1), (3, n), (n, 3), (n, None), (3, "mean"), (n, "mean")):
        parts, scores = trace.score_parts(1, 2, 5, key, against), trace.scores(1, 2)[5]
        seen = scores[np.isfinite(scores)]
        other = 0.0 if against is None else seen.mean() if against == "mean" else scores[against]
        assert parts.score == pytest.approx(scores[key] - other, abs=1e-5) and parts.residue < 1e-6
        learnt = (key == n) - (1 / len(seen) if against == "mean" else float(against == n))
        assert parts.other == ({} if not learnt else {"no word": pytest.approx(learnt * trace.learnt_score(1, 2))})
    assert parts.frame()["part"].sum() == pytest.approx(parts.score, abs=1e-5)


def test_what_no_word_brings_is_nothing(trace: ac.Trace) -> None:
    n = len(trace.tokens)
    sources = trace.delta_e_by_source(1, 2, 5)
    for key in (3, n):
        found = trace.value_parts(1, 2, 5, key)
        np.testing.assert_allclose(found.vectors.sum(axis=0), sources[key], atol=1e-6)
    assert found.writers == ("no word",) and found.writers[0].kind == "learnt" and not found.vectors.any()


@pytest.mark.parametrize("measure", ["rollout", "norms", "alti"])
def test_the_flow_of_a_word_leaves_what_looked_at_no_word_to_no_word(trace: ac.Trace, measure: str) -> None:
    found = flow(trace.stream(), measure)
    n = len(trace.tokens)
    assert found.edges.shape == (trace.n_layers, n, n + 1)
    np.testing.assert_allclose(found.edges.sum(axis=-1), 1, atol=1e-6)
    if measure == "rollout":
        by_hand = trace.patterns(1).mean(axis=0)[:, n] / 2
        np.testing.assert_allclose(found.edges[1][:, n], by_hand, atol=1e-6)


def test_every_reason_of_a_score_of_such_a_model_can_be_followed(model: ac.Model, trace: ac.Trace) -> None:
    parts = trace.score_parts(1, 2, 5, 3, "mean")
    head = next(writer for writer in parts.query_writers if writer.kind == "head")
    sources = explanation.sources_of_writer(trace, parts, "query", head)
    assert len(sources) == len(trace.tokens) + 1 and sources[-1] == 0
    assert sources.sum() == pytest.approx(parts.matrix[list(parts.query_writers).index(head)].sum(), abs=1e-4)
    for writer, _ in explanation.effects(parts)[:8]:
        options = explanation.taking_out(trace, parts, writer)
        assert ac.trace(model, TEXT, **options).check().ok
    of_no_word = trace.score_parts(1, 2, 5, len(trace.tokens), 3)
    with pytest.raises(ac.HeadlightError, match="“no word” was learnt: no head wrote it"):
        explanation.sources_of_writer(trace, of_no_word, "key", head)
