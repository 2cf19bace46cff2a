"""One word in several sentences, judged by a plain transformers computation and by sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from families import word_tokenizer
from transformers import AutoModel, AutoTokenizer

import attn_core as ac
from attn_core.models.sources import bundled_folder
from attn_core.residual import senses
from attn_core.text import tokens

SENTENCES = (
    "the american shrew mole digs a burrow",
    "one mole of carbon dioxide weighs 44 grams",
    "take a biopsy of the mole on the skin",
)


@pytest.fixture(scope="module")
def model():
    return ac.load("minilm")


@pytest.fixture(scope="module")
def traces(model):
    return [ac.trace(model, sentence) for sentence in SENTENCES]


@pytest.fixture(scope="module")
def moles(traces):
    return [senses.read(trace, senses.find_word(trace.tokens, "mole")[0]) for trace in traces]


def test_the_three_cosines_of_mole_are_those_of_plain_transformers(moles):
    plain, tokenizer = (kind.from_pretrained(bundled_folder()) for kind in (AutoModel, AutoTokenizer))
    states = []
    for sentence in SENTENCES:
        encoded = tokenizer(sentence, return_tensors="pt")
        place = tokenizer.convert_ids_to_tokens(encoded.input_ids[0]).index("mole")
        with torch.inference_mode():
            hidden = plain(**encoded, output_hidden_states=True).hidden_states
        states.append(torch.stack([layer[0, place] for layer in hidden]))
    for occurrence, judge in zip(moles, states, strict=True):
        np.testing.assert_allclose(occurrence.route, judge, atol=1e-4)
    cosines = senses.cosines_by_layer([occurrence.route for occurrence in moles])
    for (a, b), line in zip(senses.pairs(3), cosines, strict=True):
        judge = torch.cosine_similarity(states[a], states[b], dim=-1)
        np.testing.assert_allclose(line, judge, atol=1e-5)
    assert [round(float(c), 2) for c in cosines[:, -1]] == [0.66, 0.87, 0.70]


def test_parts_of_an_occurrence_are_rows_of_the_trace(traces, moles):
    place = senses.find_word(traces[0].tokens, "mole")[0][0]
    for layer in range(6):
        for head in (0, 7):
            np.testing.assert_allclose(moles[0].heads[layer, head], traces[0].delta_e(layer, head)[place], atol=1e-5)
        np.testing.assert_array_equal(moles[0].mlp[layer], traces[0].mlp_added(layer)[place])


def test_several_pieces_are_averaged(traces):
    pieces = senses.find_word(traces[0].tokens, "shrew")[0]
    assert [traces[0].tokens.labels[i] for i in pieces] == ["sh", "##rew"]
    found = senses.read(traces[0], pieces)
    np.testing.assert_allclose(found.route[3], traces[0].embedding(3)[pieces].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.heads[2, 5], traces[0].delta_e(2, 5)[pieces].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(
        senses.looks(traces[0], 1, 4, pieces), traces[0].pattern(1, 4)[pieces].mean(axis=0), atol=1e-6
    )


def test_who_told_them_apart_is_the_length_of_the_difference(traces, moles):
    found = senses.separation(moles[0], moles[1])
    a, b = (senses.find_word(t.tokens, "mole")[0][0] for t in traces[:2])
    for layer, head in ((0, 2), (5, 11)):
        difference = traces[0].delta_e(layer, head)[a] - traces[1].delta_e(layer, head)[b]
        assert found.heads[layer, head] == pytest.approx(np.linalg.norm(difference), rel=1e-4)
    whole = traces[0].attention_output(3)[a] - traces[1].attention_output(3)[b]
    assert found.attention[3] == pytest.approx(np.linalg.norm(whole), rel=1e-4)
    mlp = traces[0].mlp_added(4)[a] - traces[1].mlp_added(4)[b]
    assert found.mlp[4] == pytest.approx(np.linalg.norm(mlp), rel=1e-4)
    strongest = found.strongest(72)
    sizes = [found.heads[at] for at in strongest]
    assert sizes == sorted(sizes, reverse=True) and len(set(strongest)) == 72


def test_a_word_is_not_parted_from_itself(moles):
    found = senses.separation(moles[0], moles[0])
    assert not found.heads.any() and not found.attention.any() and not found.mlp.any()


def test_the_baseline_is_taken_off_and_never_below_zero():
    a = senses.Separation(np.array([[3.0, 1.0]]), np.array([5.0]), np.array([1.0]))
    b = senses.Separation(np.array([[1.0, 4.0]]), np.array([2.0]), np.array([3.0]))
    left = a.above_baseline(b)
    assert left.heads.tolist() == [[2, 0]] and left.attention.tolist() == [3] and left.mlp.tolist() == [0]
    mean = senses.mean_separation([a, b])
    assert mean.heads.tolist() == [[2, 2.5]] and mean.attention.tolist() == [3.5] and mean.mlp.tolist() == [2]


def test_in_the_input_embedding_the_token_is_the_same_and_the_position_is_not(model, traces):
    first, second = (
        senses.input_embedding(model.hf, t, senses.find_word(t.tokens, "mole")[0]) for t in (traces[0], traces[1])
    )
    alike = senses.input_similarity(first, second)
    table = model.hf.get_submodule("embeddings.position_embeddings").weight.detach()
    places = [senses.find_word(t.tokens, "mole")[0][0] for t in traces[:2]]
    assert alike.token == pytest.approx(1, abs=1e-6)
    assert alike.position == pytest.approx(float(torch.cosine_similarity(*table[places], dim=0)), abs=1e-5)
    rows = [t.embedding(0)[p] for t, p in zip(traces[:2], places, strict=True)]
    judge = torch.cosine_similarity(*map(torch.tensor, rows), dim=0)
    assert alike.embedding == pytest.approx(float(judge), abs=1e-5)
    assert alike.embedding < 0.999


def test_a_model_without_positions_says_so():
    from families import FAMILIES

    wrapped = ac.wrap(FAMILIES["llama"].build(), word_tokenizer(), name="llama")
    trace = ac.trace(wrapped, "the old fox sat")
    assert senses.input_embedding(wrapped.hf, trace, senses.find_word(trace.tokens, "fox")[0]).position is None


def test_case_does_not_matter_even_where_the_model_keeps_it():
    read = tokens.Tokens("Mole mole", [1, 2], ["Mole", "mole"], [False, False], [0, 1], ["Mole", "mole"])
    assert senses.find_word(read, "MOLE") == [[0], [1]]


def test_a_word_is_found_wherever_it_stands_and_only_whole(model):
    read = tokens.encode(model.tokenizer, "Light is light, lightly: LIGHT moonlight ice cream ice", 64)
    found = senses.find_word(read, "light")
    assert [read.labels[place[0]] for place in found] == ["light", "light", "light"]
    (cream,) = senses.find_word(read, " ice  cream ")
    assert [read.labels[i] for i in cream] == ["ice", "cream"]
    assert len(senses.find_word(read, "ice")) == 2
    for nothing in ("", "   ", "[CLS]", "mole", "##ly"):
        assert senses.find_word(read, nothing) == []
