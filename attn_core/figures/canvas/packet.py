"""The bytes that a canvas picture is drawn from, on screen and on paper: one header and its cells.

A packet is the length of its header (4 bytes, little-endian), the header (JSON, UTF-8), then the cells, whose form
each kind of picture defines. `assets/canvas/drawing.js` reads it in the browser, `figures.paper.draw` for a file.
"""

from __future__ import annotations

import json
import struct
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from attn_core.figures.colours import palette

DRAWN_BY = {"pattern": "overview", "values": "overview", "kinds": "overview"}  # else by a file of the picture's name
MASKED_LEGEND = "masked: may not be looked at"  # what the hatch means, in the legend of a picture of weights


def packet(header: dict[str, Any], body: bytes) -> bytes:
    """A header and cells as one packet; both themes' colours, and what the picture says, come with the header."""
    shared: dict[str, Any] = {"palette": palette()}
    if "picture" in header:
        shared["words"] = words_of(DRAWN_BY.get(header["picture"], header["picture"]))
    text = json.dumps({**header, **shared}, ensure_ascii=False, separators=(",", ":")).encode()
    return struct.pack("<I", len(text)) + text + body


@cache
def words_of(picture: str) -> dict[str, str]:
    """The sentences of one picture in `words.toml`, with slots that its JavaScript fills."""
    words: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
    return words[picture]


def unpack(packed: bytes) -> tuple[dict[str, Any], bytes]:
    """A packet's header and cells."""
    (length,) = struct.unpack_from("<I", packed)
    return json.loads(packed[4 : 4 + length]), packed[4 + length :]


def as_said(positions: Sequence[int | str] | None) -> list[int | str] | None:
    """Positions as JSON can hold them, 3 or "3–5"; numpy's own whole numbers it can not."""
    return None if positions is None else [at if isinstance(at, str) else int(at) for at in positions]


def hidden_cells(patterns: np.ndarray, may_look: np.ndarray | None) -> np.ndarray:
    """What has no weight, bool [head, query, key]: masked cells, and rows that hiding tokens has left empty (NaN)."""
    masked: np.ndarray = np.isnan(patterns)
    return masked if may_look is None else np.logical_or(masked, ~np.asarray(may_look, bool))
