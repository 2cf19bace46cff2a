"""The pair's comparison for all heads at once, drawn: the map, the list, and every head against every head."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.figures.canvas.heads import pack_values
from attn_core.figures.charts.distances import distances as distance_figure
from attn_core.heads import compare
from ui import words
from ui.compare_heads import differences, params, specs
from ui.compare_heads.differences import HeadDistances
from ui.compare_heads.panels import PanelSet
from ui.drawing import canvas, gallery, widgets
from ui.drawing.events import chosen_row
from ui.server import shared
from ui.server.cache import frozen

if TYPE_CHECKING:
    from attn_core.heads.measures import Floats
    from attn_core.traces.trace import Trace

WORDS = words.beside(__file__)
SLOW = 2.0  # seconds; what takes longer is asked for first


def of(panels: PanelSet) -> HeadDistances | None:
    """Compare the pair in all heads; None where the sentences share no word."""
    if not len(panels.rows):
        return None
    x, _ = panels.paired
    values = shared.memoize(x.viewed.trace, _distances, replace(panels, query=None))  # whichever word is chosen
    return HeadDistances(values, differences.shows_change(panels), differences.the_very_head(panels))


def _distances(first: Trace, panels: PanelSet) -> Floats:
    return differences.distances(panels)


def map_of_heads(panels: PanelSet, found: HeadDistances) -> None:
    """Layers × heads; a click sets the panels."""
    x, y = panels.paired
    if found.changed:
        title = WORDS.text("all_heads.changed.title", first=x.letter, second=y.letter)
        hint, name = WORDS.html("all_heads.changed.hint"), WORDS.text("all_heads.changed.name")
        values = found.values
    else:
        title = WORDS.text("all_heads.like.title", first=x.letter, who=x.spec.says)
        hint, name = WORDS.html("all_heads.like.hint", second=y.letter), WORDS.text("all_heads.like.name")
        values = 1 - found.values  # deep is what one looks for
    widgets.heading(title, hint)
    which = _panels_set(panels, found)
    canvas.overview(
        pack_values(values, [[f"{v:.2f}" for v in row] for row in values], name=name),
        key="all_heads",
        picture=WORDS.text("all_heads.picture"),
        says=WORDS.text("all_heads.caption", title=title, name=name),
        selected=(y.layer, y.spec.head),
        on_open=lambda tile: show_head(which, tile.layer, tile.head),
    )


def _panels_set(panels: PanelSet, found: HeadDistances) -> tuple[int, ...]:
    """The panels that a click sets: both of the pair, or only the second."""
    return panels.pair if found.changed else panels.pair[1:]


def show_head(which: tuple[int, ...], layer: int, head: int) -> None:
    """Callback: these panels look at another head."""
    kept = {name: st.session_state[name] for name in (params.PAIR.name, "query")}
    params.edit(lambda panels: specs.with_head(panels, which, layer, head))
    st.session_state.update(kept)


def list_of_heads(panels: PanelSet, found: HeadDistances) -> None:
    """The ranking as rows; choosing one does what its square does."""
    ranked, which = found.ranked, _panels_set(panels, found)

    def opened() -> None:
        row = chosen_row(st.session_state["ranked_heads"], len(ranked))
        if row is not None:
            show_head(which, int(ranked.layer[row]), int(ranked["head"][row]))

    column = "distance" if found.changed else "nearness"
    table = pd.DataFrame({"head": [f"{r.layer}.{r.head}" for r in ranked.itertuples()]})
    table[column] = ranked.distance if found.changed else 1 - ranked.distance
    widgets.table(
        table,
        key="ranked_heads",
        hide_index=True,
        height=320,
        on_select=opened,
        selection_mode="single-row",
        column_config={column: st.column_config.ProgressColumn(column, format="%.3f", min_value=0, max_value=1)},
        alt=WORDS.text("all_heads.list_alt"),
    )


def everything_against_everything(panels: PanelSet) -> None:
    """All heads of one model against all of the other: at once where it is quick, else on request."""
    x, y = panels.paired
    n_x, n_y = len(x.names), len(y.names)
    seconds = compare.seconds_needed(n_x, n_y, len(panels.rows), len(panels.axes[0][1]))
    key = frozen(replace(panels, query=None))
    known = st.session_state.setdefault("matrices", {})
    with st.expander(WORDS.text("matrix.title", first=x.letter, second=y.letter), expanded=key in known):
        if seconds < SLOW:
            cost = WORDS.html("matrix.quick", first=n_x, second=n_y)
        else:
            cost = WORDS.html("matrix.slow", first=n_x, second=n_y, seconds=seconds)
        st.html(f'<div class="hl-hint">{cost}</div>')
        if key not in known and not st.button(WORDS.text("matrix.ask"), key="all_pairs"):
            return
        if key not in known:
            known.clear()  # one at a time: a matrix can be large
            known[key] = _matrix(panels)
        _draw_matrix(panels, known[key])


def _matrix(panels: PanelSet) -> Floats:
    bar = st.progress(0.0, text=WORDS.text("matrix.progress"))

    def progress(share: float) -> None:
        bar.progress(share, text=WORDS.text("matrix.progress"))

    first, second = (differences.every_head(panels, i) for i in panels.pair)
    found = compare.distance_matrix(first, second, progress=progress)
    bar.empty()
    return found


def _draw_matrix(panels: PanelSet, matrix: np.ndarray) -> None:
    x, y = panels.paired
    axes = [WORDS.text("matrix.axis", panel=panel.letter, model=escape(panel.model)) for panel in (x, y)]
    canvas.follow_theme()
    gallery.plot(
        WORDS.text("matrix.picture"),
        partial(distance_figure, matrix, x.names, y.names, axes=(axes[0], axes[1])),
        key="matrix",
        alt=WORDS.text("matrix.alt"),
        says=WORDS.text("matrix.caption", first=x.letter, second=y.letter),
    )
    nearest = differences.nearest(matrix, x.names, y.names, same_model=x.spec.model == y.spec.model)
    widgets.table(nearest, hide_index=True, height=282, alt=WORDS.text("matrix.nearest_alt"))
