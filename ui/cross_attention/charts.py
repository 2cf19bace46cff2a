"""The pictures of a translator's attention: lines between two sentences, its heatmap, and the three kinds of maps."""

from __future__ import annotations

from functools import partial

import streamlit as st

from attn_core.figures.charts.heatmap import clicked, heatmap_spec
from ui import words
from ui.cross_attention.inputs import CROSS_HEAD, CROSS_LAYER, ROWS, choose_row, open_head
from ui.cross_attention.translation import Translation
from ui.drawing import canvas, controls, gallery, widgets
from ui.page import Page
from ui.shell.menu import go

WORDS = words.beside(__file__)


def lines(found: Translation) -> None:
    """The two sentences as two columns with lines between them: where they cross, words changed places."""
    widgets.heading(WORDS.html("lines.title", who=found.who.capitalize()), WORDS.html("lines.hint"))

    def pinned(pin: canvas.Pin) -> None:
        if pin.side == "query":
            choose_row(pin.position)

    pin: tuple[canvas.Side, int] | None = None  # without a choice, all lines are drawn
    caption = WORDS.text("lines.caption_all")
    if found.row_asked is not None:
        pin, caption = ("query", found.row), WORDS.text("lines.caption_word")
    canvas.links(
        found.lines_packet(),
        key="cross_links",
        picture=WORDS.text("lines.picture"),
        says=caption,
        pinned=pin,
        on_pin=pinned,
    )
    rows = controls.switch(ROWS)
    st.html(f'<div class="hl-hint">{WORDS.html("lines.why", rows)}</div>')


def cross_map(found: Translation) -> None:
    """The same numbers as a heatmap, with layer and head to step through."""
    widgets.heading(WORDS.html("map.title", layer=found.layer, head=found.head), WORDS.html("map.hint"))
    last_layer, last_head = found.last_layer_and_head
    with st.container(horizontal=True, gap="small"):
        controls.stepper(CROSS_LAYER, last_layer)
        controls.stepper(CROSS_HEAD, last_head)
    figure = partial(
        heatmap_spec,
        found.pattern,
        found.rows,
        found.keys.labels,
        head=found.name,
        selected_query=found.row,
        marked_keys=[found.aligned[found.row].key],
        key_special=found.keys.special,
        clickable=True,
    )
    gallery.plot(
        WORDS.text("map.picture"),
        figure,
        key="cross_heatmap",
        alt=(alt := WORDS.text("map.alt", who=found.who, written=len(found.rows), read=len(found.keys))),
        says=alt,
        on_select=_picked,
        selection_mode="points",
    )


def _picked() -> None:
    cell = clicked(st.session_state["cross_heatmap"])
    choose_row(None if cell is None else cell[0])


def clearest(found: Translation) -> None:
    """A way to the cross head that lines the sentences up best, where a less clear one is open."""
    clearer = found.clearer_head()
    if clearer is not None:
        layer, head = clearer
        label = WORDS.text("map.clearest", head=f"{layer}.{head}")
        st.button(label, key="clearest", on_click=open_head, args=(layer, head))


def other_pages(page: Page, found: Translation) -> None:
    """Links that take the two sentences and the open cross head along."""
    along = {
        "model": page.state["translator"],
        "text": page.state["source"],
        "target": page.state["translation"],
        "stream": "cross",
        "layer": found.layer,
        "head": found.head,
        "query": found.row,
    }
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="page_links"):
        elsewhere = WORDS.html("map.elsewhere", who=found.who.capitalize())
        st.html(f'<span class="hl-try">{elsewhere}</span>', width="content")
        go("step_by_step", "step by step", **along)
        go("delta_e", "its ΔE, number by number", **along)
        go("why_there", "why it looks there", ("why", "score"), **along)
        go("why_there", "its card", ("why", "card"), **along)
        go("find_heads", "find heads like it", **along)
        go("predict_first", "ask a class first", ("teacher", "1"), **along)


def what_differs() -> None:
    """What self- and cross-attention have in common, and the one thing that differs."""
    st.html(f'<div class="hl-hint">{WORDS.html("kinds.text")}</div>')


def three_maps(found: Translation) -> None:
    """The same layer and head of all three kinds of attention; a stack that has fewer shows its last."""
    titles = WORDS.table("kinds.titles")
    for column, (stream, title) in zip(st.columns(3, gap="medium"), titles.items(), strict=True):
        with column:
            _map(found, stream, title)


def _map(found: Translation, stream: str, title: str) -> None:
    own = found.trace.stream(stream)
    layer, head = found.place(stream)
    widgets.heading(title, WORDS.html("kinds.hints", stream, layer=layer, head=head))
    figure = partial(
        heatmap_spec,
        own.pattern(layer, head),
        own.key_tokens.labels if stream == "encoder" else found.rows,
        found.read if stream == "decoder" else own.key_tokens.labels,
        head=f"{layer}.{head}",
        masked=~own.may_look(layer),
        legend=False,
    )
    alt = WORDS.text("kinds.alt", title=title, layer=layer, head=head)
    gallery.plot(title, figure, key=f"map_{stream}", alt=f"{alt}.", says=alt)
