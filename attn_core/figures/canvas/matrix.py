"""Matrices as coloured cells: vectors as strips, or a grid of query and key pairs. Packets for assets/canvas/cells.js.

Cells are float32, row by row, so every number on screen is exact. Masked ones are NaN or −∞: masked is not zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from attn_core.figures.canvas.packet import as_said, packet
from attn_core.figures.colour_bars import ColourBar, signed_bar, size_bar
from attn_core.figures.colours import Scale
from attn_core.text.numbers import in_cell, percent
from attn_core.text.pairs import Segments

Kind = Literal["signed", "weights", "positive"]


@dataclass(frozen=True)
class Side:
    """One side of a matrix: what its rows or columns are called, and the role that colours them.

    `name` stands in the sentence under the picture, "fluffy (key 2)"; `first` is the position of the first label, and
    `positions` are said instead where tokens are left out or merged.
    """

    labels: Sequence[str] = ()
    role: str = "embedding"
    name: str = ""
    special: Sequence[bool] = field(default=())
    first: int = 0
    slanted: bool = False
    positions: Sequence[int | str] | None = None

    def packed(self) -> dict[str, Any]:
        return {
            "texts": list(self.labels),
            "role": self.role,
            "name": self.name,
            "special": [i for i, dim in enumerate(self.special) if dim],
            "first": self.first,
            "positions": as_said(self.positions),
            "slanted": self.slanted,
        }


@dataclass(frozen=True)
class OpenedHead:
    """A matrix that is one head of those at a glance beside it: a click there is painted here at once, marked ≈.

    `layer_head` is whose numbers these are, None for a mean; `title` and `name` are what it is called above the
    picture and in a sentence, `title_of` the title of any other head, with {layer} and {head} in it. `explains` says
    how to read the picture, with {row} and {column} in it.
    """

    layer_head: tuple[int, int] | None
    title: str
    name: str
    title_of: str
    explains: str

    def packed(self) -> dict[str, Any]:
        own = {"of": None if self.layer_head is None else list(self.layer_head), "fits": True}
        return own | {"title": self.title, "name": self.name, "title_of": self.title_of, "explains": self.explains}


def pack_cells(
    numbers: np.ndarray,
    rows: Side,
    columns: Side,
    *,
    kind: Kind = "signed",
    says: str,
    alt: str,
    hint: str = "",
    chosen: tuple[int | None, int | None] = (None, None),
    limit: float | None = None,
    scale: Scale = "linear",
    square: bool = False,
    turned: bool = False,
    masked: str = "",
    says_masked: str = "{row} may not look at {column}: masked.",
    row_height: int = 18,
    largest: int = 46,
    tallest: int = 640,
    choose: bool = False,
    legend: bool = True,
    opened: OpenedHead | None = None,
    segments: Segments | None = None,
    joins: bool = False,
) -> bytes:
    """A matrix [row, column] as a packet for `cells`.

    `says` is the sentence that reads a cell, with {row}, {column} and {value} in it. Colours run to `limit`, by default
    the largest number there is: from −limit to limit (`signed`), or from 0; what lies beyond has the last colour, and
    the legend says so. Cells of a `square` grid are at most `largest` pixels wide. `masked` is written into masked
    cells, `turned` lets the rows run along the top, and with `choose` cells can be clicked. Without a `legend` the
    sentence stands alone. An `opened` head has a title, is drawn as small as lets all of it fit, and can be zoomed;
    its sentences may have {head} in them. Of a pair's `segments` a line stands between the two, across and down, and
    under the picture its four quadrants with their shares of attention. With `joins` several rows can be marked, to be
    read as one. Raises ValueError where labels and numbers do
    not fit.
    """
    for side, size, what in ((rows, numbers.shape[0], "rows"), (columns, numbers.shape[1], "columns")):
        if side.labels and len(side.labels) != size:
            raise ValueError(f"{len(side.labels)} labels for {size} {what}")
    finite = np.abs(numbers[np.isfinite(numbers)])
    largest_number = float(finite.max(initial=0.0))
    top = largest_number if limit is None or not np.isfinite(limit) else float(limit)
    header = {
        "picture": "cells",
        "shape": list(numbers.shape),
        "rows": rows.packed(),
        "columns": columns.packed(),
        "kind": kind,
        "says": says,
        "says_masked": says_masked,
        "alt": alt if segments is None or segments.shares is None else f"{alt.rstrip('.')}. {segments.spoken}.",
        "hint": hint,
        "chosen": [-1 if i is None else int(i) for i in chosen],
        "limit": top,
        "bar": _bar(
            kind, top, beyond=bool((finite > top).any()), below=bool((numbers[np.isfinite(numbers)] < 0).any())
        ).packed(),
        "scale": scale,
        "square": square,
        "turned": turned,
        "masked": masked,
        "row_height": row_height,
        "largest": largest,
        "tallest": tallest,
        "choose": choose,
        "legend": legend,
        "segments": None if segments is None else segments.packed(),
        "joins": joins,
    } | ({} if opened is None else opened.packed())
    return packet(header, np.ascontiguousarray(numbers, dtype="<f4").tobytes())


def _bar(kind: Kind, top: float, *, beyond: bool, below: bool) -> ColourBar:
    """The ends of the colours; where numbers lie `beyond` them, or `below` 0 on a scale from 0, the words say so."""

    def say(number: float) -> str:
        text = percent(number) if kind == "weights" else in_cell(number)
        return f"{'≤' if number < 0 else '≥'} {text}" if beyond else text

    if kind == "signed":
        return signed_bar("value", top, say)
    bar = size_bar("weight" if kind == "weights" else "value", top, say)
    if kind != "weights":
        return bar
    return replace(bar, ticks=((0.0, f"≤ {percent(0)}" if below else percent(0)), *bar.ticks[1:]))
