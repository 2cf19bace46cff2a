"""The toy's numbers, worked out by hand: if a stage changes, this is the paper that it no longer agrees with."""

import math

import numpy as np
import pytest
import torch

from attn_core.walkthrough import toy
from attn_core.walkthrough.ablations import StageAblation
from attn_core.walkthrough.head import run_stages

CREATURE = toy.WORDS.index("creature")


@pytest.fixture
def made():
    return run_stages(toy.toy().inputs())


def test_the_tables_have_the_announced_sizes():
    numbers = toy.toy()
    assert {name: tuple(getattr(numbers, name).shape) for name in toy.Toy.tables()} == {
        "tokens": (5, 6),
        "places": (5, 6),
        "w_q": (6, 2),
        "w_k": (6, 2),
        "w_v": (6, 2),
        "w_o": (2, 6),
    }
    assert len(toy.WORDS) == 5 and len(toy.MEANINGS) == 6


def test_embedding_is_meaning_plus_place():
    # noun, adjective, fluffy, blue, moves, place
    assert toy.toy().embedding.tolist() == [
        [0, 0, 0, 0, 0, 1],
        [0, 1, 1, 0, 0, 2],
        [0, 1, 0, 1, 0, 3],
        [1, 0, 0, 0, 0, 4],
        [0, 0, 0, 0, 1, 5],
    ]


def test_only_the_noun_asks_and_adjectives_answer(made):
    assert made.query.tolist() == [[0, 0], [0, 0], [0, 0], [4, 1], [0, 0]]
    assert made.key.tolist() == [[0, 0.5], [2, 1], [2, 1.5], [0, 2], [0, 2.5]]
    assert made.value.tolist() == [[0, 0], [1, 0], [0, 1], [0, 0], [0, 0]]


def test_scores_of_creature(made):
    # 4·0 + 1·0.5, 4·2 + 1·1, 4·2 + 1·1.5, 4·0 + 1·2, 4·0 + 1·2.5
    assert made.raw_scores[CREATURE].tolist() == [0.5, 9, 9.5, 2, 2.5]
    assert made.raw_scores[0].tolist() == [0, 0, 0, 0, 0]
    # ÷ √2 = 1.41421
    np.testing.assert_allclose(made.scaled[CREATURE], [0.35355, 6.36396, 6.71751, 1.41421, 1.76777], atol=1e-5)
    assert made.masked[CREATURE, 4] == -math.inf and made.masked[CREATURE, :4].isfinite().all()


def test_pattern_of_creature(made):
    # e^(score − 6.71751): 0.001722, 0.702189, 1, 0.004976, and nothing for the word ahead; together 1.708887
    np.testing.assert_allclose(made.pattern[CREATURE], [0.00101, 0.41090, 0.58518, 0.00291, 0], atol=1e-5)
    np.testing.assert_allclose(made.pattern[0], [1, 0, 0, 0, 0], atol=1e-7)
    np.testing.assert_allclose(made.pattern[4], [0.2] * 5, atol=1e-7)


def test_creature_becomes_fluffy_and_blue(made):
    np.testing.assert_allclose(made.weighted_values[CREATURE], [0.41090, 0.58518], atol=1e-5)
    np.testing.assert_allclose(made.delta[CREATURE], [0, 0, 0.41090, 0.58518, 0, 0], atol=1e-5)
    np.testing.assert_allclose(made.by_source(CREATURE)[2], [0, 0, 0, 0.58518, 0, 0], atol=1e-5)


def test_shuffled_words_take_the_places_and_the_views_of_others():
    shuffled = run_stages(toy.toy().inputs(), frozenset({StageAblation.SHUFFLED_POSITIONS}))
    # creature now stands second, after blue: it sees itself (key 0, 1) and blue (key 2, 0.5)
    assert shuffled.may_look[CREATURE].tolist() == [False, False, True, True, False]
    assert shuffled.key[CREATURE].tolist() == [0, 1] and shuffled.key[2].tolist() == [2, 0.5]
    blue, itself = math.exp(8.5 / math.sqrt(2)), math.exp(1 / math.sqrt(2))
    assert shuffled.pattern[CREATURE, 2].item() == pytest.approx(blue / (blue + itself), rel=1e-6)


def test_a_changed_number_changes_what_comes_after_it():
    numbers = toy.toy()
    deaf = numbers.with_table("w_k", torch.zeros(6, 2))
    np.testing.assert_allclose(run_stages(deaf.inputs()).pattern[CREATURE], [0.25, 0.25, 0.25, 0.25, 0], atol=1e-7)
    assert numbers.w_k.any(), "the toy itself stays as it was made"


@pytest.mark.parametrize("numbers", [torch.zeros(2, 6), torch.full((6, 2), math.nan), torch.full((6, 2), math.inf)])
def test_tables_that_cannot_be_are_refused(numbers):
    with pytest.raises(ValueError, match="w_k"):
        toy.toy().with_table("w_k", numbers)
