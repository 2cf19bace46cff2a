"""Which word is followed when nobody has chosen one: worked out by hand."""

import numpy as np

from attn_core.heads.salience import keys_by_weight, most_salient_query

NAN = float("nan")


def test_the_most_salient_query_looks_hardest_at_another_word() -> None:
    pattern = np.array([[0.1, 0.9, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.2, 0.5, 0.3, 0.0], [0.7, 0.0, 0.0, 0.3]])
    assert (
        most_salient_query(pattern, [True, False, False, False]) == 2
    )  # not the special, not itself, not to the special
    assert most_salient_query(np.full((3, 3), 1 / 3), [True, False, True]) == 1  # a word alone is read, not its frame


def test_between_two_sentences_the_keys_have_flags_of_their_own_and_the_diagonal_counts() -> None:
    pattern = np.array([[0.1, 0.0, 0.9], [0.0, 0.8, 0.2], [0.6, 0.1, 0.3], [0.0, 1.0, 0.0]])  # 4 queries, 3 keys
    assert most_salient_query(pattern, [False] * 4, [False] * 3) == 3
    assert most_salient_query(pattern, [False, False, False, True], [False] * 3) == 0
    assert most_salient_query(pattern, [False, False, False, True], [False, False, True]) == 1


def test_a_row_without_weights_is_not_chosen_and_nothing_is_changed() -> None:
    pattern = np.array([[NAN, NAN], [0.1, 0.9]])
    before = pattern.copy()
    assert most_salient_query(pattern, [False, False]) == 1
    np.testing.assert_array_equal(pattern, before)


def test_the_default_key_is_another_word_then_the_word_itself_then_the_sink() -> None:
    row, sink = np.array([0.6, 0.05, 0.25, 0.1]), [True, False, False, False]
    assert keys_by_weight(row, np.array([True, True, True, False]), sink, itself=2) == [1, 2, 0]
    assert keys_by_weight(row, np.array([True, False, True, True]), sink) == [2, 3, 0]
