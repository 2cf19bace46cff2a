"""One head as pictures: the heatmap with every number exact, and the same numbers as lines between words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from attn_core.views.arrangement import MEANS, Span
from ui import words
from ui.all_heads import packets, spans
from ui.all_heads.head import ArrangedHead, capitalised
from ui.all_heads.spans import SPANS
from ui.drawing import canvas, controls, widgets
from ui.page import Page
from ui.param import choice
from ui.shared_params import HEAD, KEY, LAYER, QUERIES_IN, SCALE
from ui.shell.menu import go

WORDS = words.beside(__file__)
MEAN = choice("mean", {mean: WORDS.text("switches.mean", mean) for mean in MEANS}, label="Mean")
SPECIALS = choice("specials", WORDS.table("switches.specials"), label="Special tokens")
UNIT = choice("unit", WORDS.table("switches.unit"), label="Words")
FACE = choice("face", {"heatmap": "heatmap", "table": "table"}, label="Show as", in_caption=False)
PARAMS = [MEAN, SPECIALS, UNIT, SCALE, QUERIES_IN, FACE, KEY, SPANS]


def choose_row(positions: Sequence[int], row: int | None) -> None:
    """Callback: another row, at one of these token positions, is read aloud."""
    if row is not None:
        st.session_state["query"], st.session_state["key"] = positions[row], None


def offer(page: Page, head: ArrangedHead) -> None:
    """Let the visitor save exactly this head, or mean, as it is arranged here."""
    page.offer(
        head.trace,
        layer=head.layer,
        head=head.head,
        mean=head.mean,
        words=page.state["unit"] == "words",
        hide_sink=page.state["specials"] == "hide",
        spans=head.spans,
        scale=page.state["scale"],
        queries_in=head.queries_in,
        query=head.positions[head.row],
    )


def steppers(head: ArrangedHead) -> None:
    """Layer and head, by buttons, by menu, or by the keys K J H L."""
    with st.container(horizontal=True, gap="small"):
        controls.stepper(LAYER, head.trace.n_layers - 1, ("K", "J"))
        controls.stepper(HEAD, head.trace.n_heads - 1, ("H", "L"))


def heatmap(page: Page, head: ArrangedHead) -> None:
    """The pattern, every number exact; a click on a cell chooses its word."""
    # What a session remembers of a callback must hold nothing large.
    chosen = partial(_chosen, head.positions)
    cell = f"min(46px, (100cqw - 90px) / {len(head.positions)})"
    with widgets.kept_place("heatmap", f"min(620px, calc({len(head.positions)} * {cell} + 150px))"):
        joined = partial(_joined, [(place[0], place[-1]) for place in head.arrangement.places])
        packet = packets.opened_head(head, page.state["scale"])
        canvas.cells(packet, key="heatmap", on_choose=chosen, on_join=joined)


def _chosen(positions: Sequence[int], row: int, column: int | None) -> None:
    choose_row(positions, row)


def _joined(places: Sequence[Span], first: int, last: int) -> None:
    spans.join(places[first][0], places[last][1])


def links(page: Page, head: ArrangedHead) -> None:
    """The same numbers as lines between words; a click on a word keeps its lines."""
    name = f"Head {head.short_name}" if head.is_one else head.title
    widgets.heading(WORDS.html("links.title", head=name), WORDS.html("links.hint"))

    def pinned(pin: canvas.Pin) -> None:
        at = pin.position
        st.session_state["key"] = head.key_positions[at] if pin.side == "key" and at is not None else None
        if pin.side == "query":
            choose_row(head.positions, at)

    key = head.arrangement.keys.row_of(page.state["key"])
    pin: tuple[canvas.Side, int] = ("query", head.row) if key is None else ("key", key)
    with widgets.kept_place("links", f"{min(560, 22 * len(head.positions)) + 76}px"):
        canvas.links(
            packets.links(head),
            key="links",
            picture="Links between words",
            says=WORDS.text("links.caption", who=capitalised(head.name)),
            pinned=pin,
            on_pin=pinned,
        )


def page_links() -> None:
    """Where this very head can be followed further."""
    with st.container(horizontal=True, gap="small", key="page_links"):
        go("step_by_step", "Walk it step by step")
        go("delta_e", "What it adds: ΔE")
        go("why_there", "Why it looks there", ("why", "score"))
        go("why_there", "Its card", ("why", "card"))
        go("compare_heads", "Put another beside it")
        go("predict_first", "Ask a class first", ("teacher", "1"))
