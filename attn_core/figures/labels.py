"""Words on a picture: tokens as text that no renderer interprets, weights as people say them."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from attn_core.text.decoding import visible

# The faces of all Plotly figures, of headlines and of tokens; those called Headlight travel with a saved picture.
SANS = '"Source Sans", "Source Sans 3", "Headlight Sans", Inter, "Noto Sans", sans-serif'
SERIF = '"Source Serif 4", "Source Serif", "Headlight Serif", Charter, Georgia, serif'
MONO = '"Source Code Pro", "Headlight Code", "JetBrains Mono", "DejaVu Sans Mono", monospace'
_TAG = re.compile(r"<[^<>]*>")  # a "<" ends it too: else many of them, and no end, would be read once for each


def escape(label: str) -> str:
    """A token for Plotly, which reads a few HTML tags, entities and `$…$`: shown as it is, never interpreted.

    >>> escape("<b>$x$"), escape("")
    ('&lt;b&gt;&#36;x&#36;', '∅')
    """
    return html.escape(visible(label), quote=False).replace("$", "&#36;")


def unescaped(text: str) -> str:
    """What Plotly shows of a text, without its tags and entities.

    >>> unescaped("<b>a</b> &lt;b&gt;")
    'a <b>'
    """
    return html.unescape(_TAG.sub("", text))


def phrase(text: str) -> str:
    """Several words for Plotly, shown as they are; the spaces between them stay spaces.

    >>> phrase("a <b>"), phrase("")
    ('a &lt;b&gt;', '')
    """
    return " ".join(escape(word) for word in text.split())


def place(label: str, position: int | str, role: str) -> str:
    """A token with its position, so that two equal tokens stay two: escaped, for Plotly.

    >>> place("fluffy", 2, "key")
    'fluffy (key 2)'
    """
    return f"{escape(label)} ({role} {position})"


def places(labels: Sequence[str], positions: Sequence[int | str] | None, role: str) -> list[str]:
    """`place` of every token; positions count from 0 unless given. All different, as Plotly's categories must be."""
    counted = range(len(labels)) if positions is None else positions
    return [place(label, position, role) for label, position in zip(labels, counted, strict=True)]


def ticks(labels: Sequence[str], most: int = 20) -> tuple[list[int], list[str]]:
    """At most `most` evenly spread positions with their escaped labels: labels are what makes Plotly slow."""
    step = -(-len(labels) // most)
    at = list(range(0, len(labels), step))
    return at, [shorten(labels[i]) for i in at]


def shorten(label: str, longest: int = 14) -> str:
    """A label that is too long for an axis, cut where everybody sees it; escaped, for Plotly."""
    shown = visible(label)
    return escape(shown if len(shown) <= longest else shown[: longest - 1] + "…")
