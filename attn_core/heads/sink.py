"""The sink: the keys on which a head rests when it has nothing to do, and patterns without them.

Source: Clark et al. 2019, section 3.2 ([CLS] and [SEP]); Xiao et al. 2024, "Efficient Streaming Language Models with
Attention Sinks" (the first token of a causal model).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attn_core.blocks import row_slices
from attn_core.tolerances import SMALLEST

if TYPE_CHECKING:
    from attn_core.traces.reader import TraceReader

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]


def sink_keys(special: Sequence[bool], *, causal: bool) -> Bools:
    """The keys on which a head rests when it has nothing to do: special tokens, what stands for no word, and where no
    query can look ahead the first token, which is the one key that every query sees. bool [key].

    >>> sink_keys([False, False, True], causal=True).tolist()
    [True, False, True]
    """
    sink = np.array(special, dtype=bool)
    if causal and sink.size:
        sink[0] = True
    return sink


def sink_of(stream: TraceReader) -> Bools:
    """The sink's keys of one stream of a trace, bool [key]: see `sink_keys`."""
    causal = stream.kind == "decoder" or stream.name == "decoder"
    special = stream.key_tokens.special
    sink = sink_keys(special, causal=causal)
    if causal and special[0]:  # filler may stand before the first token: it is that which somebody may look at
        sink[_first_seen(stream)] = True
    return sink


def _first_seen(stream: TraceReader) -> int:
    """The first key that some query may look at."""
    n_query, n_key = len(stream.tokens), len(stream.key_tokens)
    seen = np.zeros(n_key, bool)
    for rows in row_slices(n_query, n_key):
        seen |= stream.may_look(0, rows).any(axis=0)
    return int(seen.argmax())


def special_keys(stream: TraceReader) -> Bools:
    """Which keys are special tokens of the text, bool [key]; what stands for no word is no token."""
    special = np.array(stream.key_tokens.special, dtype=bool)
    if stream.name != "cross":
        special[len(stream.tokens) :] = False
    return special


def without_sink(pattern: Floats, sink: Bools) -> Floats:
    """Hide the sink and spread the rest so that rows sum to 1 again; the sink's cells are 0.

    A row that put everything on the sink has no rest: it becomes NaN, since any other number would be invented.

    >>> without_sink(np.array([[0.5, 0.3, 0.2]]), np.array([True, False, False])).round(2).tolist()
    [[0.0, 0.6, 0.4]]
    """
    rest = np.where(sink, 0.0, pattern)
    total = rest.sum(axis=-1, keepdims=True)  # [..., query, 1]
    result: Floats = np.divide(rest, total, out=np.full_like(rest, np.nan), where=total > SMALLEST)
    return result
