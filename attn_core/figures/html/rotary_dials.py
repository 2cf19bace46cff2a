"""Rotary positions as clock hands: where a pair of numbers pointed, and where it points after the turn.

Arrays in, HTML out; colours come from the page's stylesheet.
"""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup


def clocks(points: np.ndarray, turns: np.ndarray, most: int = 10) -> Markup:
    """The first `most` pairs, points [pair, 2] before the turn and turns [pair] in radians, as small clock faces.

    Hands have one length: only their angles are meant.
    """
    faces = Markup("").join(_face(i, points[i], float(turns[i])) for i in range(min(most, len(points))))
    rest = Markup("<div>and {} more pairs</div>").format(len(points) - most) if len(points) > most else ""
    return Markup('<div class="hl-clocks">{}{}</div>').format(faces, rest)


def _face(pair: int, point: np.ndarray, turn: float) -> Markup:
    before = math.degrees(math.atan2(float(point[1]), float(point[0])))
    degrees = math.degrees(turn)
    alt = f"pair {pair} is turned by {degrees:.0f} degrees"
    hands = _hand("before", before) + _hand("after", before + degrees)
    return Markup('<div><span role="img" aria-label="{}">{}</span>{:.0f}°</div>').format(alt, hands, degrees)


def _hand(when: str, degrees: float) -> Markup:
    return Markup('<i class="{}" style="transform:rotate({:.1f}deg)"></i>').format(when, -degrees)
