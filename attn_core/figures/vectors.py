"""Arrows at their true lengths and their true angle: two vectors always lie in one plane, so nothing is lost.

Numbers in, SVG out; colours come from the page's stylesheet, by role.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Arrow:
    """An arrow of some length, `degrees` up from the horizontal, starting where an earlier arrow ended (or at 0)."""

    length: float
    degrees: float
    role: str
    name: str
    start: int | None = None


WIDTH, HEIGHT, EDGE = 320.0, 168.0, 26.0


def arrows(drawn: list[Arrow], alt: str) -> str:
    """Arrows in one plane as an SVG, to scale; names are plain text of ours, never what a visitor typed."""
    starts: list[tuple[float, float]] = []
    ends: list[tuple[float, float]] = []
    for arrow in drawn:
        x, y = (0.0, 0.0) if arrow.start is None else ends[arrow.start]
        turn = math.radians(arrow.degrees)
        starts.append((x, y))
        ends.append((x + arrow.length * math.cos(turn), y + arrow.length * math.sin(turn)))
    points = [*starts, *ends]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    unit = min((WIDTH - 2 * EDGE) / max(right - left, 1e-9), (HEIGHT - 2 * EDGE) / max(high - low, 1e-9))
    place = _placed(left, right, low, high, unit)
    lines = "".join(_line(place(*a), place(*b), arrow) for a, b, arrow in zip(starts, ends, drawn, strict=True))
    return f'<svg class="hl-arrows" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{alt}">{lines}</svg>'


def _placed(
    left: float, right: float, low: float, high: float, unit: float
) -> Callable[[float, float], tuple[float, float]]:
    def place(x: float, y: float) -> tuple[float, float]:
        across = WIDTH / 2 + (x - (left + right) / 2) * unit
        return across, HEIGHT / 2 - (y - (low + high) / 2) * unit

    return place


def _line(a: tuple[float, float], b: tuple[float, float], arrow: Arrow) -> str:
    """A line with a head; an arrow shorter than its head is a dot."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = math.hypot(dx, dy)
    if length < 1:
        return f'<circle class="{arrow.role}" cx="{b[0]:.1f}" cy="{b[1]:.1f}" r="3"/>'
    ux, uy = dx / length, dy / length
    tip = min(9.0, length)
    base = (b[0] - tip * ux, b[1] - tip * uy)
    corners = [
        b,
        (base[0] - 0.42 * tip * uy, base[1] + 0.42 * tip * ux),
        (base[0] + 0.42 * tip * uy, base[1] - 0.42 * tip * ux),
    ]
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return (
        f'<line class="{arrow.role}" x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{base[0]:.1f}" y2="{base[1]:.1f}"/>'
        f'<polygon class="{arrow.role}" points="{head}"/>{_name(b, arrow)}'
    )


def _name(tip: tuple[float, float], arrow: Arrow) -> str:
    """The arrow's name at its tip, kept inside the picture."""
    anchor, by = ("end", -4) if tip[0] > WIDTH * 0.62 else ("start", 4)
    place = f'x="{tip[0] + by:.1f}" y="{max(11.0, tip[1] - 8):.1f}" text-anchor="{anchor}"'
    return f'<text class="{arrow.role}" {place}>{arrow.name}</text>'
