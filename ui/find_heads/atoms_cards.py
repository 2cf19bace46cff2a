"""The cards of a reaction: lines between the atoms of both sides, their table, every head that says the same, and why
this head is a product."""

from __future__ import annotations

from functools import partial

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.models.catalogue import CATALOGUE
from attn_core.views.snippets import heads as snippets
from ui import words
from ui.drawing import canvas, controls, widgets
from ui.find_heads import atoms
from ui.param import choice
from ui.server import shared
from ui.shell.folds import fold
from ui.stream import StreamView
from ui.stream_links import card_link, choose_word, open_head, score_link

WORDS = words.beside(__file__)
DRAWN = choice("drawn", WORDS.table("atoms.drawn"), label="Lines")
PARAMS = [DRAWN]


def reads_reactions(model: str) -> bool:
    """Whether a model of the catalogue reads reactions in place of sentences."""
    return model in CATALOGUE and CATALOGUE[model].reads == "reactions"


def draw(viewed: StreamView) -> str:
    """All cards; gives the headline, as HTML."""
    try:
        found = shared.memoize(viewed.trace, atoms.mapping, viewed.layer, viewed.head)
    except HeadlightError as error:
        widgets.note(str(error))
        return WORDS.html("atoms.lead.no_reaction")
    left, right = st.columns([54, 46], gap="medium")
    with left, widgets.card("atoms", WORDS.html("atoms.card"), WORDS.html("atoms.hint", head=viewed.name)):
        drawn = controls.switch(DRAWN)
        _lines(viewed, found, drawn)
        said = atoms.word_headline(viewed.queries, found, viewed.query)
        if said:
            widgets.reading(said)
        fold(WORDS.text("atoms.table"), "atoms_fold", partial(_table, viewed, found))
    with right:
        with widgets.card("agree", WORDS.html("atoms.heads.card"), WORDS.html("atoms.heads.hint", head=viewed.name)):
            _heads(viewed)
            with st.container(horizontal=True, gap="small", key="page_links"):
                score_link(viewed, viewed.layer, viewed.head, WORDS.text("search.why", head=viewed.name))
                card_link(viewed, viewed.layer, viewed.head)
        with widgets.card("product", WORDS.html("atoms.why.card")):
            widgets.reading(WORDS.html("atoms.why.text"))
    return atoms.headline(found, viewed.name)


def lines(viewed: StreamView) -> str:
    """The lines of Python that give the same mapping."""
    return snippets.atom_mapping(viewed.trace, viewed.layer, viewed.head)


def _lines(viewed: StreamView, found: atoms.AtomMapping, drawn: str) -> None:
    """The atoms of both sides and who was whom; a click on an atom of the product follows it."""
    positions = found.products.positions

    def pinned(pin: canvas.Pin) -> None:
        if pin.side == "query" and pin.position is not None:
            choose_word(positions[pin.position])

    row: tuple[canvas.Side, int] | None = None
    if viewed.page.word(viewed.trace) in positions:
        row = ("query", positions.index(viewed.query))
    canvas.links(
        atoms.lines_packet(viewed.reader, found, viewed.name, drawn),
        key="atom_lines",
        picture=WORDS.text("atoms.picture"),
        says=WORDS.text("atoms.caption", drawn, head=viewed.name),
        pinned=row,
        on_pin=pinned,
    )


def _table(viewed: StreamView, found: atoms.AtomMapping) -> None:
    shares = {
        "sure": st.column_config.NumberColumn(WORDS.text("atoms.columns.sure"), format="%.1f %%"),
        "weight": st.column_config.NumberColumn(WORDS.text("atoms.columns.weight"), format="%.1f %%"),
    }
    widgets.table(
        atoms.table(viewed.queries, found),
        key="atom_table",
        hide_index=True,
        column_config=shares,
        alt=WORDS.text("atoms.table_alt"),
    )


def _heads(viewed: StreamView) -> None:
    """Layers × heads by how many atoms each maps as the opened head does; a click opens a head."""
    shares = shared.memoize(viewed.trace, atoms.agreement, viewed.layer, viewed.head)
    canvas.overview(
        atoms.heads_packet(shares),
        key="agreeing",
        picture=WORDS.text("atoms.heads.picture"),
        says=WORDS.text("atoms.heads.caption", head=viewed.name),
        selected=(viewed.layer, viewed.head),
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )
