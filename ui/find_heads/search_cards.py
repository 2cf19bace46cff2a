"""The cards of the search: a pattern to paint on, every head by what it puts there, and the list of heads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd
import streamlit as st

from attn_core.text.decoding import visible, with_name
from attn_core.text.tokens import Tokens
from attn_core.views.snippets import heads as snippets
from ui import link, words
from ui.drawing import canvas, controls, widgets
from ui.drawing.events import chosen_row
from ui.find_heads import search
from ui.find_heads.search import Cell, Cells
from ui.param import Param, choice
from ui.shared_params import STARTER
from ui.stream import StreamView, row_names
from ui.stream_links import card_link, links_elsewhere, open_head, score_link

WORDS = words.beside(__file__)


def _first_cells(earlier: Mapping[str, object]) -> Cells:
    return ((4, 2), (4, 3)) if (earlier["model"], earlier.get("text")) == ("minilm", STARTER) else ()


WINNER_IN = ("all_heads", "step_by_step", "delta_e", "why_there", "compare_heads")
BASELINE = choice("baseline", WORDS.table("search.against"), label="Against")
PARAMS = [
    BASELINE,
    Param(
        "cells",
        _first_cells,
        lambda raw, earlier: search.parse_cells(raw),
        lambda cells: "_".join(f"{query}-{key}" for query, key in cells),
    ),
]


def painted(viewed: StreamView) -> Cells:
    """The painted cells that this sentence has; those of another sentence are wiped."""
    here = viewed.reads
    before = st.session_state.get("painted_in", here)
    st.session_state["painted_in"] = here
    if before != here:
        link.settle(viewed.page.state, "cells", _first_cells(viewed.page.state))
    return search.in_sentence(st.session_state["cells"], len(viewed.queries), len(viewed.keys))


def _strict() -> bool:
    return bool(st.session_state["baseline"] == "key")


def draw(viewed: StreamView) -> str:
    """Both cards; gives the headline, as HTML."""
    cells = painted(viewed)
    found = search.score(viewed.reader, cells, viewed.sink, strict=_strict()) if cells else None
    ranked = None if found is None else search.ranking(found)
    left, right = st.columns([46, 54], gap="medium")
    hint = words.together(WORDS.html("search.hint"), row_names(viewed))
    with left, widgets.card("board", WORDS.html("search.card"), hint):
        _board(viewed, cells)
        _word_pickers(viewed, cells)
    about = search.baseline_text(viewed.reader, viewed.sink_name)
    with right, widgets.card("found", WORDS.html("search.heads.card"), about):
        if found is None or ranked is None:
            widgets.note(WORDS.text("search.nothing_painted"))
        else:
            controls.switch(BASELINE)
            _score_map(viewed, search.score_packet(found))
            _list(ranked)
            _ways_on(viewed, cells, ranked)
    return search.headline(viewed.reader, cells, ranked)


def _ways_on(viewed: StreamView, cells: Cells, ranked: pd.DataFrame) -> None:
    """Links that open the head that stands out in other pages, at the word that asks; and why the opened one looks."""
    winner = int(ranked.layer.iloc[0]), int(ranked["head"].iloc[0])
    links_elsewhere(viewed, cells[0][0], *WINNER_IN, head=winner)
    if (viewed.layer, viewed.head) != winner:
        with st.container(horizontal=True, gap="small", key="page_links_opened"):
            score_link(viewed, viewed.layer, viewed.head, WORDS.text("search.why", head=viewed.name))
            card_link(viewed, viewed.layer, viewed.head)


def lines(viewed: StreamView) -> str:
    """The lines of Python that give the same ranking; "" where nothing is painted."""
    cells = painted(viewed)
    return snippets.search(viewed.trace, viewed.stream, cells, _strict()) if cells else ""


def _toggle(cell: Cell) -> None:
    """Callback: paint a cell, or wipe it."""
    st.session_state["cells"] = search.toggled(st.session_state["cells"], cell)


def _board(viewed: StreamView, cells: Cells) -> None:
    """The opened head's pattern, to paint on."""
    canvas.panels(
        search.pattern_packet(viewed.reader, viewed.layer, viewed.head),
        key="board",
        picture=WORDS.text("search.picture"),
        says=WORDS.text("search.caption", head=viewed.name),
        painted=cells,
        on_choose=lambda chosen: _toggle((chosen.query, chosen.key)),
    )


def _word_pickers(viewed: StreamView, cells: Cells) -> None:
    """The same by words, for keyboards and fingers; labels are shown as text, whatever was typed."""

    def pick(label: str, tokens: Tokens, at: int) -> int:
        named = partial(_named, tokens)
        return st.selectbox(label, range(len(tokens)), index=at, format_func=named, width=150)

    first = next((i for i, special in enumerate(viewed.keys.special) if not special), 0)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="bottom"):
        query = pick("From (query)", viewed.queries, viewed.query)
        key = pick("to (key)", viewed.keys, first)
        st.button("Paint", on_click=_toggle, args=((query, key),), key="paint")
        if cells:
            st.button("Wipe all", on_click=lambda: st.session_state.update(cells=()), key="wipe")


def _named(tokens: Tokens, position: int) -> str:
    return with_name(f"{visible(tokens.labels[position])} ({position})")


def _score_map(viewed: StreamView, packet: bytes) -> None:
    """Layers × heads, coloured by how far above their baseline; a click opens a head."""
    canvas.overview(
        packet,
        key="found",
        picture=WORDS.text("search.heads.picture"),
        says=WORDS.text("search.heads.caption"),
        selected=(viewed.layer, viewed.head),
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )


def _list(ranked: pd.DataFrame) -> None:
    """The heads as rows; choosing one opens it."""

    def opened() -> None:
        row = chosen_row(st.session_state["ranked"], len(ranked))
        if row is not None:
            open_head(int(ranked.layer[row]), int(ranked["head"][row]))

    table = pd.DataFrame({"head": [f"{r.layer}.{r.head}" for r in ranked.itertuples()]})
    for column in ("weight", "baseline", "above"):
        table[column] = 100 * ranked[column]
    points = {name: st.column_config.NumberColumn(format="%.1f %%") for name in ("weight", "baseline")}
    points["above"] = st.column_config.NumberColumn("above baseline", format="%+.1f points")
    widgets.table(
        table,
        key="ranked",
        hide_index=True,
        height=282,
        column_config=points,
        on_select=opened,
        selection_mode="single-row",
        alt=WORDS.text("search.list_alt"),
    )
