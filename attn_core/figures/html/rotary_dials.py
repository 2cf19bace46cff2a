"""Rotary positions as clock hands: where a pair of numbers pointed, and where it points after the turn.

Arrays in, HTML out; colours come from the page's stylesheet.
"""

from __future__ import annotations

import math

import numpy as np


def clocks(points: np.ndarray, turns: np.ndarray, most: int = 10) -> str:
    """The first `most` pairs, points [pair, 2] before the turn and turns [pair] in radians, as small clock faces.

    Hands have one length: only their angles are meant.
    """
    faces = "".join(_face(i, points[i], float(turns[i])) for i in range(min(most, len(points))))
    rest = f"<div>and {len(points) - most} more pairs</div>" if len(points) > most else ""
    return f'<div class="hl-clocks">{faces}{rest}</div>'


def _face(pair: int, point: np.ndarray, turn: float) -> str:
    before = math.degrees(math.atan2(float(point[1]), float(point[0])))
    degrees = math.degrees(turn)
    alt = f"pair {pair} is turned by {degrees:.0f} degrees"
    hands = f"{_hand('before', before)}{_hand('after', before + degrees)}"
    return f'<div><span role="img" aria-label="{alt}">{hands}</span>{degrees:.0f}°</div>'


def _hand(when: str, degrees: float) -> str:
    return f'<i class="{when}" style="transform:rotate({-degrees:.1f}deg)"></i>'
