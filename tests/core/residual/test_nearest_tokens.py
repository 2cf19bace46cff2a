"""Nearest tokens against a search of the whole table in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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


def test_a_word_stands_out_from_itself_and_noise_does_not(table):
    found = nearest_tokens.nearest(table, table[17][None], 3)
    assert found.ids[0, 0] == 17
    assert found.scores[0, 0] == pytest.approx(1)
    assert found.stands_out[0].tolist() == [True, False, False]


def test_chance_is_what_the_best_of_many_draws_reaches():
    best = RNG.normal(size=(200, 30522)).astype(np.float32).max(axis=1)
    chance = nearest_tokens.NearestTokens(*[np.zeros((1, 1))] * 4, n_words=30522).chance_level
    assert chance == pytest.approx(4.54, abs=0.01)
    assert best.mean() < chance < best.max() + 0.5


def test_the_vocabulary_is_read_in_pieces(monkeypatch, table):
    seen = []
    real = nearest_tokens._unit
    monkeypatch.setattr(nearest_tokens, "_unit", lambda rows: seen.append(len(rows)) or real(rows))
    nearest_tokens.nearest(table, RNG.normal(size=(2, 24)), 5, chunk=128)
    assert max(seen) == 128 and sum(seen) == 2 + 1003
