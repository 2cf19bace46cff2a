"""Masks as rules: drawn back, they are the very squares that they were made of."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_core.masks import Mask, RelativeBias, causal, padding, window

SQUARES = {  # a square, and how far back and ahead its rule lets a query see
    "open": (torch.ones(4, 4, dtype=torch.bool), None, None),
    "causal": (causal(4, 4), None, 0),
    "window": (window(5, 5, 2), 1, 0),
}


@pytest.mark.parametrize("name", SQUARES)
def test_the_rule_behind_a_square_is_found(name):
    cells, back, ahead = SQUARES[name]
    found = Mask.of(cells)
    assert (found.back, found.ahead, found.real, found.cells) == (back, ahead, None, None)
    assert torch.equal(found.may_look(*cells.shape), cells)


def test_filler_is_found_behind_a_square():
    real = torch.tensor([True, True, False])
    found = Mask.of(padding(real, 3))
    assert torch.equal(found.real, real) and found.cells is None
    assert torch.equal(found.may_look(3, 3), padding(real, 3))


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (2, 5)])
def test_queries_that_are_filler_are_part_of_a_rule(start, stop):
    """Whatever a square lets them see: of a sentence with filler after it, or before."""
    real = torch.zeros(5, dtype=torch.bool)
    real[start:stop] = True
    for square in (causal(5, 5) & real, padding(real, 5), (causal(5, 5) & real) | ~real[:, None]):
        found = Mask.of(square, filler=~real)
        assert found.cells is None and torch.equal(found.may_look(5, 5), square & real[:, None])
        assert torch.equal(found.blind(5, 5), ~real)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_filler_looks_nowhere(n_query, n_key, data):
    flat = data.draw(st.lists(st.booleans(), min_size=n_query * n_key, max_size=n_query * n_key))
    filler = torch.tensor(data.draw(st.lists(st.booleans(), min_size=n_query, max_size=n_query)))
    square = torch.tensor(flat).reshape(n_query, n_key)
    found, expected = Mask.of(square, filler), square & ~filler[:, None]
    assert torch.equal(found.may_look(n_query, n_key), expected)
    blind = found.blind(n_query, n_key)
    assert torch.equal(torch.zeros(n_query, dtype=torch.bool) if blind is None else blind, ~expected.any(dim=-1))


def test_by_hand():
    assert causal(2, 3).tolist() == [[True, False, False], [True, True, False]]
    assert window(4, 4, 2).tolist() == [
        [True, False, False, False],
        [True, True, False, False],
        [False, True, True, False],
        [False, False, True, True],
    ]
    assert padding(torch.tensor([False, True]), 2).tolist() == [[False, True], [False, True]]


def test_a_window_as_wide_as_the_sentence_is_causal():
    assert torch.equal(window(4, 4, 4), causal(4, 4))
    assert not torch.equal(window(4, 4, 3), causal(4, 4))


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_any_square_comes_back(n_query, n_key, data):
    flat = data.draw(st.lists(st.booleans(), min_size=n_query * n_key, max_size=n_query * n_key))
    cells = torch.tensor(flat).reshape(n_query, n_key)
    assert torch.equal(Mask.of(cells).may_look(n_query, n_key), cells)
    assert Mask.of(cells).everyone_sees(n_query, n_key) == bool(cells.any(dim=-1).all())


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_whether_everyone_sees_is_told_without_the_square(n_query, n_key, data):
    reach = st.none() | st.integers(-7, 7)
    real = data.draw(st.none() | st.lists(st.booleans(), min_size=n_key, max_size=n_key))
    rule = Mask(data.draw(reach), data.draw(reach), None if real is None else torch.tensor(real))
    square = rule.may_look(n_query, n_key)
    assert rule.everyone_sees(n_query, n_key) == bool(square.any(dim=-1).all())


def test_a_rule_stays_small_and_a_square_without_a_rule_is_kept():
    rule = Mask.of(window(200, 200, 16))
    assert rule.cells is None and rule.real is None
    odd = causal(4, 4)
    odd[3, 1] = False
    assert torch.equal(Mask.of(odd).cells, odd)


def test_what_a_mask_says_of_itself():
    assert Mask().is_open and not Mask().is_causal and not Mask(ahead=2).is_causal
    assert Mask(ahead=0).is_causal and not Mask(ahead=0).is_open
    assert not Mask(real=torch.tensor([True])).is_open


def test_a_relative_bias_is_one_number_a_distance():
    values = torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
    cells = RelativeBias(values).cells(None, 5, 5)
    for query in range(5):
        for key in range(5):
            assert torch.equal(cells[:, query, key], values[:, key - query + 4])
    found = RelativeBias.of(cells)
    assert torch.equal(found.values, values)
    assert torch.equal(found.cells(1, 5, 5)[0], cells[1])
    assert all(torch.equal(found.rows(slice(q, q + 1), 5, 5).cells(None, 1, 5), cells[:, q : q + 1]) for q in range(5))


def test_a_bias_that_is_no_function_of_distance_is_kept_whole():
    cells = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(RelativeBias.of(cells).cells(None, 4, 4), cells)
    assert torch.equal(RelativeBias.of(cells).rows(slice(3, 4), 4, 4).cells(None, 1, 4), cells[:, 3:])
    assert RelativeBias.of(torch.zeros(2, 4, 4)) is None
