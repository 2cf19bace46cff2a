"""Histograms under each other, as a Plotly figure for paper: the same silhouettes as on screen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from attn_core.figures.html.histograms import BINS, Spread, heights
from attn_core.figures.labels import escape, phrase
from attn_core.figures.paper.layout import COLOUR, finished


def histograms(labels: Sequence[str], columns: Sequence[Spread], head: str) -> go.Figure:
    """A row for each label, a silhouette for each column, as `figures.html.histograms` has it on screen."""
    figure, n = go.Figure(), len(columns)
    for c, column in enumerate(columns):
        name = "" if c == 0 else str(c + 1)
        middles = (np.arange(BINS) + 0.5) / BINS * 2 * column.limit - column.limit
        for i, numbers in enumerate(column.numbers):
            figure.add_scatter(
                x=np.concatenate([middles, middles[::-1]]),
                y=np.concatenate([i + 0.4 - 0.8 * heights(numbers, column.limit), np.full(BINS, i + 0.4)]),
                fill="toself",
                mode="lines",
                line={"width": 0.5, "color": COLOUR.get(column.role, COLOUR["soft"])},
                name=f"{head} {labels[i]}: {column.title} {column.texts[i]}",
                xaxis=f"x{name}",
                yaxis="y",
            )
            figure.add_annotation(
                x=column.limit, xref=f"x{name}", y=i, text=escape(column.texts[i]), showarrow=False, xanchor="right"
            )
        title = {"text": phrase(column.title), "font": {"size": 12}, "standoff": 4}
        domain = [(c + 0.04) / n, (c + 0.96) / n]
        reach = [-column.limit, column.limit]
        figure.update_layout({f"xaxis{name}": {"domain": domain, "anchor": "y", "range": reach, "title": title}})
    figure.update_yaxes(tickvals=list(range(len(labels))), ticktext=list(labels), range=[len(labels) - 0.5, -0.6])
    figure.update_layout(showlegend=False)
    return finished(figure, 44 * len(labels) + 70, bottom=50, top=10)
