"""Arrows at their true lengths and their true angle: vectors that add up lie in one plane, so nothing is lost.

Numbers in, HTML out (bars that are turned); colours come from the page's stylesheet, by role.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from attn_core.tolerances import SMALLEST

WIDTH, HEIGHT, EDGE = 320.0, 170.0, 30.0  # CSS pixels
Point = tuple[float, float]


@dataclass(frozen=True)
class Arrow:
    """An arrow of some length, `degrees` up from the horizontal, starting where an earlier arrow ended (or at 0).

    Its name stands `where` its middle is: "above", "below" or "beside" it.
    """

    length: float
    degrees: float
    role: str
    name: str
    where: str = "above"
    start: int | None = None


def arrows(drawn: Sequence[Arrow], alt: str) -> Markup:
    """Arrows in one plane, to scale, as HTML; `alt` says what they show."""
    starts, ends = points(drawn)
    xs, ys = [x for x, _ in (*starts, *ends)], [y for _, y in (*starts, *ends)]
    across, up = max(xs) - min(xs), max(ys) - min(ys)
    unit = min((WIDTH - 2 * EDGE) / max(across, SMALLEST), (HEIGHT - 2 * EDGE) / max(up, SMALLEST))
    left, top = (WIDTH - across * unit) / 2, (HEIGHT - up * unit) / 2

    def place(point: Point) -> Point:
        return left + (point[0] - min(xs)) * unit, top + (max(ys) - point[1]) * unit

    lines = Markup("").join(
        _line(place(start), arrow.length * unit, arrow) + _name(place(start), place(end), arrow)
        for start, end, arrow in zip(starts, ends, drawn, strict=True)
    )
    return Markup('<div class="hl-arrows" role="img" aria-label="{}">{}</div>').format(alt, lines)


def points(drawn: Sequence[Arrow]) -> tuple[list[Point], list[Point]]:
    """Where every arrow starts and ends, in the unit of their lengths."""
    starts: list[Point] = []
    ends: list[Point] = []
    for arrow in drawn:
        x, y = (0.0, 0.0) if arrow.start is None else ends[arrow.start]
        turn = math.radians(arrow.degrees)
        starts.append((x, y))
        ends.append((x + arrow.length * math.cos(turn), y + arrow.length * math.sin(turn)))
    return starts, ends


def _line(start: Point, pixels: float, arrow: Arrow) -> Markup:
    """A thin bar from its start, turned about it; the stylesheet gives it a head. One that is too short is a dot."""
    kind = "" if pixels >= 9 else " dot"
    where = f"left:{start[0]:.1f}px;top:{start[1]:.1f}px;width:{max(pixels, 3):.1f}px"
    turned = Markup('<i class="{}{}" style="{};transform:rotate({:.2f}deg)"></i>')
    return turned.format(arrow.role, kind, where, -arrow.degrees)


def _name(start: Point, end: Point, arrow: Arrow) -> Markup:
    middle = f"left:{(start[0] + end[0]) / 2:.1f}px;top:{(start[1] + end[1]) / 2:.1f}px"
    return Markup('<b class="{} {}" style="{}">{}</b>').format(arrow.role, arrow.where, middle, arrow.name)
