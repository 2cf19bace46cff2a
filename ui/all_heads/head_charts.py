"""One head as pictures: the heatmap with every number exact, and the same numbers as lines between words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

import streamlit as st

from attn_core.figures.canvas.links import pack_links
from attn_core.figures.charts.heatmap import clicked
from attn_core.figures.charts.heatmap import heatmap as heatmap_figure
from ui.all_heads import head as one_head
from ui.all_heads.head import OneHead
from ui.drawing import canvas, widgets
from ui.page import go


def titled(shown: OneHead) -> None:
    """What the picture shows and how to read it; the orientation turns the words too."""
    ask, answer = '<b class="hl-q">query</b>', '<b class="hl-k">key</b>'
    if shown.page.state["queries"] == "columns":
        hint = (
            f"Columns ask ({ask}), rows answer ({answer}), as in the lesson: “fluffy attends to creature”. Papers "
            "turn it and say “creature attends to fluffy”. The numbers are the same; every column sums to 1."
        )
    else:
        hint = f"Rows ask ({ask}), columns answer ({answer}). Every row sums to 1."
    if shown.arrangement.hides_sink:
        name = escape(one_head.sink_name(shown.arrangement, shown.trace.tokens))
        hint += f" {name} hidden, the rest renormalised."
    widgets.heading(shown.title, hint)


def steppers(shown: OneHead) -> None:
    """Layer and head, by buttons, by menu, or by the keys K J H L."""
    with st.container(horizontal=True, gap="small"):
        widgets.stepper("Layer", "layer", shown.trace.n_layers - 1, ("K", "J"))
        widgets.stepper("Head", "head", shown.trace.n_heads - 1, ("H", "L"))


def heatmap(shown: OneHead) -> None:
    """The pattern, every number exact; a click on a cell chooses its word."""
    view, arrangement = shown.page.state, shown.arrangement

    figure = heatmap_figure(
        shown.pattern,
        arrangement.labels,
        head=f"{shown.page.layer}.{shown.page.head}" if view["mean"] == "one" else "",
        scale=view["scale"],
        masked=~shown.may_look,
        queries_in=view["queries"],
        selected_query=shown.row,
        query_positions=shown.places,
        query_special=arrangement.special,
        clickable=True,
        theme=shown.theme,
    )
    alt = f"Attention pattern, {shown.title}: {len(arrangement.labels)} queries and keys. The numbers are in the table."
    # Streamlit remembers the callback of every figure that a session has seen: it must hold nothing large.
    picked = partial(_picked, shown.places)
    # It is saved as the view itself, with its own caption.
    st.plotly_chart(figure, key="heatmap", on_select=picked, selection_mode="points", theme=None, alt=alt)


def _picked(places: Sequence[int]) -> None:
    cell = clicked(st.session_state["heatmap"])
    one_head.choose(places, None if cell is None else cell[0])


def links_titled(shown: OneHead) -> None:
    name = {"one": f"Head {shown.page.layer}.{shown.page.head}"}.get(shown.page.state["mean"], shown.title)
    widgets.heading(
        f"{name} as links", "Left asks, right answers. Hover a word to see only its lines; click to keep it."
    )


def links(shown: OneHead) -> None:
    """The same numbers as lines between words; a click on a word keeps its lines."""
    view, arrangement = shown.page.state, shown.arrangement

    def pinned(pin: canvas.Pin) -> None:
        at = pin.position
        st.session_state["key"] = shown.places[at] if pin.side == "key" and at is not None else None
        if pin.side == "query":
            one_head.choose(shown.places, at)

    packet = pack_links(
        shown.pattern[None],
        arrangement.labels,
        heads=[f"{shown.page.layer}.{shown.page.head}" if view["mean"] == "one" else shown.who],
        may_look=shown.may_look,
        query_positions=shown.places,
        query_special=arrangement.special,
        query_words=arrangement.words,
    )
    answer = arrangement.row_of(view["key"])
    pin: tuple[canvas.Side, int] = ("query", shown.row) if answer is None else ("key", answer)
    with widgets.kept_place("links", f"{min(560, 22 * len(shown.places)) + 76}px"):
        says = f"{shown.who[0].upper()}{shown.who[1:]} as lines between words: those of the chosen word"
        canvas.links(packet, key="links", picture="Links between words", says=says, pinned=pin, on_pin=pinned)


def doors(shown: OneHead) -> None:
    """Where this very head can be followed further."""
    with st.container(horizontal=True, gap="small", key="doors"):
        go("step_by_step", "Walk it step by step")
        go("delta_e", "What it adds: ΔE")
        go("compare_heads", "Put another beside it")
