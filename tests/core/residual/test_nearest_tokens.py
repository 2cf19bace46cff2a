"""Nearest tokens against a search of the whole table in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attn_core as ac
from attn_core.residual import nearest_tokens

RNG = np.random.default_rng(0)


@pytest.fixture
def table() -> torch.Tensor:
    return torch.tensor(RNG.normal(size=(1003, 24)), dtype=torch.float32) * torch.rand(1003, 1).add(0.1)


def whole_table(table, vectors, measure):
    rows, vectors = table.double().numpy(), np.asarray(vectors, dtype=np.float64)
    dots = vectors @ rows.T
    if measure == "dot":
        return dots
    return dots / np.linalg.norm(vectors, axis=1)[:, None] / np.linalg.norm(rows, axis=1)[None, :]


@pytest.mark.parametrize("measure", ["cosine", "dot"])
@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("chunk", [1, 7, 100, 1003, 5000])
def test_neighbours_equal_a_search_of_the_whole_table(table, measure, away, chunk):
    vectors = RNG.normal(size=(3, 24))
    found = nearest_tokens.nearest(table, vectors, 9, measure=measure, away=away, chunk=chunk)
    scores = whole_table(table, vectors, measure)
    order = np.argsort(scores if away else -scores, axis=1)[:, :9]
    np.testing.assert_array_equal(found.ids, order)
    np.testing.assert_allclose(found.scores, np.take_along_axis(scores, order, axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.mean, scores.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(found.spread, scores.std(axis=1), rtol=1e-4)
    deviations = (np.take_along_axis(scores, order, 1) - scores.mean(1)[:, None]) / scores.std(1)[:, None]
    np.testing.assert_allclose(found.deviations, deviations, rtol=1e-3)


def test_a_small_vocabulary_gives_what_it_has(table):
    assert nearest_tokens.nearest(table[:4], RNG.normal(size=(2, 24)), 10).ids.shape == (2, 4)


def test_a_vector_without_length_points_to_no_word(table):
    found = nearest_tokens.nearest(table, np.zeros((1, 24)), 3)
    assert not found.stands_out.any()
    assert np.isfinite(found.deviations).all()


def test_a_word_stands_out_at_the_other_end_too(table):
    found = nearest_tokens.nearest(table, -table[17][None], 3, away=True)
    assert found.ids[0, 0] == 17 and found.deviations[0, 0] < 0
    assert found.stands_out[0].tolist() == [True, False, False]


def test_a_word_stands_out_from_itself_and_noise_does_not(table):
    found = nearest_tokens.nearest(table, table[17][None], 3)
    assert found.ids[0, 0] == 17
    assert found.scores[0, 0] == pytest.approx(1)
    assert found.stands_out[0].tolist() == [True, False, False]


def test_chance_is_a_line_that_one_in_twenty_of_the_best_draws_passes():
    draws = np.abs(RNG.normal(size=(400, 30522)).astype(np.float32)).max(axis=1)  # both ends
    chance = nearest_tokens.NearestTokens(*[np.zeros((1, 1))] * 4, n_words=30522).chance_level
    assert chance == pytest.approx(4.79, abs=0.01)
    assert draws.mean() < chance < draws.max() + 0.5
    assert np.mean(draws > chance) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize(("rows", "most"), [(1, 0.08), (16, 0.15)])  # it was 0.10 and 0.90
def test_few_directions_without_meaning_have_a_word_that_stands_out(rows, most):
    """Random directions through the vocabulary of a real model, one at a time and as many as a table has rows."""
    matrix, tables = ac.trace(ac.load("minilm"), "a word").vocabulary.matrix, 480 // rows
    vectors = np.random.default_rng(0).normal(size=(480, matrix.shape[1]))
    both = [nearest_tokens.nearest(matrix, vectors, 1, away=away).deviations[:, 0] for away in (False, True)]
    found = nearest_tokens.nearest(matrix, vectors[:rows], 1)
    stands_out = np.abs(both).max(axis=0).reshape(tables, rows).max(axis=1) > found.chance_level
    assert stands_out.mean() < most


def test_the_vocabulary_is_read_in_pieces(monkeypatch, table):
    seen = []
    real = nearest_tokens._lengths
    monkeypatch.setattr(nearest_tokens, "_lengths", lambda rows: seen.append(len(rows)) or real(rows))
    nearest_tokens.nearest(table, RNG.normal(size=(2, 24)), 5, chunk=128)
    assert max(seen) == 128 and sum(seen) == 2 + 1003


def test_both_ends_in_one_pass_are_the_two_searches(table):
    vectors = RNG.normal(size=(3, 24))
    for found, away in zip(nearest_tokens.both_ends(table, vectors, 5, chunk=100), (False, True), strict=True):
        alone = nearest_tokens.nearest(table, vectors, 5, away=away)
        np.testing.assert_array_equal(found.ids, alone.ids)
        np.testing.assert_allclose(found.deviations, alone.deviations, rtol=1e-5)


def test_a_part_of_a_search_is_judged_as_a_search_of_its_own(table):
    vectors = RNG.normal(size=(4, 24))
    part, alone = (
        nearest_tokens.nearest(table, vectors, 5).part([2, 0], 3),
        nearest_tokens.nearest(table, vectors[[2, 0]], 3),
    )
    np.testing.assert_array_equal(part.ids, alone.ids)
    np.testing.assert_allclose(part.scores, alone.scores, rtol=1e-5)
    assert part.chance_level == alone.chance_level < nearest_tokens.nearest(table, vectors, 5).chance_level


@pytest.mark.parametrize("away", [False, True])
def test_one_end_of_the_table_is_sorted_where_one_is_asked_for(table, away, monkeypatch):
    ends = []
    add = nearest_tokens._Best.add
    monkeypatch.setattr(nearest_tokens._Best, "add", lambda self, *got: ends.append(self._largest) or add(self, *got))
    nearest_tokens.nearest(table, RNG.normal(size=(2, 24)), 3, away=away, chunk=5000)
    assert ends == [not away]
    nearest_tokens.both_ends(table, RNG.normal(size=(2, 24)), 3, chunk=5000)
    assert ends == [not away, True, False]
