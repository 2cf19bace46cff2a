"""The picture of a comparison: all panels on one scale and the same axes, and the difference of two of them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attn_core.figures.canvas.panels import Panel, pack_panels
from ui.compare_heads.panels import Sides
from ui.drawing import panels


def picture(shown: Sides) -> None:
    """All panels, and the difference of the chosen pair; a click chooses the word that is read below."""
    drawn = [*(_panel(shown, i) for i in range(len(shown.sides))), _difference(shown)]

    def chosen(cell: panels.Chosen) -> None:
        st.session_state["query"] = shown.position(0, cell.query)

    scale = st.session_state["scale"]
    panels.panels(
        pack_panels(drawn),
        key="side_by_side",
        picture="Side by side, and the difference",
        says=f"Panels on one scale and the same axes, {drawn[-1].title}",
        query=shown.place,
        scale=scale,
        on_choose=chosen,
    )


def _panel(shown: Sides, i: int) -> Panel:
    side = shown.sides[i]
    queries, keys = shown.labels(i)
    return Panel(
        title=f"{side.letter} · {side.spec.says}",
        says=side.spec.says,
        note=f"{side.model} · “{_short(side.spec.text)}”",
        cells=np.where(shown.may_look(i), shown.cells[i], np.nan),
        query_labels=queries,
        key_labels=keys,
        query_special=_special(shown, i, 0),
        key_special=_special(shown, i, 1),
    )


def _special(shown: Sides, i: int, axis: int) -> list[bool]:
    """Which places of a panel hold special tokens; between whole words there are none."""
    viewed = shown.sides[i].viewed
    special = (viewed.queries, viewed.keys)[axis].special
    return [p is not None and not shown.by_words and special[p] for p in shown.axes[i][axis]]


def _difference(shown: Sides) -> Panel:
    x, y = shown.pair
    queries, keys = (
        [both(a, b) for a, b in zip(of_x, of_y, strict=True)]
        for of_x, of_y in zip(shown.labels(x), shown.labels(y), strict=True)
    )
    in_both = np.outer([name is not None for name in queries], [name is not None for name in keys])
    seen = in_both & (shown.may_look(x) | shown.may_look(y))
    first, second = shown.sides[x].letter, shown.sides[y].letter
    return Panel(
        title=f"{first} − {second}",
        says="the difference",
        note=f"orange: {first} looks more; blue: {second} looks more",
        cells=np.where(seen, shown.cells[x] - shown.cells[y], np.nan),
        query_labels=queries,
        key_labels=keys,
        signed=True,
    )


def both(a: str | None, b: str | None) -> str | None:
    """What two panels call one place, "are/is"; None where one of them has no such word."""
    if a is None or b is None:
        return None
    return a if a.lower() == b.lower() else f"{a}/{b}"


def _short(text: str, longest: int = 44) -> str:
    return text if len(text) <= longest else text[:longest].rstrip() + "…"
