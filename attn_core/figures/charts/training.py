"""What a model could do after each kept step of its training, as lines; one step and the change marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from attn_core.figures.charts.arrows import DASHES
from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import CATEGORIES, Theme, roles
from attn_core.figures.labels import phrase

TOP, BELOW = 26, 76  # pixels above the lines, for the mark; and below them, for the slanting steps and the axis's title
ONE_ROW = 40  # letters of a legend that has one row even on a phone


def training_lines(
    steps: Sequence[int],
    lines: Mapping[str, Sequence[float] | np.ndarray],
    *,
    at: int,
    change: tuple[int, int],
    marked: str,
    up: str,
    theme: Theme,
    share: bool = True,
    height: int = 300,
) -> ChartSpec:
    """Numbers after each step; `at` and `change` are places in `steps`. `share`: the axis goes from 0 to 1.

    Steps stand evenly, as they were chosen, so that the change has room; the axis names each.
    """
    colour, places = roles(theme), list(range(len(steps)))
    names = [f"{step:,}" for step in steps]
    chart = ChartSpec(theme, height=height)
    for i, (name, values) in enumerate(lines.items()):
        chart.add(
            "scatter",
            x=places,
            y=[float(value) for value in values],
            name=phrase(name),
            mode="lines+markers",
            line={"color": CATEGORIES[theme][(i + 3) % 8], "width": 2.2, "dash": DASHES[i % len(DASHES)]},
            marker={"size": [11 if place == at else 5 for place in places]},
            customdata=names,
            hovertemplate=f"after %{{customdata}} steps<br>{phrase(name)}: <b>%{{y:.2f}}</b><extra></extra>",
        )
    chart.add_vertical(at, {"color": colour["soft"], "width": 1, "dash": "dot"})
    chart.add_band(change, colour["accent"])
    chart.add_annotation(
        x=sum(change) / 2, y=1, yref="paper", yanchor="bottom", text=phrase(marked), showarrow=False,
        font={"color": colour["accent"], "size": 12},
    )  # fmt: skip
    rows = 0 if len(lines) == 1 else len(lines) if sum(map(len, lines)) > ONE_ROW else 1  # of the legend, at most
    bottom = BELOW + 20 * rows
    grid = {"gridcolor": colour["line"], "zeroline": False, "automargin": True, "fixedrange": True}
    up_axis = {"title": {"text": phrase(up), "standoff": 10}, **({"range": [-0.03, 1.05]} if share else {}), **grid}
    across = {"tickvals": places, "ticktext": names, "range": [-0.4, places[-1] + 0.4], "tickangle": -45}
    chart.lay_out(
        xaxis={**across, "title": {"text": phrase("steps of training")}, **grid, "automargin": False},
        yaxis=up_axis,
        margin={"l": 4, "r": 8, "t": TOP, "b": bottom},
        legend={
            "orientation": "h",
            "y": -BELOW / (height - TOP - bottom),
            "yanchor": "top",
            "x": 0,
            "traceorder": "normal",
        },
        showlegend=len(lines) > 1,
    )
    return chart
