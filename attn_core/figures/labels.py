"""Words on a picture: tokens as text that no renderer interprets, weights as people say them."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from attn_core.spelling import visible

MINUS = "\N{MINUS SIGN}"


def escape(label: str) -> str:
    """A token for Plotly, which reads a few HTML tags, entities and `$…$`: shown as it is, never interpreted.

    >>> escape("<b>$x$"), escape("")
    ('&lt;b&gt;&#36;x&#36;', '∅')
    """
    return html.escape(visible(label), quote=False).replace("$", "&#36;")


def place(label: str, position: int, role: str) -> str:
    """A token with its position, so that two equal tokens stay two: escaped, for Plotly.

    >>> place("fluffy", 2, "key")
    'fluffy (key 2)'
    """
    return f"{escape(label)} ({role} {position})"


def places(labels: Sequence[str], positions: Sequence[int] | None, role: str) -> list[str]:
    """`place` of every token; positions count from 0 unless given. All different, as Plotly's categories must be."""
    counted = range(len(labels)) if positions is None else positions
    return [place(label, position, role) for label, position in zip(labels, counted, strict=True)]


def percent(weight: float) -> str:
    """A weight as people say it: two digits, more only where 100 % would be untrue.

    >>> [percent(w) for w in (0.1934, 0.0534, 0.00421, 0.9995, 1.0, 0.00001, 0.0)]
    ['19 %', '5.3 %', '0.42 %', '99.95 %', '100 %', '< 0.01 %', '0 %']
    """
    if weight <= 0:
        return "0 %"
    hundredths = round(weight * 10_000)
    if hundredths == 0:
        return "< 0.01 %"
    if hundredths < 995:
        return f"{hundredths / 100:.2g} %"
    if 9_950 <= hundredths < 10_000:
        return f"{hundredths / 100:.2f} %"
    return f"{hundredths / 100:.0f} %"


def percents(weights: np.ndarray) -> list[list[str]]:
    """`percent` of every cell of [query, key], by a table: a matrix of 512 × 512 takes milliseconds."""
    table = np.array([percent(h / 10_000) for h in range(10_001)], dtype=object)
    filled = np.nan_to_num(weights, nan=0.0)
    words = table[np.clip(np.rint(filled * 10_000), 0, 10_000).astype(int)]
    words[(filled > 0) & (filled < 0.00005)] = "< 0.01 %"
    return words.tolist()


def signed(number: float) -> str:
    """A signed number with a true minus sign and three digits.

    >>> signed(-0.12345), signed(2.0)
    ('−0.123', '+2')
    """
    return f"{number:+.3g}".replace("-", MINUS) if number else "0"


def ticks(labels: Sequence[str], most: int = 20) -> tuple[list[int], list[str]]:
    """At most `most` evenly spread positions with their escaped labels: labels are what makes Plotly slow."""
    step = -(-len(labels) // most)
    at = list(range(0, len(labels), step))
    return at, [shorten(labels[i]) for i in at]


def shorten(label: str, longest: int = 14) -> str:
    """A label that is too long for an axis, cut where everybody sees it; escaped, for Plotly."""
    shown = visible(label)
    return escape(shown if len(shown) <= longest else shown[: longest - 1] + "…")
