"""Distances and alignments, against scipy and by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import pearsonr

from attn_core.heads import compare
from attn_core.heads.alignment import align, align_all, between_said_words, on_axes, paired, said_words
from attn_core.text.tokens import Tokens


def random_patterns(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(shape[-1], 0.3), size=shape[:-1]).astype(np.float32)


def test_jensen_shannon_is_scipys():
    a, b = random_patterns(4, 6, 9, seed=1), random_patterns(4, 6, 9, seed=2)
    a[0, 0], b[0, 0] = np.eye(9)[0], np.eye(9)[3]
    expected = jensenshannon(a.astype(float), b.astype(float), axis=-1, base=2)
    np.testing.assert_allclose(compare.jensen_shannon(a, b), expected, atol=1e-6)
    assert compare.jensen_shannon(a, b)[0, 0] == pytest.approx(1.0)


def test_rows_that_are_nearly_equal_are_not_blurred_by_float32():
    a = random_patterns(50, 20, seed=9)
    b = (a + np.float32(1e-4) * random_patterns(50, 20, seed=10)) / np.float32(1 + 1e-4)
    with np.errstate(invalid="ignore"):
        expected = jensenshannon(a.astype(float), b.astype(float), axis=-1, base=2)
    np.testing.assert_allclose(compare.jensen_shannon(a, b), expected, atol=2e-7)
    assert expected.max() < 0.01


def test_jensen_shannon_of_masked_rows_needs_no_epsilon():
    row = np.array([[0.25, 0.75, 0.0, 0.0]])
    assert compare.jensen_shannon(row, row)[0] == 0.0


def test_correlation_is_scipys_over_visible_cells():
    a, b = random_patterns(6, 6, seed=3), random_patterns(6, 6, seed=4)
    cells = np.tril(np.ones((6, 6), dtype=bool))
    assert compare.correlation(a, b) == pytest.approx(pearsonr(a.ravel(), b.ravel()).statistic, abs=1e-6)
    assert compare.correlation(a, b, cells) == pytest.approx(pearsonr(a[cells], b[cells]).statistic, abs=1e-6)
    assert np.isnan(compare.correlation(np.full((2, 2), 0.5), b[:2, :2]))


def test_a_difference_names_the_query_that_moved_furthest():
    a = random_patterns(5, 5, seed=5)
    b = a.copy()
    b[3] = a[3][::-1]
    d = compare.difference(a, b)
    assert d.most_changed == 3
    assert d.rows[[0, 1, 2, 4]].tolist() == [0.0] * 4
    assert d.overall == pytest.approx(d.rows[3] / 5)
    with pytest.raises(ValueError, match="align them first"):
        compare.difference(a, b[:4])


def test_alignment_of_a_minimal_pair_and_of_an_insertion():
    pair = align(["the", "keys", "are", "here"], ["the", "keys", "is", "here"])
    assert pair == ((0, 1, 2, 3), (0, 1, 2, 3))
    longer = align(["a", "blue", "creature"], ["a", "fluffy", "blue", "creature"])
    assert longer == ((0, None, 1, 2), (0, 1, 2, 3))
    assert paired(*longer).tolist() == [0, 2, 3]
    assert align([], ["x"]) == ((None,), (0,))


words = st.lists(st.sampled_from("abcd"), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(words, min_size=1, max_size=4))
@example([["b", "a", "b"], ["a", "a", "a", "b"], ["b", "a", "b"]])
def test_every_token_of_every_sentence_stands_once_and_in_order(sentences):
    places = align_all(sentences)
    assert len({len(own) for own in places}) == 1
    for own, sentence in zip(places, sentences, strict=True):
        assert [i for i in own if i is not None] == list(range(len(sentence)))
    for column in zip(*places, strict=True):
        assert any(i is not None for i in column)
    assert all(own == places[0] for own, s in zip(places, sentences, strict=True) if s == sentences[0])


def test_a_pattern_moves_onto_the_shared_axes_cell_by_cell():
    pattern = random_patterns(2, 3, 3)
    moved = on_axes(pattern, (0, None, 1, 2), (0, None, 1, 2))
    assert moved.shape == (2, 4, 4)
    assert (moved[:, 1] == 0).all() and (moved[:, :, 1] == 0).all()
    np.testing.assert_array_equal(moved[:, [0, 2, 3]][:, :, [0, 2, 3]], pattern)
    cross = on_axes(pattern, (None, 0, 1, 2), (2, 0))
    assert cross[1, 1, 0] == pattern[1, 0, 2] and cross[0, 3, 1] == pattern[0, 2, 0]
    assert on_axes(np.ones((2, 2), dtype=bool), (0, None, 1), (0, 1)).dtype == bool


def test_heads_are_ranked_by_how_much_they_changed_and_inserted_weight_counts():
    a_places, b_places = align("abc", "abxc")
    a, b = np.full((2, 3, 3), 1 / 3), np.zeros((2, 4, 4))
    b[0][np.ix_([0, 1, 3], [0, 1, 3])] = 1 / 3  # head 0 does as before
    b[0][2] = 1 / 4
    b[1, :, 2] = 1  # head 1 now looks at the new word only
    moved = on_axes(a, a_places, a_places), on_axes(b, b_places, b_places)
    np.testing.assert_allclose(compare.change(*moved, paired(a_places, b_places)), [0.0, 1.0], atol=1e-7)


def test_words_are_what_two_tokenizers_have_in_common():
    wordpiece = Tokens(
        "",
        [0] * 5,
        ["[CLS]", "Ver", "##dant", "fox", "[SEP]"],
        [True, False, False, False, True],
        [None, 0, 0, 1, None],
        ["[CLS]", "Verdant", "fox", "[SEP]"],
    )
    bytes_ = Tokens("", [0] * 2, ["verdant", "fox"], [False] * 2, [0, 1], ["verdant", "fox"])
    assert said_words(wordpiece) == said_words(bytes_) == ["verdant", "fox"]
    pattern = np.array([
        [1.0, 0.0, 0.0, 0.0, 0.0],
        [0.5, 0.1, 0.1, 0.2, 0.1],
        [0.0, 0.3, 0.3, 0.2, 0.2],
        [0.0, 0.1, 0.2, 0.7, 0.0],
        [0.2, 0.2, 0.2, 0.2, 0.2],
    ])  # fmt: skip
    said = between_said_words(pattern, wordpiece, wordpiece)
    np.testing.assert_allclose(said[0], np.array([(0.2 + 0.6) / 2, (0.2 + 0.2) / 2]) / 0.6)
    np.testing.assert_allclose(said[1], [0.3, 0.7])
    np.testing.assert_allclose(between_said_words(np.eye(2), bytes_, bytes_), np.eye(2))
    resting = np.zeros((5, 5))
    resting[:, 0] = 1
    assert (between_said_words(resting, wordpiece, wordpiece) == 0).all(), "no row is invented"


def test_all_heads_of_two_models_by_blocks_equal_one_by_one():
    a, b = random_patterns(5, 4, 6, seed=6), random_patterns(7, 4, 6, seed=7)
    slow = np.array([[compare.jensen_shannon(x, y).mean() for y in b] for x in a])
    finished: list[float] = []
    for block in (1, 50, 10**9):
        np.testing.assert_allclose(
            compare.distance_matrix(a, b, block=block, progress=finished.append), slow, atol=1e-7
        )
        assert finished == sorted(finished) and finished[-1] == pytest.approx(1.0)
        finished.clear()
    np.testing.assert_allclose(np.diag(compare.distance_matrix(a, a)), 0, atol=1e-7)


def test_memory_of_a_comparison_is_bounded_by_the_block():
    a = random_patterns(60, 32, 32)
    tracemalloc.start()
    compare.distance_matrix(a, a, block=4096)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 32 * 32 * 8, "it must hold neither all pairs at once nor all partners of one head"
