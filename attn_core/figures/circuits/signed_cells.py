"""A matrix of shares with both signs: one scale of two colours, and each number in ink that is read on its cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import Theme, diverging, ink_on, shade


def add_cells(chart: ChartSpec, matrix: NDArray[np.floating], limit: float, *, theme: Theme, **named: Any) -> None:
    """Cells [row, column] from −`limit` to `limit`; `named` is what else Plotly's heatmap is given."""
    n_rows, n_columns = matrix.shape
    chart.add(
        "heatmap",
        z=matrix,
        x=list(range(n_columns)),
        y=list(range(n_rows)),
        zmin=-limit,
        zmax=limit,
        colorscale=diverging(theme),
        showscale=False,
        **named,
    )


def write_numbers(
    chart: ChartSpec,
    matrix: NDArray[np.floating],
    limit: float,
    said: Callable[[float], str],
    *,
    size: float,
    theme: Theme,
) -> None:
    """Each number in its cell, as `said` puts it; a cell without one stays empty."""
    steps = [colour for _, colour in diverging(theme)]
    for (row, column), number in np.ndenumerate(matrix):
        if np.isfinite(number):
            font = {"size": size, "color": ink_on(shade(steps, 0.5 + 0.5 * float(number) / limit))}
            text = said(float(number))
            chart.add_annotation(x=column, y=row, text=text, showarrow=False, font=font)
