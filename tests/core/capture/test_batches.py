"""A trace of a batch equals the trace of its sentence alone, and holds nothing of the others."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES, TEXT, of_each_kind, word_tokenizer

import attn_core as ac
from attn_core.capture import batches, recorder
from attn_core.capture.batches import traces_beside
from attn_core.capture.hooks import AttentionCall

TEXTS = [TEXT, "one fox", "the sun went down on the hill", "sun", "the old fox sat by the tree", "one grey fox ran far"]
TRANSLATORS = ("t5", "bart", "mbart", "marian", "m2m_100", "nllb-moe")
IN_BATCHES = of_each_kind(name for name in FAMILIES if name not in TRANSLATORS)


def assert_same(ours: ac.Trace, single: ac.Trace) -> None:
    """Within 1e-5 of each row's largest value."""
    assert ours.tokens == single.tokens and ours.changes == single.changes
    for layer in range(single.n_layers):
        pairs = [
            (ours.embedding(layer), single.embedding(layer)),
            (ours.attention_output(layer), single.attention_output(layer)),
        ]
        for head in range(single.n_heads):
            pairs.append((ours.pattern(layer, head), single.pattern(layer, head)))
            pairs.append((ours.query(layer, head), single.query(layer, head)))
            pairs.append((ours.delta_e(layer, head), single.delta_e(layer, head)))
        for one, other in pairs:
            assert (np.abs(one - other) <= 1e-5 * np.abs(other).max()).all(), np.abs(one - other).max()
        assert np.array_equal(ours.may_look(layer), single.may_look(layer))
    final, other = ours.final_embedding(), single.final_embedding()
    assert (np.abs(final - other) <= 1e-5 * np.abs(other).max(axis=-1, keepdims=True)).all()


@pytest.mark.parametrize("name", IN_BATCHES)
def test_each_trace_equals_its_single_one(name: str) -> None:
    model = ac.wrap(FAMILIES[name].build(), word_tokenizer(), name=name)
    found = list(ac.trace_many(model, iter(TEXTS), batch=4))
    assert len(found) == len(TEXTS)
    for text, ours in zip(TEXTS, found, strict=True):
        assert_same(ours, ac.trace(model, text))
        assert ours.check().ok
    storages = {t.untyped_storage().nbytes() for t in found[3].stream()._layers[0].tensors()}
    assert max(storages) < 4096  # a short sentence keeps nothing of the long one beside it


@pytest.mark.parametrize("name", IN_BATCHES)
def test_a_changed_pass_beside_the_plain_one_equals_both(name: str) -> None:
    """In one pass of two rows, of which only the second lacks a head."""
    model = ac.wrap(FAMILIES[name].build(), word_tokenizer(), name=name)
    n_passes, counted = 0, model.hf.base_model.register_forward_pre_hook(lambda *_: count())

    def count() -> None:
        nonlocal n_passes
        n_passes += 1

    plain, *changed = traces_beside(model, TEXT, [(0, 1), (1, 0)])
    assert n_passes == 1
    counted.remove()
    assert_same(plain, ac.trace(model, TEXT))
    for head, ours in zip([(0, 1), (1, 0)], changed, strict=True):
        assert_same(ours, ac.trace(model, TEXT, without=[head]))
        assert np.abs(plain.final_embedding() - ours.final_embedding()).max() > 0
        assert ours.check().ok
    assert abs(plain.n_bytes - ac.trace(model, TEXT).n_bytes) < 0.1 * plain.n_bytes  # nothing of the other rows


def test_beside_the_plain_pass_refuses_what_it_cannot_read() -> None:
    with pytest.raises(ac.HeadlightError, match="holds no second row"):
        traces_beside(ac.load("tiny-translator"), "a bird", [(0, 0)])
    with pytest.raises(IndexError):
        traces_beside(ac.load("minilm"), "a bird", [(9, 0)])


def test_order_ids_pairs_and_refusals() -> None:
    model = ac.wrap(FAMILIES["gpt2"].build(), word_tokenizer())
    ids = [ac.trace(model, text).tokens.ids for text in TEXTS]
    assert [trace.tokens.ids for trace in ac.trace_many(model, ids, batch=1)] == ids
    assert list(ac.trace_many(model, [])) == []
    with pytest.raises(ValueError, match="batch must be at least 1"):
        ac.trace_many(model, TEXTS, batch=0)
    with pytest.raises(ac.EmptyText, match="no word here"):
        list(ac.trace_many(model, ["one fox", ""]))
    translator = ac.load("tiny-translator")
    (one,) = ac.trace_many(translator, [("the cat sleeps", "le chat dort")])
    assert np.array_equal(one.pattern(0, 0, stream="cross"), pair(translator).pattern(0, 0, stream="cross"))


def pair(translator: Any) -> ac.Trace:
    return ac.trace(translator, "the cat sleeps", target="le chat dort")


def test_of_a_sentence_that_is_let_go_nothing_is_copied_and_none_keeps_its_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, texts = ac.load("tiny-decoder"), ["a bird", "the fox", "a hill", "a tree"]
    batch_of, cut, alive = batches.BatchRecorder, batches._cut, []
    copied: list[tuple[int, int]] = []  # row, layer
    monkeypatch.setattr(
        batches, "BatchRecorder", lambda *own: alive.append(weakref.ref(made := batch_of(*own))) or made
    )
    monkeypatch.setattr(
        batches, "_cut", lambda batch, row, n, *own: copied.append((row, own[-1])) or cut(batch, row, n, *own)
    )
    gc.disable()  # a batch is let go at once
    try:
        assert sum(len(own.tokens) for own in ac.trace_many(model, texts, batch=2)) > 0
        assert {row for row, _ in copied} == {1}  # of the last, which its reader still holds when there is no other
        assert [batch() for batch in alive] == [None, None]
        copied.clear()

        held = next(traces := ac.trace_many(model, texts, batch=4))
        held.embedding(0)
        assert copied == [(0, 0)]
        traces.close()
        assert copied == [(0, layer) for layer in range(held.n_layers)] and alive[-1]() is None
    finally:
        gc.enable()
    assert_same(held, ac.trace(model, texts[0]))


def test_sentences_as_long_as_another_share_the_rules_of_its_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read once, not once for each; what hides something else is read for itself."""
    model, read_mask, read = ac.load("tiny-decoder"), recorder.read_mask, []
    monkeypatch.setattr(recorder, "read_mask", lambda *given: read.append(given[3]) or read_mask(*given))
    texts = ["a bird", "the old fox", "the fox", "a hill", "a blue bird"]
    found = list(ac.trace_many(model, texts))
    lengths = [len(own.tokens) for own in found]
    assert sorted(read) == sorted(set(lengths)) and len(set(lengths)) == 2
    for text, ours in zip(texts, found, strict=True):
        assert_same(ours, ac.trace(model, text))
    blank: Any = None
    square = torch.ones(1, 1, 2, 2, dtype=torch.bool)
    squares = (None, square, square.tril())
    none, all_seen, causal = (AttentionCall(*[blank] * 4, mask, *[blank] * 5) for mask in squares)
    assert batches._same_squares(all_seen, causal._replace(mask=square.clone()))
    assert not batches._same_squares(all_seen, causal) and not batches._same_squares(none, causal)
    assert not batches._same_squares(none._replace(bias=square * 1.0), none._replace(bias=square * 2.0))


def test_a_long_sentence_has_a_pass_of_its_own() -> None:
    """Beside it short ones would be padded to its length, and cost as much as it does."""
    model, shapes = ac.load("tiny-decoder"), []
    counted = model.hf.base_model.register_forward_pre_hook(
        lambda _module, _given, named: shapes.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    try:
        list(ac.trace_many(model, ["a bird", "a hill " * 20, "the old fox", "a blue bird"]))
    finally:
        counted.remove()
    assert shapes == [(3, 4), (1, 41)]
