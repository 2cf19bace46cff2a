"""Packets for the pictures that the browser draws on a canvas: one header and its cells, as bytes.

Each module has a drawing in assets/canvas/: heads (overview.js), links, matrix (cells.js), panels, boxes. All that
screen and saved picture share is in the header: labels, letters, colours, the colour bar, sentences with slots.
Imports `figures.colours`, `figures.colour_bars` and `text`. Start with `packet.py`, then `heads.py`.
"""
