"""A caption below a figure, broken into lines: the figure then says by itself what it shows."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from attn_core.figures.labels import escape

if TYPE_CHECKING:
    import plotly.graph_objects as go

LINE = 16  # pixels
LETTER = 6.1  # pixels of a letter at this size, on average


def with_caption(figure: go.Figure, caption: str, width: int) -> go.Figure:
    """The same figure, made taller by its caption; tokens in it are text, never markup."""
    margin, lines = figure.layout.margin, textwrap.wrap(caption, int((width - 30) / LETTER)) or [""]
    below = LINE * len(lines) + 14
    figure.update_layout(height=figure.layout.height + below, margin={"b": margin.b + below})
    figure.add_annotation(
        text="<br>".join(escape(line).replace("␠", " ") for line in lines),
        xref="paper",
        yref="paper",
        x=0,
        xanchor="left",
        xshift=15 - margin.l,
        y=0,
        yanchor="top",
        yshift=-margin.b + below - 4,
        align="left",
        showarrow=False,
        font={"size": 12},
    )
    return figure
