"""The cards of kinds: the map, any two measures as a scatter, the numbers, and what each name means."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from attn_core.figures.charts.scatter import scatter
from attn_core.heads.kinds import COLUMNS, classify_heads, passes
from attn_core.views.snippets import heads as snippets
from ui import words
from ui.drawing import canvas, controls, gallery, widgets
from ui.drawing.events import chosen_points
from ui.find_heads import kinds
from ui.param import choice
from ui.server import shared
from ui.server.passes import run_uncached
from ui.shell.folds import fold
from ui.shell.menu import go
from ui.stream import StreamView
from ui.stream_links import card_link, open_head, score_link

if TYPE_CHECKING:
    from attn_core import Model
    from attn_core.traces.trace import Trace
    from ui.server.handles import ModelHandle

WORDS = words.beside(__file__)
AXIS_WORDS = {name: column.axis for name, column in COLUMNS.items()}
ACROSS = choice("x", AXIS_WORDS, "distance", label="Across")
UP = choice("y", AXIS_WORDS, "entropy", label="Up")
PARAMS = [ACROSS, UP]
SLOW = 2.0  # seconds; what takes longer is announced


def draw(viewed: StreamView) -> str:
    """All three cards; gives the headline, as HTML."""
    with st.container(gap=None):
        table = _classified(viewed)
    left, right = st.columns([54, 46], gap="medium")
    hint = words.together(WORDS.html("kinds.hint"), kinds.cost(table))
    with left, widgets.card("kinds", WORDS.html("kinds.card"), hint):
        _map(viewed, table)
        with st.container(horizontal=True, gap="small", key="page_links"):
            go("all_heads", WORDS.text("kinds.open", head=viewed.name), layer=viewed.layer, head=viewed.head)
            score_link(viewed, viewed.layer, viewed.head, WORDS.text("kinds.why"))
            card_link(viewed, viewed.layer, viewed.head)
        _definitions()
    with right, widgets.card("scatter", WORDS.html("kinds.scatter.card"), WORDS.html("kinds.scatter.hint")):
        chosen = _scatter(table)
    if chosen:
        hint = WORDS.html("kinds.scatter.selected", selected=len(chosen), heads=len(table))
    else:
        hint = WORDS.html("kinds.scatter.all")
    with widgets.card("numbers", WORDS.html("kinds.numbers"), hint):
        _numbers(table.iloc[chosen] if chosen else table)
    canvas.follow_theme()
    return kinds.headline(table)


def lines(viewed: StreamView) -> str:
    """The lines of Python that give the same table."""
    return snippets.classify_heads(viewed.page.model_name, viewed.stream)


def _classified(viewed: StreamView) -> pd.DataFrame:
    """All heads of this model's stream, classified: shown on its way, then kept for whoever opens the model."""
    place, begun, n_passes = st.empty(), time.monotonic(), passes(viewed.model.value())

    def progress(share: float) -> None:
        left = (time.monotonic() - begun) * (1 - share) / share
        if left > SLOW:
            said = WORDS.text("kinds.reading_on", passes=n_passes, seconds=left)
        else:
            said = WORDS.text("kinds.reading", passes=n_passes)
        place.progress(share, text=said)

    with viewed.page.problems():
        found = shared.memoize(viewed.model, _classify, viewed.model, viewed.stream, progress=progress)
    place.empty()
    return found


def _classify(model: Model, handle: ModelHandle, stream: str, progress: Callable[[float], None]) -> pd.DataFrame:
    """`classify_heads`, each pass in its turn among those of other visitors."""

    def run(_: Model, text: str | list[int], **options: Any) -> Trace:
        return run_uncached(handle, text, **options)

    return classify_heads(model, stream=stream, run=run, progress=progress)


def _map(viewed: StreamView, table: pd.DataFrame) -> None:
    """Layers × heads by kind; a click opens a head, on this page and on those that one goes to from here."""
    canvas.overview(
        kinds.packet(table, viewed.n_layers),
        key="kinds",
        picture=WORDS.text("kinds.card"),
        says=WORDS.text("kinds.caption", cost=kinds.cost(table).removesuffix(".")),
        selected=(viewed.layer, viewed.head),
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )


def _scatter(table: pd.DataFrame) -> list[int]:
    """All heads by two measures; gives the rows that a box selects."""
    there = kinds.measures_with_values(table)
    for axis, replacement in ((ACROSS, "sink"), (UP, "entropy")):
        if st.session_state[axis.name] not in there:
            st.session_state[axis.name] = replacement
    with st.container(horizontal=True, gap="small"):
        x, y = (COLUMNS[controls.pick(axis, there, width=220, labelled=True)] for axis in PARAMS)
    figure = partial(
        scatter,
        table[x.name].to_numpy(),
        table[y.name].to_numpy(),
        table.layer.tolist(),
        kinds.names(table),
        axes=(x.axis, y.axis),
        notes=kinds.kind_titles(table),
    )
    event = gallery.plot(
        WORDS.text("kinds.scatter.card"),
        figure,
        key="scatter",
        says=WORDS.text("kinds.scatter.caption", x=x.axis, y=y.axis),
        on_select="rerun",
        selection_mode=("box", "lasso", "points"),
        alt=WORDS.text("kinds.scatter.alt", x=x.axis, y=y.axis),
    )
    return chosen_points(event, len(table))


def _numbers(table: pd.DataFrame) -> None:
    """Every measure of every head as a table."""
    widgets.table(
        kinds.numbers(table),
        hide_index=True,
        height=min(420, 38 + 35 * len(table)),
        column_config={measure.title: widgets.measure_column(measure) for measure in COLUMNS.values()},
        alt=WORDS.text("kinds.numbers_alt"),
    )


def _definitions() -> None:
    """What each name means, from when on it is given, and who described it."""

    def draw() -> None:
        st.html(f'<div class="hl-hint">{WORDS.html("kinds.definitions.text")}</div>')
        form = st.column_config.NumberColumn(format="%.1f above chance")
        widgets.table(kinds.definitions(), hide_index=True, column_config={"named from": form})

    fold(WORDS.text("kinds.definitions.title"), "definitions", draw)
