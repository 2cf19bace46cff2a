"""All heads at a glance, one square a head: its pattern, a number, or its kind. Packets for assets/canvas/overview.js.

A cell of a pattern has one byte. The overview stays below 4 MB for any model: longer sentences are pooled by their
maximum, and the header says by how much. Masked cells have a value of their own, because masked is not zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from attn_core.figures.canvas.packet import MASKED_LEGEND, as_said, hidden_cells, packet
from attn_core.figures.colour_bars import ColourBar, signed_bar, size_bar, weight_bar
from attn_core.figures.colours import CATEGORIES, ROLES, Scale, mixed
from attn_core.text.decoding import visible
from attn_core.text.numbers import MINUS

MOST_KINDS = 8  # as many as can be told apart by colour
BUDGET = 4_000_000  # bytes of cells in one overview
MASKED = 255  # an overview cell is MASKED or round(254 · √weight)


Blocks = Iterable[tuple[slice, np.ndarray]]  # of a layer's patterns: (rows, [head, row, key]), one after the other


def pack_patterns(
    layers: Iterable[np.ndarray | Blocks],
    n_layers: int,
    query_labels: Sequence[str],
    key_labels: Sequence[str] | None = None,
    *,
    query_positions: Sequence[int | str] | None = None,
    key_positions: Sequence[int | str] | None = None,
    may_look: Sequence[np.ndarray | None] | np.ndarray | None = None,
    notes: Sequence[Sequence[str]] | None = None,
    second: tuple[int, int] | None = None,
) -> bytes:
    """All heads at a glance: patterns [head, query, key], one array a layer, as a packet for `overview`.

    `layers` is read once and in order, so it can make its arrays as it goes; a layer may also come in blocks of rows,
    whose masked cells are NaN, so that a long sentence's are never held together. `may_look` is bool [query, key], for
    all layers or one a layer (None: everything may be seen). `notes[layer][head]` is a sentence that is shown under
    a head's name; it is read after the layers, so it can be filled while they are made. `key_labels` defaults to the
    queries' own; of a pair `second` is the row and the column where its second segment begins, and a line stands there.
    `*_positions` are said instead of 0, 1, … where tokens are left out or merged. Raises ValueError if a
    shape does not fit.
    """
    keys = query_labels if key_labels is None else key_labels
    shape = (len(query_labels), len(keys))
    cells, n_heads, pool = _cells_of(layers, n_layers, shape, may_look)
    header = {
        "picture": "pattern",
        "layers": n_layers,
        "heads": n_heads,
        "queries": shape[0],
        "keys": shape[1],
        "pool": pool,
        "query_labels": [visible(label) for label in query_labels],
        "key_labels": None if key_labels is None else [visible(label) for label in keys],
        "query_positions": as_said(query_positions),
        "key_positions": as_said(query_positions if key_labels is None else key_positions),
        "notes": notes,
        "second": None if second is None else list(second),
        "bar": weight_bar().packed(),
        "says": f"To update {{query}}, {{head}} takes {'≈' if pool == 1 else 'at most ≈'} {{value}} from {{key}}.",
        "says_masked": "{query} may not look at {key}: masked.",
        "masked": MASKED_LEGEND,
        "pooled": "" if pool == 1 else f"≈ each cell is the strongest of {pool} × {pool}",
    }
    return packet(header, cells)


def _cells_of(
    layers: Iterable[np.ndarray | Blocks],
    n_layers: int,
    shape: tuple[int, int],
    may_look: Sequence[np.ndarray | None] | np.ndarray | None,
) -> tuple[bytes, int, int]:
    """(the cells of all layers as bytes, heads a layer, how many words a cell takes in): layers are read one by one."""
    parts: list[bytes] = []
    pool = n_heads = 0
    came = 0
    for layer, heads in enumerate(layers):
        came, own = came + 1, may_look[layer] if isinstance(may_look, Sequence) else may_look
        strongest, n_rows = np.empty(0), 0  # [head, pooled query, pooled key]; −1 where masked
        for rows, patterns in [(slice(0, shape[0]), heads)] if isinstance(heads, np.ndarray) else heads:
            if n_heads and len(patterns) != n_heads:
                raise ValueError(f"layer {layer} has {len(patterns)} heads, the others have {n_heads}")
            n_heads, n_rows = len(patterns), n_rows + patterns.shape[1]
            if patterns.shape[1:] != (rows.stop - rows.start, shape[1]):
                raise ValueError(f"layer {layer} has patterns of shape {patterns.shape}, labels are for {shape}")
            pool = pool or pool_for(n_layers * n_heads, *shape)
            if not strongest.size:
                strongest = np.full((n_heads, ceil(shape[0] / pool), ceil(shape[1] / pool)), -1, np.float32)
            weights = np.where(hidden_cells(patterns, None if own is None else own[rows]), np.float32(-1), patterns)
            _take_in(strongest, weights, rows.start, pool)
        if n_rows != shape[0]:
            raise ValueError(f"layer {layer} has {n_rows} rows, labels are for {shape[0]}")
        parts.append(_bytes_of(strongest).tobytes())
    if came != n_layers:
        raise ValueError(f"{came} layers came, {n_layers} were announced")
    return b"".join(parts), n_heads, pool


def pack_values(values: np.ndarray, texts: Sequence[Sequence[str]], *, name: str, signed: bool = False) -> bytes:
    """One number a head, values [layer, head], as a packet for `overview`.

    The colour runs from 0 to the largest value (`signed`: from −largest to largest). `texts[layer][head]` is the
    number as it is to be read, with its unit; `name` says what it measures.
    """
    numbers = np.nan_to_num(values.astype(float))
    largest = float(np.abs(numbers).max(initial=0.0))
    header = {
        "picture": "values",
        "layers": values.shape[0],
        "heads": values.shape[1],
        "name": name,
        "bar": _bar_of(numbers, texts, name, largest, signed=signed).packed(),
        "values": numbers.tolist(),
        "texts": [list(row) for row in texts],
    }
    return packet(header, b"")


def _bar_of(
    numbers: np.ndarray, texts: Sequence[Sequence[str]], name: str, largest: float, *, signed: bool
) -> ColourBar:
    """The ends of the colours in the unit that the squares are read in; without words where the largest has none."""
    layer, head = np.unravel_index(np.abs(numbers).argmax(), numbers.shape)
    size = texts[layer][head].lstrip(f"+-{MINUS}")
    if signed:
        bar = signed_bar(name, largest, lambda number: f"{MINUS if number < 0 else '+'}{size}")
    else:
        bar = size_bar(name, largest, lambda number: size)
    same: dict[Scale, str] = {"sqrt": name, "linear": name}  # a number a head has one scale
    return replace(bar, titles=same, ticks=bar.ticks if size[:1].isdigit() else ())


def pack_kinds(
    kinds: Sequence[Sequence[str]], meanings: dict[str, str], *, notes: Sequence[Sequence[str]] | None = None
) -> bytes:
    """One kind a head, kinds[layer][head], as a packet for `overview`.

    `meanings` gives each kind, in the order of its colours, its sentence; a kind that is not in it is "other" and
    stays grey. At most eight kinds can be told apart.
    """
    if len(meanings) > MOST_KINDS:
        raise ValueError(f"{len(meanings)} kinds cannot be told apart by colour; at most {MOST_KINDS} can")
    header = {
        "picture": "kinds",
        "layers": len(kinds),
        "heads": len(kinds[0]),
        "kinds": [list(row) for row in kinds],
        "meanings": meanings,
        "legend": _legend([name for row in kinds for name in row], meanings),
        "notes": notes,
    }
    return packet(header, b"")


def _legend(kinds: Sequence[str], meanings: dict[str, str]) -> list[dict[str, Any]]:
    """Each kind with its letters, its fill in both themes, its sentence and how often it occurs; last what is none."""
    entries = [
        {
            "name": name,
            "letters": letters,
            "fills": {theme: mixed(CATEGORIES[theme][i], ROLES[theme]["card"], 0.6) for theme in ROLES},
            "says": f"{name}: {meaning} ({kinds.count(name)})",
        }
        for i, ((name, meaning), letters) in enumerate(zip(meanings.items(), _letters(list(meanings)), strict=True))
    ]
    others = sum(name not in meanings for name in kinds)
    fills = {theme: ROLES[theme]["line"] for theme in ROLES}
    return [*entries, {"name": "other", "letters": "·", "fills": fills, "says": f"other ({others})"}]


def _letters(names: Sequence[str]) -> list[str]:
    """What stands for a kind where colour alone is not enough: "previous token" is PT, "induction" IN; all differ."""
    found: list[str] = []
    for i, name in enumerate(names):
        words = name.split()
        letters = ("".join(word[0] for word in words) if len(words) > 1 else name[:2]).upper()
        found.append(letters if letters not in found else str(i + 1))
    return found


def pool_for(n_tiles: int, n_query: int, n_key: int, budget: int = BUDGET) -> int:
    """The smallest n for which n_tiles tiles, pooled n × n, fit the budget."""
    pool = 1
    while n_tiles * ceil(n_query / pool) * ceil(n_key / pool) > budget:
        pool += 1
    return pool


def _take_in(strongest: np.ndarray, weights: np.ndarray, start: int, pool: int) -> None:
    """Pool rows [head, row, key] from `start` on by the maximum, into the cells that they are part of.

    A pooled cell is masked, −1, only where all of it is. Weights are pooled, as their bytes keep the order.
    """
    weights = pooled(weights, 2, pool, np.maximum) if pool > 1 else weights
    begun = min(-start % pool, weights.shape[1])  # rows that belong to a cell which the block before began
    for at, part in ((start, weights[:, :begun]), (start + begun, weights[:, begun:])):
        own = pooled(part, 1, pool, np.maximum) if pool > 1 and part.shape[1] else part
        there = strongest[:, at // pool : at // pool + own.shape[1]]
        np.maximum(there, own, out=there)


def _bytes_of(strongest: np.ndarray) -> np.ndarray:
    """Weights, −1 where masked, as bytes."""
    weights = np.clip(strongest, 0, 1)
    np.sqrt(weights, out=weights)
    weights *= 254
    cells: np.ndarray = np.rint(weights, out=weights).astype(np.uint8)
    cells[strongest < 0] = MASKED
    return cells


def pooled(cells: np.ndarray, axis: int, pool: int, larger: np.ufunc) -> np.ndarray:
    """What `larger` keeps of every `pool` neighbours along an axis, of as many as there are at the end.

    A few passes over strided views; `ufunc.reduceat` gives the same seven times as slowly.
    """
    along = np.moveaxis(cells, axis, 0)  # a view, [place along the axis, …]
    kept = along[::pool].copy("K")
    for at in range(1, pool):
        others = along[at::pool]
        larger(kept[: len(others)], others, out=kept[: len(others)])
    return np.moveaxis(kept, 0, axis)
