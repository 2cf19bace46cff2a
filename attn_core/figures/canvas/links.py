"""One head, or up to eight, as lines between two columns of words: the packet for assets/canvas/links.js.

A cell has two bytes: MASKED_LINK, or round(65534 · weight), so that it is exact to 0.001 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attn_core.figures.canvas.packet import as_said, hidden_cells, packet
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent

MASKED_LINK = 65_535
MOST_HEADS = 8  # as many heads as can be told apart by colour
FAINTEST = 0.01  # until a word is chosen, weights below this have no line, and the picture says so


def pack_links(
    patterns: np.ndarray,
    query_labels: Sequence[str],
    key_labels: Sequence[str] | None = None,
    *,
    heads: Sequence[str],
    may_look: np.ndarray | None = None,
    query_positions: Sequence[int | str] | None = None,
    key_positions: Sequence[int | str] | None = None,
    query_special: Sequence[bool] | None = None,
    key_special: Sequence[bool] | None = None,
    query_words: Sequence[int | None] | None = None,
    key_words: Sequence[int | None] | None = None,
    captions: tuple[str, str] = ("asks", "answers"),
    of: tuple[int, int] | None = None,
) -> bytes:
    """One to eight heads as lines between two columns of words: patterns [head, query, key], a packet for `links`.

    `heads` are their names: "0.3", or of a mean "the mean of all heads". `*_special` dims special tokens, `*_words`
    (the word index of each token) joins the pieces of a word, `*_positions` are said instead of 0, 1, … where tokens
    are left out or merged; the keys' are the queries' own where `key_labels` is left out. `captions` stand behind
    "query" and "key" over the columns. `of` is the (layer, head) whose lines these are, where a click on a head at a
    glance beside it is painted here at once.
    """
    if len(heads) > MOST_HEADS:
        raise ValueError(f"{len(heads)} heads cannot be told apart by colour; at most {MOST_HEADS} can")
    same = key_labels is None
    keys = query_labels if key_labels is None else key_labels
    if patterns.shape != (len(heads), len(query_labels), len(keys)):
        raise ValueError(f"patterns {patterns.shape} do not fit {len(heads)} heads and the labels")
    asks = _side(query_labels, query_positions, query_special, query_words)
    header = {
        "picture": "links",
        "heads": list(heads),
        "names": [f"head {name}" if name[:1].isdigit() else name for name in heads],
        "faintest": FAINTEST,
        "says": {
            "query": "To update {word}, {head} looks at {others}.",
            "key": "{word} is looked at through {head} by {others}.",
        },
        "nothing": f"nothing above {percent(FAINTEST)}",
        "note": f"Lines below {percent(FAINTEST)} are not drawn until a word is chosen.",
        "roles": ["query", "key"],
        "captions": list(captions),
        "same": same,
        "of": None if of is None else list(of),
        "sides": [
            asks,
            asks if same else _side(keys, key_positions, key_special, key_words),
        ],
    }
    return packet(header, exact_cells(patterns, may_look).tobytes())


def exact_cells(patterns: np.ndarray, may_look: np.ndarray | None) -> np.ndarray:
    """[head, query, key] with two bytes a cell: MASKED_LINK or round(65534 · weight)."""
    cells: np.ndarray = np.rint(np.clip(np.nan_to_num(patterns), 0, 1) * 65_534).astype("<u2")
    cells[hidden_cells(patterns, may_look)] = MASKED_LINK
    return cells


def _side(
    labels: Sequence[str],
    positions: Sequence[int | str] | None,
    special: Sequence[bool] | None,
    words: Sequence[int | None] | None,
) -> dict[str, Any]:
    return {
        "labels": [visible(label) for label in labels],
        "positions": as_said(positions),
        "special": [] if special is None else [i for i, dim in enumerate(special) if dim],
        "words": None if words is None else list(words),
    }
