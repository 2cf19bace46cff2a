"""Why the value matrix is two thin ones: drawn to scale, and the cliff in a real head's singular values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attn_core.figures import colours
from attn_core.figures.charts.parameters import quiet_chart
from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import Theme, mixed


def thin_matrices(d_model: int, d_head: int, *, theme: Theme) -> ChartSpec:
    """The full value matrix, and beside it the two thin ones, all on one scale: an area is a number of numbers."""
    role, d, k = colours.roles(theme), float(d_model), float(d_head)
    up = 1.3 * d
    down = up + k + 0.14 * d
    chart = quiet_chart(theme, 270)
    grey, numbers = mixed(role["soft"], role["card"], 0.2), f"{d_model * d_head:,}"
    _box(chart, (0, 0, d, d), grey, role["soft"], f"a full matrix: {d_model:,} × {d_model:,}")
    _box(chart, (up, 0, k, d), role["delta"], role["delta"], f"output (value up): {d_model:,} × {d_head:,}")
    _box(chart, (down, d - k, d, k), role["value"], role["value"], f"value (down): {d_head:,} × {d_model:,}")
    words = [
        (d / 2, d / 2, "center", f"one full matrix<br><b>{d_model**2:,}</b>", role["ink"]),
        (1.15 * d, d / 2, "center", "or", role["soft"]),
        (up, -0.02 * d, "left", f"value up<br><b>{numbers}</b>", role["delta"]),
        (down, d - k - 0.02 * d, "left", f"value down<br><b>{numbers}</b>", role["value"]),
    ]
    for x, y, side, text, colour in words:
        align = {"xanchor": side, "align": side, "yanchor": "middle" if side == "center" else "top"}
        chart.add_annotation(x=x, y=y, text=text, showarrow=False, font={"color": colour, "size": 13}, **align)
    hidden = {"visible": False, "fixedrange": True}
    chart.lay_out(
        margin={"t": 6, "l": 0, "r": 0, "b": 6},
        xaxis={**hidden, "range": [-0.01 * d, down + 1.01 * d]},
        yaxis={**hidden, "range": [-0.26 * d, 1.01 * d], "scaleanchor": "x"},
        showlegend=False,
    )
    return chart


def _box(chart: ChartSpec, place: tuple[float, float, float, float], fill: str, line: str, said: str) -> None:
    """A rectangle (left, bottom, width, height) that can be hovered: its outline as a filled line."""
    x, y, width, height = place
    chart.add(
        "scatter",
        x=[x, x + width, x + width, x, x],
        y=[y, y, y + height, y + height, y],
        fill="toself",
        fillcolor=fill,
        line={"color": line, "width": 1},
        mode="lines",
        hoveron="fills",
        text=said,
        hoverinfo="text",
    )


def singular_values(values: NDArray[np.floating], d_head: int, floor: float, *, theme: Theme) -> ChartSpec:
    """The strengths of a head's directions, largest first, on a logarithmic axis: a cliff after d_head of them.

    `floor` is what float64 arithmetic itself leaves behind; values of exactly 0 are drawn at the bottom of the axis.
    """
    role, bottom = colours.roles(theme), floor * 1e-4
    real = np.arange(1, len(values) + 1) <= d_head
    chart = quiet_chart(theme, 280)
    for mask, colour in ((real, role["value"]), (~real, role["soft"])):
        chart.add(
            "scatter",
            x=np.flatnonzero(mask) + 1,
            y=np.maximum(values[mask], bottom),
            mode="markers",
            marker={"color": colour, "size": 4.5},
            customdata=[f"{value:.3g}" for value in values[mask]],
            hovertemplate="direction %{x}: strength <b>%{customdata}</b><extra></extra>",
        )
    top = float(np.log10(values[0]))
    _add_limits(chart, d_head, floor, top, role["soft"])
    powers = range(int(np.ceil(top)), int(np.floor(np.log10(bottom))), -4)
    chart.lay_out(
        margin={"t": 8, "l": 62, "r": 8, "b": 46},
        showlegend=False,
        xaxis={
            "title": {"text": "direction, strongest first", "standoff": 4},
            "range": [-0.02 * len(values), 1.02 * len(values)],
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={
            "title": {"text": "singular value", "standoff": 6},
            "type": "log",
            "gridcolor": role["line"],
            "tickvals": [10.0**power for power in powers],
            "ticktext": [f"10<sup>{power}</sup>" for power in powers],
        },
    )
    return chart


FLOOR = "below this line: rounding of float64, not the head"


def _add_limits(chart: ChartSpec, d_head: int, floor: float, top: float, colour: str) -> None:
    """Where the head's directions end, and where rounding begins; `top` is the power of ten of the largest value."""
    line = {"color": colour, "width": 1, "dash": "dot"}
    chart.add_vertical(d_head + 0.5, line)
    chart.add_horizontal(floor, line)
    quiet = {"showarrow": False, "font": {"color": colour, "size": 12}}
    at = float(np.log10(floor))
    chart.add_annotation(x=1, xref="x domain", y=at, yanchor="bottom", xanchor="right", text=FLOOR, **quiet)
    chart.add_annotation(x=d_head + 0.5, y=top, xanchor="left", xshift=6, text=f"d_head = {d_head}", **quiet)
