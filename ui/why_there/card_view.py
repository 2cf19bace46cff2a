"""The page Why there?, seen as the card of the opened head: what it does in every sentence."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from attn_core.circuits.head_card import passes
from attn_core.figures.charts.spec import validated
from attn_core.figures.circuits import head_card as charts
from attn_core.figures.html.bar_table import Column
from attn_core.text.numbers import signed, whole_percent
from attn_core.views.snippets import circuits as snippets
from ui import stream, words
from ui.drawing import controls, gallery, widgets
from ui.server import shared
from ui.shared_params import HEAD, LAYER
from ui.shell import save_files
from ui.shell.folds import fold
from ui.stream_links import links_elsewhere
from ui.why_there import card as said

if TYPE_CHECKING:
    from collections.abc import Callable

    from attn_core.circuits.head_card import HeadCard, TokenPair
    from ui.page import Page
    from ui.stream import StreamView

WORDS = words.beside(__file__, "card.toml")
SLOW = 2.0  # seconds; what takes longer is announced


def draw(page: Page, draw_switch: Callable[[], object]) -> None:
    """All of it; `draw_switch` draws the switch between score, flow and card."""
    headline = st.container(gap=None)
    viewed = stream.of(page)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="pickers"):
        draw_switch()
        controls.stepper(LAYER, viewed.n_layers - 1, ("K", "J"))
        controls.stepper(HEAD, viewed.n_heads - 1, ("H", "L"))
    stream.switches(viewed)
    card = _found(viewed)
    with headline:
        sub = WORDS.html("page.sub", passes=passes(viewed.model.value()))
        widgets.lead(said.headline(card), f"{page.badges(viewed.trace)}{sub}")
    with widgets.card("scores", WORDS.html("scores.title"), WORDS.html("scores.hint")):
        widgets.number_row(said.numbers(card))
    left, right = st.columns(2, gap="medium")
    with left:
        _reads(card)
    with right:
        _writes(card)
    _composition(card)
    left, right = st.columns([40, 60], gap="medium")
    with left, widgets.card("near", WORDS.html("near.title"), WORDS.html("near.hint")):
        widgets.table(pd.DataFrame(dict(said.near(card))), hide_index=True, key="near")
    with right, widgets.card("directions", WORDS.html("directions.title"), WORDS.html("directions.hint")):
        _directions(card)
    with widgets.card("left_out", WORDS.html("left_out.title")):
        for sentence in card.left_out:
            widgets.note(sentence)
        fold(WORDS.text("whole.fold"), "numbers_card", partial(widgets.table, card.frame(), hide_index=True))
        links_elsewhere(viewed, viewed.query, "all_heads", "step_by_step", "delta_e", "find_heads", card=False)
    _offer(viewed, card)


def _found(viewed: StreamView) -> HeadCard:
    """The card: shown on its way, then kept with the model for whoever opens the head."""
    place, begun, n_passes, name = st.empty(), time.monotonic(), passes(viewed.model.value()), viewed.name

    def progress(share: float) -> None:
        left = (time.monotonic() - begun) * (1 - share) / max(share, 0.01)
        if left > SLOW:
            now = WORDS.text("page.reading_on", head=name, seconds=left)
        else:
            now = WORDS.text("page.reading", head=name, passes=n_passes)
        place.progress(share, text=now)

    named = (viewed.model, viewed.stream, viewed.layer, viewed.head)
    with viewed.page.problems():
        found = shared.memoize(viewed.model, said.card_of, *named, progress=progress)
    place.empty()
    return found


def _reads(card: HeadCard) -> None:
    """The strongest pairs of the QK circuit."""
    with widgets.card("reads", WORDS.html("reads.title"), WORDS.html("reads.hint")):
        _bars(WORDS.text("reads.title"), card.reads, "key", WORDS.text("reads.caption", head=card.name))


def _writes(card: HeadCard) -> None:
    """The strongest pairs of the OV circuit."""
    with widgets.card("writes", WORDS.html("writes.title"), WORDS.html("writes.hint")):
        if card.writes:
            _bars(WORDS.text("writes.title"), card.writes, "delta", WORDS.text("writes.caption", head=card.name))
        else:
            widgets.note(WORDS.text("writes.none"))


def _bars(name: str, pairs: tuple[TokenPair, ...], role: str, says: str) -> None:
    """Pairs as bars that are a table."""
    scores = [pair.score for pair in pairs]
    column = Column("above the mean", scores, [signed(score) for score in scores], role)
    gallery.bars(name, said.pair_names(pairs), [column], says=says, head="words")


def _composition(card: HeadCard) -> None:
    """Arcs from the earlier heads that it reads most, and all of them as a table."""
    table = card.composition
    baseline = float(table.baseline.iloc[0]) if len(table) else 0.0
    with widgets.card(
        "composition", WORDS.html("composition.title"), WORDS.html("composition.hint", baseline=baseline)
    ):
        arcs = said.arcs(card)
        if not arcs:
            widgets.note(WORDS.text("composition.none"))
            return
        figure = partial(charts.composition_arcs, arcs, card.name, card.layer)
        caption = WORDS.text("composition.caption", head=card.name)
        alt = WORDS.text("composition.alt", head=card.name)
        gallery.plot(WORDS.text("composition.name"), figure, key="composition", alt=alt, says=caption)
        ordered = table.sort_values("above", ascending=False)
        fold(WORDS.text("composition.fold"), "numbers_composition", partial(widgets.table, ordered, hide_index=True))


def _directions(card: HeadCard) -> None:
    rows = [(whole_percent(each.share), " ".join(each.reads), " ".join(each.writes)) for each in card.directions]
    widgets.table(pd.DataFrame(rows, columns=["share", "reads", "raises"]), hide_index=True, key="directions")


def _offer(viewed: StreamView, card: HeadCard) -> None:
    """The page's end: the card as numbers, as one picture with all of it, and as lines of Python."""
    name = f"card of head {card.name}"
    stream.offer_stream(viewed, None, save_files.Numbers(name, lambda: card.frame().to_csv(index=False)))
    whole = partial(charts.whole_card, said.arcs(card), card.name, card.layer, said.columns(card))
    gallery.register(
        WORDS.text("whole.name"), partial(validated(whole), theme="light"), WORDS.text("whole.caption", head=card.name)
    )
    lines = snippets.head_card(viewed.page.model_name, card.stream, card.layer, card.head)
    viewed.page.offer_pictures(f"head {card.name}", sentences=[], lines=lines)
