"""Plotly figures: functions of arrays and labels, each for one kind of picture, in the theme that is asked for.

They are drawn on pages and in notebooks, and saved as they are. Numbers stay exact in the figure; colours, never
numbers, follow a scale. Imports `figures.colours`, `figures.colour_bars`, `figures.labels`, `text` and
`residual.geometry`. Start with `heatmap.py`.
"""
