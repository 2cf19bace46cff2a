"""Which word to read first: the one rule for a default query, and the one for a default key, where none was chosen.

most_salient_query(trace.pattern(0, 3), trace.tokens.special)      # a position
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from attn_core.heads.sink import Bools, Floats
    from attn_core.traces.reader import TraceReader


def most_salient_query(pattern: Floats, special: Sequence[bool], key_special: Sequence[bool] | None = None) -> int:
    """The query with the largest weight on a key that is another word: [query, key] → row; among equals the first.

    `special` flags the queries that are no words, such as [CLS]. Without `key_special` the sentence looks at itself:
    the same tokens are no words as keys, nor are the keys that come after them, and a word's weight on itself does not
    count. Between two sentences `key_special` flags the keys. Weights that are NaN count as 0. A special token is
    chosen only where there is nothing else.
    """
    weights = np.nan_to_num(pattern)  # a copy, [query, key]
    if key_special is None:
        np.fill_diagonal(weights, 0)
        key_special = [*special, *[True] * (weights.shape[1] - len(special))]
    weights[:, list(key_special)] = 0
    weights[list(special), :] = -1  # even where no word looks at another, a word is read and not its frame
    return int(weights.max(axis=1).argmax())


def salient_query_of(reader: TraceReader, pattern: Floats) -> int:
    """`most_salient_query` of a pattern of one stream of a trace, [query, key] over its tokens."""
    keys = reader.key_tokens.special if reader.name == "cross" else None
    return most_salient_query(pattern, reader.tokens.special, keys)


def keys_by_weight(row: Floats, may_look: Bools, last: Sequence[bool] | Bools, itself: int | None = None) -> list[int]:
    """The keys that one query may look at, the largest weight first; the first is the default key.

    `row` [key] are its weights. The word `itself` stands behind all others, and behind it those that are `last`, such
    as a sink.

    >>> keys_by_weight(np.array([0.6, 0.1, 0.3]), np.array([True, True, True]), [True, False, False])
    [2, 1, 0]
    """
    keys = map(int, np.flatnonzero(may_look))
    return sorted(keys, key=lambda key: (bool(last[key]), key == itself, -float(row[key])))
