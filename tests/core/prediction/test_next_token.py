"""Next words and the logit lens, judged by torch and by the library's own models and generation."""

from __future__ import annotations

from pathlib import Path

import families
import numpy as np
import pytest
import torch
import transformers as tf

import attn_core as ac
from attn_core.prediction import next_token
from attn_core.text.tokens import encode, from_ids

# --- Probabilities ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 2.0])
def test_probabilities_are_a_softmax(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 50)) * 8
    judge = torch.softmax(torch.tensor(logits) / temperature, dim=-1).numpy()
    assert np.abs(next_token.probabilities(logits, temperature) - judge).max() < 1e-12


def test_top_k_keeps_exactly_k_and_their_proportions() -> None:
    logits = np.random.default_rng(1).normal(size=40)
    full, kept = next_token.probabilities(logits), next_token.probabilities(logits, top_k=5)
    best = np.argsort(-logits)[:5]
    assert (kept > 0).sum() == 5 and set(np.flatnonzero(kept)) == set(best)
    assert kept.sum() == pytest.approx(1) and np.allclose(kept[best], full[best] / full[best].sum())
    assert (next_token.probabilities(np.zeros(7), top_k=3) > 0).sum() == 3  # among equals too
    assert np.array_equal(next_token.probabilities(logits, top_k=40), full)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_none(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        next_token.probabilities(np.zeros(3), temperature)


def test_extreme_logits_stay_finite() -> None:
    assert next_token.probabilities(np.array([1e4, -1e4, 0.0]), 0.1).tolist() == [1, 0, 0]


def test_next_words_are_the_librarys(both: tuple[object, ac.Model]) -> None:
    theirs, model = both
    trace = ac.trace(model, families.TEXT)
    with torch.no_grad():
        judge = torch.softmax(theirs(torch.tensor([trace.tokens.ids])).logits[0], dim=-1)  # type: ignore[operator]
    for position in (None, 0, 7):
        best = judge[-1 if position is None else position].topk(6)
        found = next_token.next_words(trace.stream(), 6, position=position)
        assert [prediction.id for prediction in found] == best.indices.tolist()
        assert np.allclose([prediction.probability for prediction in found], best.values, atol=1e-6)
        assert [prediction.word for prediction in found] == from_ids(model.tokenizer, best.indices.tolist()).labels


def test_a_model_without_a_next_word_says_so() -> None:
    with pytest.raises(ac.HeadlightError, match="does not predict a next word"):
        next_token.next_words(ac.trace(ac.load("minilm"), "a small fox").stream())


# --- The logit lens ---------------------------------------------------------------------------------------------------


def test_the_lens_norms_every_layer_and_ends_with_the_models_own_answer(both: tuple[object, ac.Model]) -> None:
    """The library's `hidden_states` are the streams; only its last one has been through the final norm already."""
    theirs, model = both
    trace = ac.trace(model, families.TEXT)
    with torch.no_grad():
        out = theirs(torch.tensor([trace.tokens.ids]), output_hidden_states=True)  # type: ignore[operator]
        norm = final_norm(theirs)
        *streams, last = [state[0] for state in out.hidden_states]
        logits = [theirs.lm_head(norm(s)) if hasattr(theirs, "lm_head") else theirs.embed_out(norm(s)) for s in streams]
        cap = getattr(theirs.config, "final_logit_softcapping", None)  # type: ignore[attr-defined]
        logits = [cap * torch.tanh(each / cap) if cap else each for each in logits]
    judge = [torch.softmax(each, dim=-1) for each in [*logits, out.logits[0]]]
    position = 5
    true = trace.tokens.ids[position + 1]
    rows = next_token.logit_lens(trace.stream(), position, count=4)
    assert [row.after for row in rows] == list(range(trace.n_layers + 1))
    for row, chances in zip(rows, judge, strict=True):
        own = chances[position]
        assert [prediction.id for prediction in row.predictions] == own.topk(4).indices.tolist()
        assert row.probability == pytest.approx(float(own[true]), abs=1e-6)
        assert row.rank == int((own > own[true]).sum()) + 1
    assert [prediction.id for prediction in rows[-1].predictions] == [
        g.id for g in next_token.next_words(trace.stream(), 4, position=position)
    ]


def final_norm(model: object) -> torch.nn.Module:
    inside = model.base_model  # type: ignore[attr-defined]
    inside = getattr(inside, "decoder", inside)  # OPT
    for name in ("ln_f", "final_layer_norm", "norm"):
        if getattr(inside, name, None) is not None:
            return getattr(inside, name)
    raise AssertionError(f"no final norm in {type(model).__name__}")


def test_the_last_position_is_ranked_by_the_models_own_answer(decoder: ac.Model) -> None:
    rows = next_token.logit_lens(ac.trace(decoder, "a hungry old fox").stream())
    assert rows[-1].rank == 1 and rows[-1].predictions[0].word == "ate"
    assert rows[0].rank > 1


def test_another_word_can_be_asked_for(decoder: ac.Model) -> None:
    trace = ac.trace(decoder, "a hungry old fox")
    hid = decoder.tokenizer.convert_tokens_to_ids("hid")
    ranks = [row.rank for row in next_token.logit_lens(trace.stream(), 4, word=hid)]
    assert ranks[-1] == int((trace.logits(4) > trace.logits(4)[hid]).sum()) + 1 > 1


# --- The text that was written ----------------------------------------------------------------------------------------


def test_appending_reads_back_as_the_same_tokens(decoder: ac.Model) -> None:
    byte = families.byte_tokenizer()
    tokens = encode(byte, "one grey fox ran", 64)
    ids = byte(" far over the hill").input_ids
    text = next_token.continued_text(byte, tokens, ids)
    assert text == "one grey fox ran far over the hill"
    assert encode(byte, text, 64).ids == tokens.ids + ids


@pytest.mark.parametrize(
    ("typed", "added", "text"),
    [
        ("one grey ", " fox", "one grey  fox"),  # the blank at the end is a token, and stays one
        ("one grey ", "fox", "one grey fox"),
        ("one grey\n", "fox", "one grey\nfox"),
        (" one grey", " fox", " one grey fox"),
    ],
)
def test_a_blank_at_the_end_is_kept_where_it_is_a_token(typed: str, added: str, text: str) -> None:
    byte = families.byte_tokenizer()
    tokens = encode(byte, typed, 64)
    ids = byte(added).input_ids
    assert next_token.continued_text(byte, tokens, ids) == text
    assert next_token.continued_text(byte, tokens, []) == typed


def test_a_blank_that_is_no_token_is_not_doubled(decoder: ac.Model) -> None:
    tokens = decoder.read("a hungry fox  ")
    ids = [decoder.tokenizer.convert_tokens_to_ids("ate")]
    assert next_token.continued_text(decoder.tokenizer, tokens, ids) == "a hungry fox ate"


def test_a_new_word_that_comes_back_keeps_its_name(decoder: ac.Model) -> None:
    trace = ac.trace(decoder, "a hungry Zorple ate in the forest . the")
    prediction = next_token.next_words(trace.stream(), 1)[0]
    assert prediction.word == "Zorple°"
    text = next_token.continued_text(decoder.tokenizer, trace.tokens, [prediction.id])
    assert text == "a hungry Zorple ate in the forest . the Zorple"
    assert ac.trace(decoder, text).tokens.ids == [*trace.tokens.ids, prediction.id]


def test_a_degree_sign_is_no_mark(tmp_path: Path) -> None:
    byte = families.byte_tokenizer()
    tokens = encode(byte, "25°", 64)
    assert next_token.continued_text(byte, tokens, [tokens.ids[-1]]).startswith("25°")
    assert isinstance(byte, tf.PreTrainedTokenizerBase)
