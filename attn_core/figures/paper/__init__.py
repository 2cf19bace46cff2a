"""Canvas pictures and tables as light Plotly figures for a saved file: from the very packets that the screen draws.

`draw.drawn(packet, view)` finds the picture; `heads`, `matrix` and `lines_and_boxes` make them, `layout` has what all
share, `caption` writes what a picture is of below it, and `csv` reads a figure's numbers back as a table.
Imports the other packages of `figures`, and `text`. Start with `draw.py`.
"""
