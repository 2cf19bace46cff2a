"""The pictures of the page Why there?: the matrix by layer, the ten largest pairs, and the table behind both."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from attn_core.figures.circuits import score_parts as charts
from attn_core.figures.html.bar_table import Column
from attn_core.models.catalogue import entry_of
from attn_core.text.numbers import signed
from ui import words
from ui.drawing import controls, gallery, markup, widgets
from ui.param import whole
from ui.shell import save_files
from ui.shell.folds import fold
from ui.stream import offer_stream
from ui.why_there.score import AskedScore

WORDS = words.beside(__file__)
MOST_PAIRS = 10
OPENED = whole(
    "opened", high=lambda earlier: entry_of(earlier["model"]).n_layers + 9, label="Opened layer", in_caption=False
)
PARAMS = [OPENED]


def matrix(asked: AskedScore) -> None:
    """Writers of the query × writers of the key, by layer; one layer opened where somebody chose it."""
    query, key = asked.word("q"), asked.word("k")
    hint = WORDS.html("matrix.hint", query=markup.query(query), key=markup.key(key))
    widgets.heading(WORDS.html("matrix.title"), hint)
    names = [WORDS.text("matrix.closed"), *(WORDS.text("matrix.open", group=group) for group in asked.groups)]
    if st.session_state["opened"] >= len(names):
        st.session_state["opened"] = 0
    if any(writer.layer is not None for writer in asked.parts.query_writers):
        controls.pick(OPENED, range(len(names)), names.__getitem__, width=190)
    found = asked.grouped
    figure = partial(charts.writer_matrix, found.query_names, found.key_names, found.matrix, query=query, key=key)
    alt = WORDS.text("matrix.alt", head=asked.viewed.name)
    says = WORDS.text("matrix.caption", head=asked.viewed.name, query=query, key=key)
    gallery.plot("Writers of both words", figure, key="writers", alt=alt, says=says)


def pairs(asked: AskedScore) -> None:
    """The ten largest pairs as lines between the two words, as a list with both signs, and all of them as a table."""
    widgets.heading(WORDS.html("pairs.title"), WORDS.html("pairs.hint"))
    largest = asked.grouped.largest(MOST_PAIRS)
    query, key = asked.word("q"), asked.word("k")
    links = [(pair.query, pair.key, pair.part) for pair in largest if pair.key is not None]
    says = WORDS.text("pairs.caption", head=asked.viewed.name, query=query, key=key)
    figure = partial(charts.pair_links, links, query=query, key=key)
    gallery.plot("The ten largest pairs", figure, key="pairs", alt=WORDS.text("pairs.alt"), says=says)
    names = [pair.query if pair.key is None else f"{pair.query} × {pair.key}" for pair in largest]
    parts = [pair.part for pair in largest]
    column = Column("adds to the score", parts, [signed(part) for part in parts], "delta")
    gallery.bars("The ten largest pairs, as a list", names, [column], says=says, head="query × key")
    fold(WORDS.text("pairs.fold"), "numbers_pairs", partial(widgets.table, asked.parts.frame(), hide_index=True))


def offer(asked: AskedScore, without: pd.DataFrame | None) -> None:
    """Let the visitor save the pattern, every pair of writers, what was brought, and the score `without` a writer."""
    name, cell = asked.viewed.name, f"from {asked.word('q')} to {asked.word('k')}"
    tables = [save_files.Numbers(f"score of head {name} {cell}", lambda: asked.parts.frame().to_csv(index=False))]
    brought = asked.brought
    if brought is not None:
        found = save_files.Numbers(f"brought by head {name} {cell}", lambda: brought.frame().to_csv(index=False))
        tables.append(found)
    if without is not None:
        tables.append(save_files.Numbers(f"head {name} {cell} without writers", partial(without.to_csv, index=False)))
    offer_stream(asked.viewed, asked.query, *tables)
