"""The spread of scores grows like √d, with real vectors and with made ones."""

from __future__ import annotations

import numpy as np
import pytest

import attn_core as ac
from attn_core.walkthrough.spread import SIZES, score_spreads, spreads_of


@pytest.fixture(scope="module")
def spreads():
    trace = ac.trace(ac.load("minilm"), "a fluffy blue creature roamed the verdant forest")
    return spreads_of(trace.stream())


def test_the_spread_of_real_scores_grows_like_the_root_of_d(spreads) -> None:
    assert [each.d for each in spreads] == list(SIZES) == [8, 16, 32, 64, 128, 256, 512]
    per_root = np.array([each.spread / each.d**0.5 for each in spreads])
    assert np.all(np.abs(per_root / per_root.mean() - 1) < 0.2), per_root
    slope = np.polyfit(np.log(SIZES), np.log([each.spread for each in spreads]), 1)[0]
    assert slope == pytest.approx(0.5, abs=0.05)


def test_divided_scores_spread_alike_whatever_the_size(spreads) -> None:
    divided = [float(each.divided.std()) for each in spreads]
    assert max(divided) / min(divided) < 1.3
    assert spreads[-1].spread / spreads[0].spread > 6  # without the division: √64 = 8


def test_the_scores_are_products_of_the_numbers_that_were_given() -> None:
    """One number in each vector: the scores are all products of the two, whatever was drawn."""
    query, key = np.array([[1.0], [3.0]], np.float32), np.array([[-2.0], [4.0]], np.float32)
    (only,) = score_spreads(query, key, sizes=(1, 2))
    assert sorted(set(only.scores.tolist())) == [-3.0, 3.0]  # (±1) · (±3), the means taken off
    assert only.spread == 3.0


def test_independent_numbers_of_variance_one_give_the_law_itself() -> None:
    dice = np.random.default_rng(1)
    made = score_spreads(*(dice.normal(size=(24, 600)).astype(np.float32) for _ in range(2)))
    np.testing.assert_allclose([each.spread for each in made], np.sqrt(SIZES), rtol=0.1)
