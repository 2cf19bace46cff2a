"""A chart that `st.plotly_chart` takes without building it again: it asks a `BaseFigure` for its dictionary only."""

from __future__ import annotations

from typing import Any

from plotly.basedatatypes import BaseFigure

from attn_core.figures.charts.spec import ChartSpec


class Unvalidated(BaseFigure):  # type: ignore[misc]
    """A figure to those who ask for its dictionary, and nothing else."""

    def __init__(self, chart: ChartSpec) -> None:
        self._chart = chart

    def to_dict(self) -> dict[str, Any]:
        return self._chart.to_dict()
