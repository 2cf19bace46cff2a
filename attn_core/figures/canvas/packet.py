"""The bytes that a canvas picture is drawn from, on screen and on paper: one header and its cells.

A packet is the length of its header (4 bytes, little-endian), the header (JSON, UTF-8), then the cells, whose form
each kind of picture defines. `assets/canvas/drawing.js` reads it in the browser, `figures.paper.draw` for a file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from attn_core.figures.colours import palette

MASKED_LEGEND = "masked: may not be looked at"  # what the hatch means, in the legend of a picture of weights


def packet(header: dict[str, Any], body: bytes) -> bytes:
    """A header and cells as one packet; both themes' colours come with the header."""
    text = json.dumps({**header, "palette": palette()}, ensure_ascii=False, separators=(",", ":")).encode()
    return struct.pack("<I", len(text)) + text + body


def unpack(packed: bytes) -> tuple[dict[str, Any], bytes]:
    """A packet's header and cells."""
    (length,) = struct.unpack_from("<I", packed)
    return json.loads(packed[4 : 4 + length]), packed[4 + length :]


def whole_numbers(numbers: Sequence[int] | None) -> list[int] | None:
    """Positions as JSON can hold them; numpy's own whole numbers it can not."""
    return None if numbers is None else [int(number) for number in numbers]


def hidden_cells(patterns: np.ndarray, may_look: np.ndarray | None) -> np.ndarray:
    """What has no weight, bool [head, query, key]: masked cells, and rows that hiding tokens has left empty (NaN)."""
    hidden: np.ndarray = np.isnan(patterns)
    return hidden if may_look is None else np.logical_or(hidden, ~np.asarray(may_look, bool))
