"""The cells that a rule such as "look at the token before" points to, bool [query, key].

Of a long sentence `rows` of them, [row, key], are made without the others, so that nobody needs the square.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from attn_core.heads.sink import Bools

ALL = slice(None)


def offset_cells(n_query: int, n_key: int, offset: int, rows: slice = ALL) -> Bools:
    """The key at a fixed distance: −1 is the token before, 0 the token itself, 1 the token after."""
    start, stop, _ = rows.indices(n_query)
    return np.eye(stop - start, n_key, offset + start, dtype=bool)


def window_cells(n_query: int, n_key: int, reach: int = 2, rows: slice = ALL) -> Bools:
    """The keys at most `reach` tokens away, on either side."""
    start, stop, _ = rows.indices(n_query)
    up_to, before = (np.tri(stop - start, n_key, start + last, dtype=bool) for last in (reach, -reach - 1))
    result: Bools = up_to & ~before
    return result


def duplicate_cells(ids: Sequence[int], rows: slice = ALL) -> Bools:
    """Other places where the query's own token stands. Source: Wang et al. 2023 (duplicate token heads), section 3.

    >>> duplicate_cells([7, 8, 7]).astype(int).tolist()
    [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    """
    tokens = np.asarray(ids)
    result: Bools = tokens[rows, None] == tokens[None, :]
    return result & ~offset_cells(len(tokens), len(tokens), 0, rows)


def induction_cells(ids: Sequence[int], rows: slice = ALL) -> Bools:
    """The token that followed the query's token elsewhere: in "a b … a", the second *a* looks at *b*.

    Source: Elhage et al. 2021; Olsson et al. 2022.

    >>> induction_cells([7, 8, 7]).astype(int).tolist()
    [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    """
    cells = np.roll(duplicate_cells(ids, rows), 1, axis=1)
    cells[:, 0] = False
    return cells


def first_mention_cells(ids: Sequence[int], rows: slice = ALL) -> Bools:
    """The very first place of a token, for queries that meet it for the third time or later.

    From the third time on, because on the second the first mention is also the only earlier one.

    >>> first_mention_cells([7, 7, 7]).astype(int).tolist()
    [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    """
    first, earlier = _mentions(tuple(ids))
    result: Bools = (earlier[rows, None] >= 2) & (np.arange(len(first)) == first[rows, None])
    return result


@lru_cache(maxsize=4)
def _mentions(ids: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of every token where it stands first, and how often it stands before: [token] each."""
    first: dict[int, int] = {}
    met: Counter[int] = Counter()
    both = []
    for place, token in enumerate(ids):
        both.append((first.setdefault(token, place), met[token]))
        met[token] += 1
    of_tokens = np.array(both, dtype=np.int64).reshape(-1, 2)
    return of_tokens[:, 0], of_tokens[:, 1]


def punctuation_cells(labels: Sequence[str], n_query: int, rows: slice = ALL) -> Bools:
    """Keys that are punctuation marks and nothing else, for all queries."""
    start, stop, _ = rows.indices(n_query)
    return np.broadcast_to(np.array([*map(_is_mark, labels)], dtype=bool), (stop - start, len(labels))).copy()


@lru_cache(maxsize=1 << 14)
def _is_mark(label: str) -> bool:
    signs = label.strip()
    return bool(signs) and all(unicodedata.category(sign)[0] == "P" for sign in signs)
