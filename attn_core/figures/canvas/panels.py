"""One or more patterns side by side on one scale, as a packet for the canvas: exact float32 numbers.

All panels of a packet share their axes: place i stands for the same word in each, so that a pointer over one panel
marks the same cell in all. A panel may lack a place (a word that only the other sentence has): its label is then None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attn_core.figures.canvas.packet import MASKED_LEGEND, packet
from attn_core.figures.colour_bars import signed_bar, weight_bar
from attn_core.text.decoding import visible
from attn_core.text.numbers import points


@dataclass(frozen=True, eq=False)
class Panel:
    """One pattern: cells [query, key], NaN where masked; labels, None where this sentence has no such word.

    `says` names it within a sentence ("head 0.3"). `signed` draws it as a difference, diverging and centred on 0.
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


def pack_panels(panels: Sequence[Panel], *, paint: bool = False) -> bytes:
    """Panels as a packet for `panels`; with `paint` a click marks a cell instead of choosing its query.

    Signed panels share one scale, from −limit to limit, where limit is the largest difference among them. Raises
    ValueError if the panels' axes differ in length.
    """
    shape = panels[0].cells.shape
    for panel in panels:
        if panel.cells.shape != shape or (len(panel.query_labels), len(panel.key_labels)) != shape:
            raise ValueError(f"panel {panel.title!r} has {panel.cells.shape} cells, the first one has {shape}")
    signed = [panel.signed for panel in panels]
    differences = [np.nanmax(np.abs(panel.cells), initial=0.0) for panel in panels if panel.signed]
    limit = float(max(differences, default=0.0))
    header = {
        "picture": "panels",
        "queries": shape[0],
        "keys": shape[1],
        "limit": limit,
        "bars": {
            "weight": weight_bar().packed() if not all(signed) else None,
            "difference": signed_bar("difference", limit, points).packed() if any(signed) else None,
        },
        "says": "To update {query}, {who} takes {value} from {key}.",
        "says_difference": "From {query} to {key}: {value}.",
        "says_masked": "{query} may not look at {key}: masked.",
        "says_missing": "This sentence has no such word.",
        "masked": MASKED_LEGEND,
        "missing": "not in this sentence",
        "paint": paint,
        "panels": [_panel(panel) for panel in panels],
    }
    return packet(header, b"".join(panel.cells.astype("<f4").tobytes() for panel in panels))


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "says": panel.says,
        "note": panel.note,
        "signed": panel.signed,
        "query_labels": [None if label is None else visible(label) for label in panel.query_labels],
        "key_labels": [None if label is None else visible(label) for label in panel.key_labels],
        "query_special": [i for i, special in enumerate(panel.query_special) if special],
        "key_special": [i for i, special in enumerate(panel.key_special) if special],
    }
