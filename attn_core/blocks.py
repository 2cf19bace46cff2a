"""A square of query × key in blocks of rows, so that what is computed from it stays small whatever the text's length.

Needs nothing, torch least of all: what draws the recorded first picture comes by here.
"""

from __future__ import annotations

from collections.abc import Iterator

CELLS = 1 << 20  # of a square that are worked on at a time: 4 MB of float32, which a processor's cache still holds


def row_slices(n_query: int, n_key: int) -> Iterator[slice]:
    """The rows of a square in pieces of at most `CELLS` cells.

    >>> list(row_slices(3, CELLS // 2))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    step = max(1, CELLS // n_key)
    return (slice(start, min(start + step, n_query)) for start in range(0, n_query, step))
