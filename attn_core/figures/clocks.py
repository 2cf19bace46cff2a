"""Rotary positions as clock hands: where a pair of numbers pointed, and where it points after the turn.

Arrays in, SVG out; colours come from the page's stylesheet, by role.
"""

from __future__ import annotations

import math

import numpy as np


def clocks(points: np.ndarray, turns: np.ndarray, most: int = 10) -> str:
    """The first `most` pairs, points [pair, 2] before the turn and turns [pair] in radians, as small clock faces."""
    faces = "".join(_face(i, points[i], float(turns[i])) for i in range(min(most, len(points))))
    rest = f"<div>and {len(points) - most} more pairs</div>" if len(points) > most else ""
    return f'<div class="hl-clocks">{faces}{rest}</div>'


def _face(pair: int, point: np.ndarray, turn: float) -> str:
    """Every hand has the same length: only the angle is meant."""
    before = math.atan2(float(point[1]), float(point[0]))
    after = before + turn
    degrees = math.degrees(turn) % 360
    hands = _hand(before, "var(--hl-line)", 2.5) + _hand(after, "var(--hl-query)", 2.5)
    alt = f"pair {pair} is turned by {degrees:.0f} degrees"
    face = '<circle cx="20" cy="20" r="18" fill="none" stroke="var(--hl-line)"/>'
    return f'<div><svg viewBox="0 0 40 40" role="img" aria-label="{alt}">{face}{hands}</svg>{degrees:.0f}°</div>'


def _hand(angle: float, colour: str, width: float) -> str:
    x, y = 20 + 15 * math.cos(angle), 20 - 15 * math.sin(angle)
    return f'<line x1="20" y1="20" x2="{x:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="{width}"/>'
