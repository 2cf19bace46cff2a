"""A head as a panel of the canvas: its own numbers, and nothing where it may not look."""

from __future__ import annotations

import numpy as np
import pytest

import attn_core as ac
from ui.drawing.head_panel import head_panel


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    return ac.trace(ac.load("tiny-decoder"), "a fluffy blue creature")


def test_what_is_masked_is_no_number_and_the_rest_is_the_pattern(trace: ac.Trace) -> None:
    panel, ahead = head_panel(trace.stream(), 1, 2), np.triu(np.ones((len(trace.tokens),) * 2, bool), 1)
    assert np.isnan(panel.cells[ahead]).all()
    np.testing.assert_array_equal(panel.cells[~ahead], trace.pattern(1, 2)[~ahead])
    assert (panel.title, panel.says, panel.signed) == ("Layer 1 · head 2", "head 1.2", False)
    assert list(panel.query_labels) == list(panel.key_labels) == list(trace.tokens.labels)


def test_other_cells_of_the_same_words_are_masked_alike(trace: ac.Trace) -> None:
    half = trace.pattern(0, 1) / 2
    panel = head_panel(trace.stream(), 0, 1, "half", half, signed=True)
    np.testing.assert_array_equal(np.nan_to_num(panel.cells), half)
    assert np.isnan(panel.cells[0, 1]) and (panel.title, panel.signed) == ("half", True)
