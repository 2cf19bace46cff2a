"""Charts: functions of arrays and labels, each for one kind of picture, in the theme that is asked for.

They give a `ChartSpec`, which pages send as it is; `figure()` makes a real Plotly figure of it, for notebooks and
files. Numbers stay exact in the figure; colours, never numbers, follow a scale. Imports `figures.colours`,
`figures.colour_bars`, `figures.labels`, `text` and `residual.geometry`. Start with `spec.py`, then `heatmap.py`.
"""
