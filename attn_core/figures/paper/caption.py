"""A caption below a figure, broken into lines: the figure then says by itself what it shows."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attn_core.figures.labels import phrase

if TYPE_CHECKING:
    import plotly.graph_objects as go

LINE = 16  # pixels
LETTER = 6.1  # pixels of a letter at this size, on average
AXIS = 72  # pixels below the cells that a title and its numbers need, where Plotly would make room by itself
LONGEST = 160  # letters of a sentence


def caption(parts: Sequence[str], sentences: Sequence[str], switches: Mapping[str, str], version: str) -> str:
    """What a picture is of, in one line: its parts, the sentences (cut where they are long), the switches, the version.

    >>> caption(["minilm", "head 0.3"], ["one mole"], {"scale": "linear"}, "0.1.0")
    'minilm · head 0.3 · “one mole” · scale: linear · Headlight 0.1.0'
    """
    quoted = [f"“{textwrap.shorten(sentence, LONGEST, placeholder=' …')}”" for sentence in sentences]
    set_ = [f"{name}: {value}" for name, value in switches.items()]
    return " · ".join([*filter(None, parts), *quoted, *set_, f"Headlight {version}"])


def with_caption(figure: go.Figure, caption: str, width: int) -> go.Figure:
    """The same figure, made taller by its caption; tokens in it are text, never markup."""
    lines = textwrap.wrap(caption, int((width - 30) / LETTER), break_on_hyphens=False) or [""]
    below = LINE * len(lines) + 14
    automatic = any(axis.automargin for axis in figure.select_xaxes())
    inside = max(figure.layout.margin.b or 0, AXIS if automatic else 0)
    height = round((figure.layout.height or 450) + below + inside - (figure.layout.margin.b or 0))
    figure.update_xaxes(automargin=False)
    figure.update_layout(
        height=height,
        margin={"b": inside + below},
        title={
            "text": "<br>".join(map(phrase, lines)),
            "font": {"size": 12},
            "xref": "container",
            "yref": "container",
            "x": 15 / width,
            "xanchor": "left",
            "y": (below - 8) / height,
            "yanchor": "top",
        },
    )
    return figure
