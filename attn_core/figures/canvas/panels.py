"""One or more patterns side by side on one scale, as a packet for the canvas: float32 numbers.

They are exact up to `BUDGET`; of longer sentences several words share a cell, and what a cell says is marked ≈.
All panels of a packet share their axes: place i stands for the same word in each, so that a pointer over one panel
marks the same cell in all. A panel may lack a place (a word that only the other sentence has): its label is then None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attn_core.figures.canvas.heads import pool_for, pooled
from attn_core.figures.canvas.packet import MASKED_LEGEND, packet
from attn_core.figures.colour_bars import signed_bar, weight_bar
from attn_core.text.decoding import visible
from attn_core.text.numbers import points
from attn_core.text.pairs import Segments

BUDGET = 1_400_000  # bytes of cells in one picture: five panels of 264 words, each cell 4 bytes


@dataclass(frozen=True, eq=False)
class Panel:
    """One pattern: cells [query, key], NaN where masked; labels, None where this sentence has no such word.

    `says` names it within a sentence ("head 0.3"). `signed` draws it as a difference, diverging and centred on 0. Of a
    pair's `segments` a line stands between the two, and the note says the shares of attention.
    """

    title: str
    says: str
    cells: np.ndarray
    query_labels: Sequence[str | None]
    key_labels: Sequence[str | None]
    query_special: Sequence[bool] = ()
    key_special: Sequence[bool] = ()
    note: str = ""
    signed: bool = False
    segments: Segments | None = None


def pack_panels(panels: Sequence[Panel], *, paint: bool = False) -> bytes:
    """Panels as a packet for `panels`; with `paint` a click marks a cell instead of choosing its query.

    Signed panels share one scale, from −limit to limit, where limit is the largest difference among them. What is
    painted is never pooled. Raises ValueError if the panels' axes differ in length.
    """
    shape = panels[0].cells.shape
    for panel in panels:
        if panel.cells.shape != shape or (len(panel.query_labels), len(panel.key_labels)) != shape:
            raise ValueError(f"panel {panel.title!r} has {panel.cells.shape} cells, the first one has {shape}")
    signed = [panel.signed for panel in panels]
    differences = [np.nanmax(np.abs(panel.cells), initial=0.0) for panel in panels if panel.signed]
    limit = float(max(differences, default=0.0))
    pool = 1 if paint else pool_for(len(panels), shape[0], shape[1], BUDGET // 4)
    header = {
        "picture": "panels",
        "queries": shape[0],
        "keys": shape[1],
        "limit": limit,
        "bars": {
            "weight": weight_bar().packed() if not all(signed) else None,
            "difference": signed_bar("difference", limit, points).packed() if any(signed) else None,
        },
        **_sentences(pool),
        "says_masked": "{query} may not look at {key}: masked.",
        "says_missing": "This sentence has no such word.",
        "masked": MASKED_LEGEND,
        "missing": "not in this sentence",
        "paint": paint,
        "pool": pool,
        "panels": [_panel(panel, pool) for panel in panels],
    }
    return packet(header, b"".join(strongest(panel.cells, pool).astype("<f4").tobytes() for panel in panels))


def strongest(cells: np.ndarray, pool: int) -> np.ndarray:
    """Of every `pool` × `pool` cells the number furthest from 0, with its sign; NaN only where all of them are."""
    if pool == 1:
        return cells
    largest, smallest = cells, cells
    for axis in (0, 1):
        largest = pooled(largest, axis, pool, np.fmax)  # passes over NaN
        smallest = pooled(smallest, axis, pool, np.fmin)
    return np.where(largest >= -smallest, largest, smallest)


def _sentences(pool: int) -> dict[str, str]:
    """What reads a cell: of a weight and of a difference; and what the legend says where words share a cell."""
    if pool == 1:
        takes, differs = "takes {value} from {key}.", "{value}."
    else:
        shared = f"(≈, {pool} words a cell)."
        takes, differs = f"takes at most {{value}} from {{key}} {shared}", f"{{value}} where they differ most {shared}"
    return {
        "says": f"To update {{query}}, {{who}} {takes}",
        "says_difference": f"From {{query}} to {{key}}: {differs}",
        "pooled": "" if pool == 1 else f"≈ each cell is the strongest of {pool} × {pool}",
    }


def _panel(panel: Panel, pool: int) -> dict[str, Any]:
    pair = panel.segments
    return {
        "title": panel.title,
        "says": panel.says,
        "note": panel.note if pair is None else " · ".join(filter(None, (pair.said, panel.note))),
        "second": None if pair is None else [pair.row / pool, pair.column / pool],
        "signed": panel.signed,
        **_side("query", panel.query_labels, panel.query_special, pool),
        **_side("key", panel.key_labels, panel.key_special, pool),
    }


def _side(name: str, labels: Sequence[str | None], special: Sequence[bool], pool: int) -> dict[str, Any]:
    """A cell's words along one axis: the first that is there, which it is called by, and the last; None for a gap."""
    cells = [range(at, min(at + pool, len(labels))) for at in range(0, len(labels), pool)]
    there = [[at for at in cell if labels[at] is not None] or [cell[0]] for cell in cells]
    shown = [None if label is None else visible(label) for label in labels]
    named = {
        f"{name}_labels": [shown[at] for at, *_ in there],
        f"{name}_special": [i for i, (at, *_) in enumerate(there) if at < len(special) and special[at]],
    }
    return named if pool == 1 else {**named, f"{name}_last": [shown[at] for *_, at in there]}
