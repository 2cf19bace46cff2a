"""The picture of a comparison: all panels on one scale and the same axes, and the difference of two of them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attn_core.figures.canvas import panels as canvas_panels
from attn_core.text.pairs import Segments
from ui import words
from ui.compare_heads.panels import PanelSet
from ui.drawing import canvas

WORDS = words.beside(__file__)
LONGEST = 44  # characters of a sentence under a panel


def picture(panels: PanelSet) -> None:
    """All panels, and the difference of the chosen pair; a click chooses the word that is read below."""
    drawn = [*(_panel(panels, i) for i in range(len(panels.panels))), _difference(panels)]
    positions = [panels.position(0, place) for place in range(len(panels.axes[0][0]))]

    def chosen(cell: canvas.ChosenCell) -> None:
        st.session_state["query"] = positions[cell.query]

    canvas.panels(
        canvas_panels.pack_panels(drawn),
        key="side_by_side",
        picture=WORDS.text("panels.picture"),
        says=WORDS.text("panels.caption", difference=drawn[-1].title),
        query=panels.place,
        scale=st.session_state["scale"],
        on_choose=chosen,
    )


def _panel(panels: PanelSet, i: int) -> canvas_panels.Panel:
    panel = panels.panels[i]
    queries, keys = panels.labels(i)
    said = " + ".join(f"“{_short(text)}”" for text in (panel.spec.text, panel.spec.second) if text)
    cells = np.where(panels.may_look(i), panels.cells[i], np.nan)
    at = panels.second(i)
    return canvas_panels.Panel(
        title=f"{panel.letter} · {panel.spec.says}",
        says=panel.spec.says,
        note=f"{panel.model} · {said}",
        cells=cells,
        query_labels=queries,
        key_labels=keys,
        query_special=panels.special(i, 0),
        key_special=panels.special(i, 1),
        segments=None if at is None else Segments(at, at) if panels.by_words else Segments.of(cells, at, at),
    )


def _difference(panels: PanelSet) -> canvas_panels.Panel:
    x, y = panels.pair
    queries, keys = panels.pair_labels()
    in_both = np.outer([name is not None for name in queries], [name is not None for name in keys])
    may_look = in_both & (panels.may_look(x) | panels.may_look(y))  # [place, place]
    first, second = (panel.letter for panel in panels.paired)
    at = panels.second(x)
    return canvas_panels.Panel(
        title=f"{first} − {second}",
        says=WORDS.text("panels.difference"),
        note=WORDS.text("panels.difference_note", first=first, second=second),
        cells=np.where(may_look, panels.apart, np.nan),
        query_labels=queries,
        key_labels=keys,
        signed=True,
        segments=None if at is None or at != panels.second(y) else Segments(at, at),
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST].rstrip() + "…"
