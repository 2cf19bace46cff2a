"""Patterns packed for the canvas: one byte a cell for the overview of all heads, two bytes for the links of one.

Every packet is one `bytes`: the length of the header (4 bytes, little-endian), the header (JSON, UTF-8), the cells.
The overview stays below 4 MB for any model: longer sentences are pooled by their maximum, and the header says by how
much. Masked cells have a value of their own, because masked is not zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

import numpy as np

from attn_core.figures.canvas.packet import packet
from attn_core.text.decoding import visible

BUDGET = 4_000_000  # bytes of cells in one overview
MASKED = 255  # an overview cell is MASKED or round(254 · √weight)
MASKED_LINK = 65_535  # a link cell is MASKED_LINK or round(65534 · weight), exact to 0.001 %
MOST_HEADS = 8  # as many heads as can be told apart by colour


def pack_patterns(
    layers: Iterable[np.ndarray],
    n_layers: int,
    query_labels: Sequence[str],
    key_labels: Sequence[str] | None = None,
    *,
    query_positions: Sequence[int] | None = None,
    key_positions: Sequence[int] | None = None,
    may_look: Sequence[np.ndarray | None] | np.ndarray | None = None,
    notes: Sequence[Sequence[str]] | None = None,
) -> bytes:
    """All heads at a glance: patterns [head, query, key], one array a layer, as a packet for `overview`.

    `layers` is read once and in order, so it can make its arrays as it goes. `may_look` is bool [query, key], for all
    layers or one a layer (None: everything may be seen). `notes[layer][head]` is a sentence that is shown under a
    head's name. `key_labels` defaults to the queries' own; `*_positions` are said instead of 0, 1, … where tokens are
    left out or merged. Raises ValueError if a shape does not fit.
    """
    keys = query_labels if key_labels is None else key_labels
    shape = (len(query_labels), len(keys))
    parts: list[bytes] = []
    pool = n_heads = 0
    for layer, pattern in enumerate(layers):
        if pattern.shape[1:] != shape or (n_heads and len(pattern) != n_heads):
            raise ValueError(f"layer {layer} has patterns of shape {pattern.shape}, labels are for {shape}")
        n_heads = len(pattern)
        pool = pool or pool_for(n_layers * n_heads, *shape)
        allowed = may_look[layer] if isinstance(may_look, Sequence) else may_look
        parts.append(_bytes_of(pattern, allowed, pool).tobytes())
    if len(parts) != n_layers:
        raise ValueError(f"{len(parts)} layers came, {n_layers} were announced")
    header = {
        "picture": "pattern",
        "layers": n_layers,
        "heads": n_heads,
        "queries": shape[0],
        "keys": shape[1],
        "pool": pool,
        "query_labels": [visible(label) for label in query_labels],
        "key_labels": None if key_labels is None else [visible(label) for label in keys],
        "query_positions": _whole(query_positions),
        "key_positions": _whole(query_positions if key_labels is None else key_positions),
        "notes": notes,
    }
    return packet(header, b"".join(parts))


def pack_values(values: np.ndarray, texts: Sequence[Sequence[str]], *, name: str, signed: bool = False) -> bytes:
    """One number a head, values [layer, head], as a packet for `overview`.

    The colour runs from 0 to the largest value (`signed`: from −largest to largest). `texts[layer][head]` is the
    number as it is to be read, with its unit; `name` says what it measures.
    """
    header = {
        "picture": "values",
        "layers": values.shape[0],
        "heads": values.shape[1],
        "name": name,
        "signed": signed,
        "values": np.nan_to_num(values.astype(float)).tolist(),
        "texts": [list(row) for row in texts],
    }
    return packet(header, b"")


def pack_kinds(
    kinds: Sequence[Sequence[str]], meanings: dict[str, str], *, notes: Sequence[Sequence[str]] | None = None
) -> bytes:
    """One kind a head, kinds[layer][head], as a packet for `overview`.

    `meanings` gives each kind, in the order of its colours, its sentence; a kind that is not in it is "other" and
    stays grey. At most eight kinds can be told apart.
    """
    if len(meanings) > MOST_HEADS:
        raise ValueError(f"{len(meanings)} kinds cannot be told apart by colour; at most {MOST_HEADS} can")
    header = {
        "picture": "kinds",
        "layers": len(kinds),
        "heads": len(kinds[0]),
        "kinds": [list(row) for row in kinds],
        "meanings": meanings,
        "notes": notes,
    }
    return packet(header, b"")


def pack_links(
    patterns: np.ndarray,
    query_labels: Sequence[str],
    key_labels: Sequence[str] | None = None,
    *,
    heads: Sequence[str],
    may_look: np.ndarray | None = None,
    query_positions: Sequence[int] | None = None,
    key_positions: Sequence[int] | None = None,
    query_special: Sequence[bool] | None = None,
    key_special: Sequence[bool] | None = None,
    query_words: Sequence[int | None] | None = None,
    key_words: Sequence[int | None] | None = None,
    captions: tuple[str, str] = ("asks", "answers"),
) -> bytes:
    """One to eight heads as lines between two columns of words: patterns [head, query, key], a packet for `links`.

    `heads` are their names ("0.3"). `*_special` dims special tokens, `*_words` (the word index of each token) joins
    the pieces of a word, `*_positions` are said instead of 0, 1, … where tokens are left out or merged; the keys' are
    the queries' own where `key_labels` is left out.
    """
    if len(heads) > MOST_HEADS:
        raise ValueError(f"{len(heads)} heads cannot be told apart by colour; at most {MOST_HEADS} can")
    same = key_labels is None
    keys = query_labels if key_labels is None else key_labels
    if patterns.shape != (len(heads), len(query_labels), len(keys)):
        raise ValueError(f"patterns {patterns.shape} do not fit {len(heads)} heads and the labels")
    header = {
        "picture": "links",
        "heads": list(heads),
        "captions": list(captions),
        "same": same,
        "sides": [
            _side(query_labels, query_positions, query_special, query_words),
            _side(keys, query_positions, query_special, query_words)
            if same
            else _side(keys, key_positions, key_special, key_words),
        ],
    }
    return packet(header, exact_cells(patterns, may_look).tobytes())


def exact_cells(patterns: np.ndarray, may_look: np.ndarray | None) -> np.ndarray:
    """[head, query, key] with two bytes a cell: MASKED_LINK or round(65534 · weight)."""
    cells = np.rint(np.clip(np.nan_to_num(patterns), 0, 1) * 65_534).astype("<u2")
    cells[_hidden(patterns, may_look)] = MASKED_LINK
    return cells


def pool_for(n_tiles: int, n_query: int, n_key: int, budget: int = BUDGET) -> int:
    """The smallest n for which n_tiles tiles, pooled n × n, fit the budget."""
    pool = 1
    while n_tiles * ceil(n_query / pool) * ceil(n_key / pool) > budget:
        pool += 1
    return pool


def _bytes_of(pattern: np.ndarray, may_look: np.ndarray | None, pool: int) -> np.ndarray:
    """[head, query, key] → uint8, pooled by the maximum; a pooled cell is masked only where all of it is."""
    cells = np.rint(254 * np.sqrt(np.clip(np.nan_to_num(pattern), 0, 1))).astype(np.int16)
    cells[_hidden(pattern, may_look)] = -1
    if pool > 1:
        fill = [(0, 0), *((0, -size % pool) for size in cells.shape[1:])]
        cells = np.pad(cells, fill, constant_values=-1)
        heads, queries, keys = cells.shape
        cells = cells.reshape(heads, queries // pool, pool, keys // pool, pool).max(axis=(2, 4))
    return np.where(cells < 0, MASKED, cells).astype(np.uint8)


def _hidden(patterns: np.ndarray, may_look: np.ndarray | None) -> np.ndarray:
    """What has no weight, bool [head, query, key]: masked cells, and rows that hiding tokens has left empty (NaN)."""
    undefined = np.isnan(patterns)
    return undefined if may_look is None else undefined | ~np.asarray(may_look, bool)


def _side(
    labels: Sequence[str],
    positions: Sequence[int] | None,
    special: Sequence[bool] | None,
    words: Sequence[int | None] | None,
) -> dict[str, Any]:
    return {
        "labels": [visible(label) for label in labels],
        "positions": _whole(positions),
        "special": [] if special is None else [i for i, dim in enumerate(special) if dim],
        "words": None if words is None else list(words),
    }


def _whole(numbers: Sequence[int] | None) -> list[int] | None:
    return None if numbers is None else [int(number) for number in numbers]
