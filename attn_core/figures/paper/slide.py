"""A figure as a slide: 16:9, the headline on top, the figure as it stands on screen, and what it is of below."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attn_core.figures.colours import roles
from attn_core.figures.labels import SERIF, phrase

if TYPE_CHECKING:
    import plotly.graph_objects as go

PIXELS = 1920  # across, in the file
SHAPE = 16 / 9
LEAST = 360  # pixels that a figure is high: a lower one is drawn higher, so that its letters do not become posters
LETTER, EDGE = 0.046, 0.05  # of the slide's height: a letter of the headline, the white around


def as_slide(figure: go.Figure, headline: str, below: str) -> go.Figure:
    """The same figure on a slide; `headline` and `below` are plain text and stay text.

    The figure keeps its size and its letters; the slide is made around it, so a small figure fills it as a large one
    does. `scale_of` says how much larger the file is. A figure without a width is as wide as it is high.
    """
    high = max(float(figure.layout.height or 450), LEAST)
    wide = float(figure.layout.width or high * 1.15)
    lines = textwrap.wrap(headline, int(SHAPE * (1 - 2 * EDGE) / (0.5 * LETTER)))
    above = 1.3 * LETTER * len(lines) + 1.9 * EDGE  # of the slide's height
    least = max(high / (1 - above - 1.2 * EDGE), wide / (1 - 2 * EDGE) / SHAPE)
    height = 9 * math.ceil(least / 9)  # 16:9 in whole pixels, so that the file has 1080 rows and not 1079
    width, letter, edge = height * SHAPE, LETTER * height, EDGE * height
    top, bottom = above * height, 1.2 * edge
    spare = max(0.0, height - top - bottom - high) / 2
    margin = {side: float(getattr(figure.layout.margin, side) or 0) for side in "lrtb"}
    sides = (width - wide) / 2
    figure.update_layout(
        width=round(width),
        height=round(height),
        paper_bgcolor="#ffffff",
        plot_bgcolor="#ffffff",
        margin={
            "l": margin["l"] + sides,
            "r": margin["r"] + sides,
            "t": margin["t"] + top + spare,
            "b": margin["b"] + bottom + spare,
        },
        title=_title(lines, letter, edge / width, 1 - (edge + 0.75 * letter) / height),  # y of the first line's foot
    )
    _write_below(figure, below, 0.4 * letter, 0.4 * edge - (margin["b"] + bottom + spare))
    return figure


def _write_below(figure: go.Figure, said: str, size: float, shift: float) -> None:
    """What a slide's figure is of, in small letters, `shift` pixels above the plot's lower edge."""
    figure.add_annotation(
        text=phrase(said),
        font={"size": size, "color": roles("light")["soft"]},
        xref="paper",
        yref="paper",
        x=0.5,
        y=0,
        yshift=shift,
        yanchor="bottom",
        showarrow=False,
    )


def _title(lines: Sequence[str], letter: float, x: float, y: float) -> dict[str, Any]:
    """The headline of a slide, its first line's foot at (x, y), in parts of the slide."""
    return {
        "text": "<br>".join(map(phrase, lines)),
        "font": {"size": letter, "family": SERIF, "color": roles("light")["ink"]},
        "xref": "container",
        "yref": "container",
        "x": x,
        "xanchor": "left",
        "y": y,
        "yanchor": "top",
    }


def with_headline(figure: go.Figure, headline: str, size: float = 17) -> go.Figure:
    """The same figure under its headline, made taller by it; plain text, in letters of `size` pixels."""
    margin, width = figure.layout.margin, float(figure.layout.width)
    lines = textwrap.wrap(headline, int((width - 30) / (0.5 * size)))
    above = round(1.3 * size * len(lines) + 18)
    top, left = float(margin.t if margin.t is not None else 100), float(margin.l if margin.l is not None else 80)
    title = figure.layout.title
    height = float(figure.layout.height)
    if title.y is not None:  # the caption stays where it is, above the lower edge
        figure.update_layout(title_y=title.y * height / (height + above))
    figure.update_layout(height=round(height + above), margin_t=top + above)
    figure.add_annotation(
        text="<br>".join(map(phrase, lines)),
        font={"size": size, "family": SERIF, "color": roles("light")["ink"]},
        align="left",
        xref="paper",
        yref="paper",
        x=0,
        y=1,
        xanchor="left",
        yanchor="top",
        xshift=15 - left,
        yshift=top + above - 8,
        showarrow=False,
    )
    return figure


def scale_of(slide: go.Figure) -> float:
    """How many pixels of the file one of the figure takes, so that every slide is 1920 pixels wide."""
    return PIXELS / float(slide.layout.width)
