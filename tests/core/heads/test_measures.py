"""What a head does, against hand numbers, an independent computation and models with random weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

from attn_core.heads import cells, measures, rules, search
from attn_core.heads.sink import sink_keys, without_sink


def one_hot(targets: list[int], n_key: int) -> np.ndarray:
    """A head that puts all weight of query i on key targets[i], [1, query, key]."""
    return np.eye(n_key)[targets][None]


def random_patterns(n_head: int, n_query: int, n_key: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(n_key), size=(n_head, n_query))


def open_mask(n: int) -> np.ndarray:
    return np.ones((n, n), dtype=bool)


NO_SINK = np.zeros(8, dtype=bool)


def test_entropy_is_scipys_in_bits():
    pattern = random_patterns(3, 5, 7)
    pattern[0, 0] = np.eye(7)[2]  # 0·log 0 is 0
    np.testing.assert_allclose(measures.entropy(pattern), scipy_entropy(pattern, base=2, axis=-1), atol=1e-12)


def test_mean_distance_by_hand():
    pattern = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(measures.mean_distance(pattern), [0.25 + 0.5, 0.8, 2.0])


def test_the_sink_is_special_tokens_and_the_first_token_only_where_nobody_looks_ahead():
    assert sink_keys([True, False, False, True], causal=False).tolist() == [True, False, False, True]
    assert sink_keys([False, False, False], causal=True).tolist() == [True, False, False]
    assert sink_keys([False, False], causal=False).tolist() == [False, False]


def test_hiding_the_sink_renormalises_and_never_invents_a_row():
    pattern = np.array([[0.9, 0.06, 0.04], [1.0, 0.0, 0.0]])
    sink = np.array([True, False, False])
    np.testing.assert_allclose(measures.share_on(pattern, sink), [0.9, 1.0])
    rest = without_sink(pattern, sink)
    np.testing.assert_allclose(rest[0], [0.0, 0.6, 0.4])
    assert np.isnan(rest[1]).all()


def test_rules_agree_with_a_slow_reading_of_their_definitions():
    ids = [3, 5, 3, 7, 5, 3, 3]
    n = len(ids)
    duplicate, induction, first = cells.duplicate_cells(ids), cells.induction_cells(ids), cells.first_mention_cells(ids)
    for q in range(n):
        earlier = [i for i in range(q) if ids[i] == ids[q]]
        for k in range(n):
            assert duplicate[q, k] == (k != q and ids[k] == ids[q])
            assert induction[q, k] == (k > 0 and k - 1 != q and ids[k - 1] == ids[q])
            assert first[q, k] == (len(earlier) >= 2 and k == earlier[0])
    assert cells.window_cells(3, 3, reach=1).tolist() == [[True, True, False], [True, True, True], [False, True, True]]
    assert cells.offset_cells(2, 2, -1).tolist() == [[False, False], [True, False]]


def test_rows_of_a_rule_are_those_of_its_square():
    ids, labels = [3, 5, 3, 7, 5, 3, 3], ["a", ".", "b", ",", "c", "d", "e"]
    rows = slice(2, 5)
    for made in (
        lambda *own: cells.offset_cells(7, 9, -1, *own),
        lambda *own: cells.offset_cells(7, 9, 1, *own),
        lambda *own: cells.window_cells(7, 9, 2, *own),
        lambda *own: cells.duplicate_cells(ids, *own),
        lambda *own: cells.induction_cells(ids, *own),
        lambda *own: cells.first_mention_cells(ids, *own),
        lambda *own: cells.punctuation_cells(labels, 7, *own),
    ):
        assert made(rows).tolist() == made()[rows].tolist() and made().any()


def test_punctuation_is_marks_alone():
    marks = cells.punctuation_cells(["don't", ".", "，", "?!", "##.", "␠", ""], n_query=2)
    assert marks[0].tolist() == marks[1].tolist() == [False, True, True, True, True, False, False]


def test_a_perfect_head_scores_one_and_even_attention_scores_zero():
    previous = cells.offset_cells(8, 8, -1)
    perfect = one_hot([0, 0, 1, 2, 3, 4, 5, 6], 8)
    even = np.full((1, 8, 8), 1 / 8)
    score = rules.score_rule(np.concatenate([perfect, even]), previous, open_mask(8), NO_SINK)
    np.testing.assert_allclose(score.share, [1.0, 1 / 8])
    np.testing.assert_allclose(score.chance, [1 / 8, 1 / 8])
    np.testing.assert_allclose(score.lift, [1.0, 0.0], atol=1e-12)


def test_the_sink_takes_no_part_in_a_score():
    sink = np.eye(8, dtype=bool)[0]
    previous = one_hot([0, 0, 1, 2, 3, 4, 5, 6], 8)
    resting = np.zeros((1, 8, 8))
    resting[..., 0] = 1
    tired = 0.05 * previous + 0.95 * resting  # rests 95 % of the time, and else looks one back
    score = rules.score_rule(tired, cells.offset_cells(8, 8, -1), open_mask(8), sink)
    np.testing.assert_allclose(score.share, [1.0])


def test_causal_chance_is_one_over_what_is_visible():
    may_look = np.tril(np.ones((4, 4), dtype=bool))
    even = (may_look / may_look.sum(axis=1, keepdims=True))[None]
    score = rules.score_rule(even, cells.offset_cells(4, 4, -1), may_look, NO_SINK[:4])
    np.testing.assert_allclose(score.chance, [(1 / 2 + 1 / 3 + 1 / 4) / 3])
    np.testing.assert_allclose(score.lift, [0.0], atol=1e-12)


def test_tallies_of_sentences_add_up_and_nothing_counted_is_nan():
    a = rules.RuleScore(np.array([1.0]), np.array([0.5]), np.array([2.0]))
    b = rules.RuleScore(np.array([0.0]), np.array([0.5]), np.array([2.0]))
    assert (a + b).share.tolist() == [0.25] and (a + b).chance.tolist() == [0.25]
    nothing = rules.score_rule(random_patterns(2, 8, 8), np.zeros((8, 8), dtype=bool), open_mask(8), NO_SINK)
    assert np.isnan(nothing.share).all() and np.isnan(nothing.lift).all()


@pytest.mark.parametrize(
    ("lifts", "name"),
    [
        ({"previous": 0.41, "local": 0.9}, "previous"),  # the narrow rule wins over the wide one that contains it
        ({"previous": 0.39, "local": 0.9}, "local"),
        ({"first_mention": 0.59, "duplicate": 0.8}, "duplicate"),
        ({"first_mention": 0.61, "duplicate": 0.8}, "first_mention"),
        ({"punctuation": 0.45}, rules.NO_PATTERN),
        ({"previous": float("nan")}, rules.NO_PATTERN),
        ({}, rules.NO_PATTERN),
    ],
)
def test_labels_need_their_threshold_and_prefer_the_narrow_rule(lifts, name):
    assert rules.kind_of(lifts) == name


def planted(n: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Four heads of one sentence: previous token, sink, even, and one that looks from 5 to 4 where it matters."""
    previous = one_hot([0, *range(n - 1)], n)[0]
    sink = np.eye(n)[[0] * n]
    even = np.full((n, n), 1 / n)
    seeker = even.copy()
    seeker[5] = 0.3 / (n - 1)
    seeker[5, 4] = 0.7
    return np.stack([previous, sink, even, seeker]), np.eye(n, dtype=bool)[0]


def test_a_planted_head_beats_the_previous_token_head_on_its_own_diagonal():
    patterns, sink = planted()
    found = search.find(patterns, search.painted_cells([(5, 4)], 8, 8), open_mask(8), sink)
    assert found.weight.argmax() == 0, "by weight alone the previous-token head would win"
    assert found.score.argmax() == 3
    assert found.score[0] == pytest.approx(0.0)
    assert found.score[3] == pytest.approx(0.7 - 1 / 8)


def test_a_sink_head_gains_nothing_from_a_painted_sink_cell():
    patterns, sink = planted()
    patterns[3, 5] = 0.5 / 7
    patterns[3, 5, 0] = 0.5  # looks at the sink from 5 in particular
    found = search.find(patterns, search.painted_cells([(5, 0)], 8, 8), open_mask(8), sink)
    assert found.score.argmax() == 3
    assert found.score[1] == pytest.approx(0.0)


def test_a_previous_token_head_gains_nothing_where_the_word_before_is_the_sink():
    patterns, sink = planted()
    patterns[3, 1] = 0.5 / 7
    patterns[3, 1, 0] = 0.5
    found = search.find(patterns, search.painted_cells([(1, 0)], 8, 8), open_mask(8), sink)
    assert found.weight.argmax() == 0 and found.score[0] == pytest.approx(0.0)
    assert found.score.argmax() == 3


def test_search_means_over_several_cells_and_forbidden_cells_are_zero():
    patterns, sink = planted()
    may_look = np.tril(open_mask(8))
    patterns = patterns * may_look
    patterns /= patterns.sum(axis=-1, keepdims=True)
    one = search.find(patterns, search.painted_cells([(5, 4)], 8, 8), may_look, sink)
    both = search.find(patterns, search.painted_cells([(5, 4), (2, 7)], 8, 8), may_look, sink)
    np.testing.assert_allclose(both.weight, one.weight / 2)
    np.testing.assert_allclose(both.baseline, one.baseline / 2)


def test_the_far_corner_has_no_peers_at_its_distance_and_still_a_baseline():
    patterns, sink = planted()
    found = search.find(patterns, search.painted_cells([(1, 7), (0, 7)], 8, 8), open_mask(8), sink)
    assert np.isfinite(found.baseline).all()


def test_a_head_that_looks_at_one_word_from_everywhere_can_be_held_to_that_baseline():
    patterns, sink = planted()
    patterns[2] = 0.4 / 7
    patterns[2, :, 4] = 0.6  # whoever asks, it looks at 4
    painted = search.painted_cells([(5, 4)], 8, 8)
    plain = search.find(patterns, painted, open_mask(8), sink)
    strict = search.find(patterns, painted, open_mask(8), sink, above_key_mean=True)
    assert plain.score[2] > 0.5 and strict.score[2] == pytest.approx(0.0)
    assert strict.score.argmax() == 3


def test_bad_paint_is_refused_in_words():
    with pytest.raises(IndexError, match="outside the 8 × 8"):
        search.painted_cells([(8, 0)], 8, 8)
    with pytest.raises(IndexError):
        search.painted_cells([(-1, 0)], 8, 8)
    with pytest.raises(ValueError, match="at least one cell"):
        search.find(random_patterns(1, 4, 4), np.zeros((4, 4), dtype=bool), open_mask(4), NO_SINK[:4])


def test_two_measures_of_one_name_or_title_are_an_error():
    entropy = measures.MEASURES["entropy"]
    with pytest.raises(ValueError, match="two records have the title 'entropy'"):
        measures.by_name(entropy, replace(entropy, name="other"))
    with pytest.raises(ValueError, match="two records have the name 'entropy'"):
        measures.by_name(entropy, replace(entropy, title="other"))


def test_a_measure_says_how_it_is_written_on_an_axis_and_in_a_table():
    entropy, sink = measures.MEASURES["entropy"], measures.MEASURES["sink"]
    assert (entropy.axis, entropy.column_format, entropy.factor) == ("entropy (bits)", "%.2f bits", 1)
    assert (sink.axis, sink.column_format, sink.factor) == ("on the sink (share)", "%.1f %%", 100)


def test_each_measure_of_a_reading_by_hand() -> None:
    """[CLS], two words and [SEP] in a causal model: the sink is [CLS], [SEP] and nothing else."""
    special = np.array([True, False, False, True])
    row = np.array([[[0.4, 0.3, 0.1, 0.2]]])  # one head, one query, at place 2
    read = measures.Reading(row, sink_keys(special.tolist(), causal=True), special, np.array([2]))
    found = {name: measure.of(read).item() for name, measure in measures.MEASURES.items() if measure.of is not None}
    assert found["sink"] == pytest.approx(0.6) and found["separator"] == pytest.approx(0.2)
    assert found["entropy"] == pytest.approx(scipy_entropy([0.75, 0.25], base=2))
    assert found["distance"] == pytest.approx(0.75)
    first = replace(read, special=np.array([False, False, False, True]))  # a first word, which is the sink there too
    assert measures.MEASURES["sink"].of(first).item() == pytest.approx(0.6)


def test_a_query_without_a_choice_is_not_counted() -> None:
    pattern, causal = np.array([[[1.0, 0.0], [0.75, 0.25]]]), np.tril(np.ones((2, 2), bool))
    found = rules.score_rule(pattern, np.eye(2, dtype=bool), causal, np.zeros(2, bool))
    assert found.share.item() == 0.25 and found.total.item() == 1.0
