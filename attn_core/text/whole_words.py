"""Pieces of one word put together: their positions, and a pattern between words instead of pieces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np


def units(words: Sequence[int | None]) -> list[list[int]]:
    """The positions of each word, in order; a special token is a unit of its own.

    >>> units([None, 0, 1, 1, None])
    [[0], [1], [2, 3], [4]]
    """
    keys = [("special", i) if word is None else ("word", word) for i, word in enumerate(words)]
    return [[i for i, _ in run] for _, run in groupby(enumerate(keys), key=lambda item: item[1])]


def word_pattern(pattern: np.ndarray, query_words: Sequence[int | None], key_words: Sequence[int | None]) -> np.ndarray:
    """A pattern between words instead of pieces: [..., query, key] → [..., query word, key word].

    A word receives what its pieces receive together, so weights are summed over keys; a word asks as its pieces do on
    average, so they are averaged over queries. Rows still sum to 1. Special tokens stay as they are.
    Source: Clark et al. 2019, "What Does BERT Look At?", section 4.1.

    >>> word_pattern(np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]), [0, 1, 1], [0, 1, 1])
    array([[0.5 , 0.5 ],
           [0.25, 0.75]])
    """
    # [..., query, key] → [..., query, key word], and then the queries
    by_key = np.stack([pattern[..., :, unit].sum(axis=-1) for unit in units(key_words)], axis=-1)
    return np.stack([by_key[..., unit, :].mean(axis=-2) for unit in units(query_words)], axis=-2)
