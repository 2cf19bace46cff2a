"""The cells that a rule such as "look at the token before" points to, bool [query, key]."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from attn_core.heads.sink import Bools


def offset_cells(n_query: int, n_key: int, offset: int) -> Bools:
    """The key at a fixed distance: −1 is the token before, 0 the token itself, 1 the token after."""
    return np.eye(n_query, n_key, offset, dtype=bool)


def window_cells(n_query: int, n_key: int, reach: int = 2) -> Bools:
    """The keys at most `reach` tokens away, on either side."""
    result: Bools = np.tri(n_query, n_key, reach, dtype=bool) & ~np.tri(n_query, n_key, -reach - 1, dtype=bool)
    return result


def duplicate_cells(ids: Sequence[int]) -> Bools:
    """Other places where the query's own token stands. Source: Wang et al. 2023 (duplicate token heads), section 3.

    >>> duplicate_cells([7, 8, 7]).astype(int).tolist()
    [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    """
    tokens = np.asarray(ids)
    result: Bools = (tokens[:, None] == tokens[None, :]) & ~np.eye(len(tokens), dtype=bool)
    return result


def induction_cells(ids: Sequence[int]) -> Bools:
    """The token that followed the query's token elsewhere: in "a b … a", the second *a* looks at *b*.

    Source: Elhage et al. 2021; Olsson et al. 2022.

    >>> induction_cells([7, 8, 7]).astype(int).tolist()
    [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    """
    cells = np.roll(duplicate_cells(ids), 1, axis=1)
    cells[:, 0] = False
    return cells


def first_mention_cells(ids: Sequence[int]) -> Bools:
    """The very first place of a token, for queries that meet it for the third time or later.

    From the third time on, because on the second the first mention is also the only earlier one.

    >>> first_mention_cells([7, 7, 7]).astype(int).tolist()
    [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    """
    tokens = np.asarray(ids)
    same = tokens[:, None] == tokens[None, :]
    third = np.tril(same, -1).sum(axis=1) >= 2
    result: Bools = third[:, None] & (np.arange(len(tokens))[None, :] == same.argmax(axis=1)[:, None])
    return result


def punctuation_cells(labels: Sequence[str], n_query: int) -> Bools:
    """Keys that are punctuation marks and nothing else, for all queries."""
    marks = np.array([bool(t.strip()) and all(unicodedata.category(c)[0] == "P" for c in t.strip()) for t in labels])
    return np.broadcast_to(marks, (n_query, len(labels))).copy()
