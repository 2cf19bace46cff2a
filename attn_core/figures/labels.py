"""Words on a picture: tokens as text that no renderer interprets, weights as people say them."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from attn_core.text.decoding import visible

MINUS = "\N{MINUS SIGN}"


def escape(label: str) -> str:
    """A token for Plotly, which reads a few HTML tags, entities and `$…$`: shown as it is, never interpreted.

    >>> escape("<b>$x$"), escape("")
    ('&lt;b&gt;&#36;x&#36;', '∅')
    """
    return html.escape(visible(label), quote=False).replace("$", "&#36;")


def phrase(text: str) -> str:
    """Several words for Plotly, shown as they are; the spaces between them stay spaces.

    >>> phrase("a <b>"), phrase("")
    ('a &lt;b&gt;', '')
    """
    return " ".join(escape(word) for word in text.split())


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
    if weight < 0.0001:
        return "< 0.01 %"
    if weight < 0.0995:
        return f"{100 * weight:.2g} %"
    return f"{100 * weight:.{2 if 0.995 <= weight < 0.99995 else 0}f} %"


def percents(weights: np.ndarray) -> np.ndarray:
    """`percent` of every cell of [query, key]; a masked cell (NaN) counts as 0. Gives str [query, key].

    Cells are first rounded as far as they will be read: few different numbers remain, and only those become words.
    """
    w = np.nan_to_num(weights.astype(np.float64), nan=0.0)
    top = (w >= 0.995) & (w < 0.99995)
    ranges = [w <= 0, w < 0.0001, w < 0.000995, w < 0.00995, w < 0.0995, top]
    read = np.select(ranges, [0 * w, 0 * w + 1e-9, w.round(5), w.round(4), w.round(3), w.round(4)], w.round(2))
    different, which = np.unique(read, return_inverse=True)
    words = np.array([percent(float(number)) for number in different], dtype=object)
    return words[which].reshape(w.shape)


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
