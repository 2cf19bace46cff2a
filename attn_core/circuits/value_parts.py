"""What a head takes from one word for another, split by who wrote the stream of the word that it was taken from.

weight · (N c^b) W_V W_O for every writer b of the key's stream, and the bias b_V; together one row of
`trace.delta_e_by_source`. Source: Elhage et al. 2021 (the OV circuit).
"""

from __future__ import annotations

import numpy as np

from attn_core.circuits.head_maps import value_map
from attn_core.circuits.score_parts import memory_before_norm, memory_writers, n_words
from attn_core.circuits.writers.additions import Floats, Places, refuse_half_precision
from attn_core.errors import DoesNotAddUp, check_index
from attn_core.tolerances import SMALLEST
from attn_core.traces import parity
from attn_core.traces.parts import ValueParts, Writer
from attn_core.traces.reader import Array
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace


def value_parts(trace: Trace, layer: int, head: int, query: int, key: int, *, stream: str | None = None) -> ValueParts:
    """Split what a head takes from `key` for `query`; raises as `score_parts`, and for a head that was switched off."""
    own = trace.stream(stream)
    refuse_half_precision(own)
    held = own.module()  # so that a model that was unloaded is loaded once here, not for every writer
    check_index("key", key, len(own.key_tokens))
    taken, largest = _taken(own.delta_e_by_source(layer, head, query), key)
    if key < n_words(own):
        parts = _written(trace, own, layer, head, np.array([key]))
    else:  # learnt, and written by nobody
        parts = [(Writer(own.key_tokens.labels[key], "learnt"), own.value(layer, head)[key].astype(np.float64))]
    weight = float(own.pattern_row(layer, head, query)[key])
    values = np.stack([part for _, part in parts])  # [writer, d_head]
    vectors = weight * (values @ own.w_o(layer, head).astype(np.float64))  # [writer, d_model]
    residue = float(np.abs(vectors.sum(axis=0) - taken).max() / max(largest, SMALLEST))
    if not residue <= parity.TOLERANCE:
        raise DoesNotAddUp(f"The parts of this value miss it by {residue:.1e} of the largest, so they are not shown.")
    del held
    return ValueParts(layer, head, query, key, own.name, tuple(writer for writer, _ in parts), vectors, residue)


def _taken(by_source: Array, key: int) -> tuple[Array, float]:
    """(what comes from one key [d_model], the largest number of all that comes from any) of [key, d_model]."""
    return by_source[key].copy(), max(float(by_source.max()), -float(by_source.min()))


def _written(trace: Trace, own: StreamTrace, layer: int, head: int, taken: Places) -> list[tuple[Writer, Floats]]:
    """Every writer's part of a word's value, [d_head]."""
    head_map = value_map(own, layer, head, taken, memory_before_norm(trace, own, layer))
    written = () if head_map.ends else memory_writers(trace, own, layer, taken)
    parts = [(writer, head_map.part(vectors)[0]) for writer, vectors in written]
    return parts + [(writer, vectors[0]) for writer, vectors in head_map.constants(1)]
