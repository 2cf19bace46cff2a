"""A pattern as it is shown: rows still sum to 1, nothing is hidden silently, positions stay those of the text."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_core.text.tokens import Tokens
from attn_core.views.arrangement import arrange, mean_may_look, mean_name, mean_pattern

PIECES = Tokens(
    text="he roamed far",
    ids=[1, 2, 3, 4, 5, 6],
    labels=["[CLS]", "he", "roam", "##ed", "far", "[SEP]"],
    special=[True, False, False, False, False, True],
    words=[None, 0, 1, 1, 2, None],
    word_labels=["[CLS]", "he", "roamed", "far", "[SEP]"],
)
EVEN = np.full((6, 6), 1 / 6)


def some_pattern(seed: int = 0, causal: bool = False) -> np.ndarray:
    weights = np.random.default_rng(seed).random((3, 6, 6))
    weights = np.tril(weights) if causal else weights
    return weights / weights.sum(-1, keepdims=True)


def test_as_it_is_nothing_changes() -> None:
    shown = arrange(PIECES, causal=False)
    assert shown.labels == PIECES.labels and shown.special == PIECES.special and not shown.hides_sink
    assert np.array_equal(shown.pattern(EVEN), EVEN)


def test_words_by_hand() -> None:
    shown = arrange(PIECES, causal=False, words=True)
    assert shown.labels == ["[CLS]", "he", "roamed", "far", "[SEP]"]
    np.testing.assert_allclose(shown.pattern(EVEN)[0], [1 / 6, 1 / 6, 2 / 6, 1 / 6, 1 / 6])
    assert shown.places == [[0], [1], [2, 3], [4], [5]]
    assert (shown.row_of(3), shown.row_of(5), shown.row_of(None), shown.row_of(9)) == (2, 4, None, None)


def test_a_span_by_hand() -> None:
    """Summed over its keys, averaged over its queries."""
    pattern = some_pattern()[0]
    shown = arrange(PIECES, causal=False, spans=[(1, 3)])
    assert shown.labels == ["[CLS]", "he roam ##ed", "far", "[SEP]"] and shown.spans == (1,)
    assert shown.places == [[0], [1, 2, 3], [4], [5]]
    found = shown.pattern(pattern)
    np.testing.assert_allclose(found[0, 1], pattern[0, 1] + pattern[0, 2] + pattern[0, 3])
    np.testing.assert_allclose(found[1, 2], (pattern[1, 4] + pattern[2, 4] + pattern[3, 4]) / 3)
    np.testing.assert_allclose(found[1, 1], pattern[1:4, 1:4].sum() / 3)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    assert arrange(PIECES, causal=False, words=True, spans=[(1, 2)]).labels == ["[CLS]", "he roamed", "far", "[SEP]"]
    with_sink = arrange(PIECES, causal=False, hide_sink=True, spans=[(4, 5)])
    assert with_sink.places == [[1], [2], [3], [4]] and not any(with_sink.special)


@pytest.mark.parametrize("spans", [[(4, 6)], [(3, 2)], [(-1, 2)], [(0, 2), (2, 3)], [(2, 3), (0, 5)]])
def test_spans_that_a_sentence_does_not_have_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="span"):
        arrange(PIECES, causal=False, spans=spans)
    pair = replace(PIECES, second=3)
    with pytest.raises(ValueError, match="from one segment of the pair into the other"):
        arrange(pair, causal=False, spans=[(2, 3)])
    assert arrange(pair, causal=False, spans=[(3, 4)]).second == 3


def test_hidden_specials_by_hand() -> None:
    shown = arrange(PIECES, causal=False, hide_sink=True)
    assert shown.labels == ["he", "roam", "##ed", "far"] and shown.places == [[1], [2], [3], [4]]
    np.testing.assert_allclose(shown.pattern(EVEN), np.full((4, 4), 1 / 4))
    assert shown.row_of(0) is None and shown.row_of(1) == 0


def test_a_causal_models_first_token_is_a_sink_too() -> None:
    plain = Tokens("a b c", [1, 2, 3], ["a", "b", "c"], [False] * 3, [0, 1, 2], ["a", "b", "c"])
    assert arrange(plain, causal=True, hide_sink=True).labels == ["b", "c"]
    assert arrange(plain, causal=False, hide_sink=True).labels == ["a", "b", "c"]


def test_a_sink_in_the_middle_of_a_word_takes_only_its_own_piece() -> None:
    two = Tokens("ab c", [1, 2, 3], ["a", "b", "c"], [False] * 3, [0, 0, 1], ["ab", "c"])
    shown = arrange(two, causal=True, words=True, hide_sink=True)
    assert shown.places == [[1], [2]] and shown.labels == ["ab", "c"]


def test_a_row_that_had_nothing_but_the_sink_is_undefined_and_not_invented() -> None:
    pattern = EVEN.copy()
    pattern[2] = [1, 0, 0, 0, 0, 0]
    rows = arrange(PIECES, causal=False, hide_sink=True).pattern(pattern)
    assert np.isnan(rows[1]).all() and np.isfinite(rows[[0, 2, 3]]).all()


def test_where_the_sink_is_all_there_is_it_stays() -> None:
    alone = Tokens("x", [1], ["x"], [False], [0], ["x"])
    assert arrange(alone, causal=True, hide_sink=True).labels == ["x"]


@given(seed=st.integers(0, 999), causal=st.booleans(), words=st.booleans(), hide=st.booleans())
def test_rows_sum_to_one_however_it_is_shown(seed: int, causal: bool, words: bool, hide: bool) -> None:
    shown = arrange(PIECES, causal=causal, words=words, hide_sink=hide)
    pattern = shown.pattern(some_pattern(seed, causal))
    assert pattern.shape == (3, len(shown.labels), len(shown.labels))
    sums = pattern.sum(-1)
    np.testing.assert_allclose(sums[np.isfinite(sums)], 1, atol=1e-12)


def test_what_may_be_looked_at_is_arranged_alike() -> None:
    may_look = np.tril(np.ones((6, 6), bool))
    words = arrange(PIECES, causal=True, words=True).may_look(may_look)
    assert words.tolist() == np.tril(np.ones((5, 5), bool)).tolist()
    assert arrange(PIECES, causal=True, hide_sink=True).may_look(may_look).shape == (4, 4)


@pytest.mark.parametrize("over", ["one", "heads", "layers", "all"])
def test_a_mean_is_taken_over_what_its_name_says(over: str) -> None:
    every = np.random.default_rng(1).random((2, 3, 4, 4))
    trace = SimpleNamespace(
        n_layers=2, patterns=lambda layer: every[layer], pattern=lambda layer, head: every[layer, head]
    )
    wanted = {"one": every[1, 2], "heads": every[1].mean(0), "layers": every[:, 2].mean(0), "all": every.mean((0, 1))}
    np.testing.assert_allclose(mean_pattern(trace, 1, 2, over), wanted[over])
    names = {
        "one": "head 1.2",
        "heads": "the mean of layer 1's heads",
        "layers": "the mean of head 2 over all layers",
        "all": "the mean of all heads",
    }
    assert mean_name(1, 2, over) == names[over]


def test_a_mean_over_layers_is_masked_only_where_all_of_them_are() -> None:
    """A window on every other layer hides nothing of what the others see."""
    masks = [np.tril(np.ones((6, 6), bool)), np.triu(np.tril(np.ones((6, 6), bool)), -1)]
    patterns = [np.where(mask, some_pattern(causal=True), 0) for mask in masks]
    patterns = [each / each.sum(-1, keepdims=True) for each in patterns]
    reader = SimpleNamespace(
        n_layers=2, may_look=masks.__getitem__, pattern=lambda n, head: patterns[n][head], patterns=patterns.__getitem__
    )
    for over in ("layers", "all"):
        may_look, mean = mean_may_look(reader, 1, over), mean_pattern(reader, 1, 0, over)
        assert np.array_equal(may_look, masks[0])
        np.testing.assert_allclose(np.where(may_look, mean, 0).sum(-1), 1)
    assert np.array_equal(mean_may_look(reader, 1, "heads"), masks[1]) and mean_may_look(reader, 1, "one") is masks[1]
