"""The cards of switched-off heads: which are off, what the model says with and without them, a pattern before and
after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from attn_core.heads.ablation import REPLACEMENTS, Effect, effect, outcome, replacement_options
from attn_core.heads.summary import summarise_head
from attn_core.text.decoding import visible
from attn_core.views.snippets import heads as snippets
from ui import words
from ui.drawing import canvas, controls, widgets
from ui.find_heads import ablation
from ui.find_heads.ablation import Heads
from ui.find_heads.ablation_map import effect_map
from ui.find_heads.search_cards import painted
from ui.param import choice
from ui.shared_params import OFF, parse_heads
from ui.shell.folds import fold
from ui.stream import StreamView, row_names
from ui.stream_links import choose_word

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

    from attn_core.traces.stream import StreamTrace
    from ui.server.handles import TraceHandle

WORDS = words.beside(__file__)
REPLACEMENT = choice("fill", {name: each.title for name, each in REPLACEMENTS.items()}, label="In its place")
PARAMS = [OFF, REPLACEMENT]


def switched_off(viewed: StreamView) -> Heads:
    """The heads that are off, of those that this model has."""
    asked_for = st.session_state["off"]
    return tuple((layer, head) for layer, head in asked_for if layer < viewed.n_layers and head < viewed.n_heads)


def _toggle(layer: int, head: int) -> None:
    """Callback: switch a head off, or on again; it is then also the opened one."""
    st.session_state["off"] = tuple(sorted(set(st.session_state["off"]) ^ {(layer, head)}))
    st.session_state["layer"], st.session_state["head"] = layer, head


def draw(viewed: StreamView) -> str:
    """All three cards; gives the headline, as HTML."""
    off, replacement, cells = switched_off(viewed), st.session_state[REPLACEMENT.name], painted(viewed)
    after = [viewed.trace, *changed(viewed)][-1].stream(viewed.stream)
    change = effect(viewed.reader, after, viewed.query)
    left, right = st.columns([52, 48], gap="medium")
    with left, widgets.card("effects", WORDS.html("ablation.map.card"), _map_hint(viewed)):
        _settings(viewed, off)
        effect_map(viewed, off, replacement, cells, on_open=lambda tile: _toggle(tile.layer, tile.head))
    with right, widgets.card("after", WORDS.html("ablation.after.card"), _after_hint(viewed, off)):
        _strip(viewed)
        _outcome(viewed, after, change)
    hint = ablation.pattern_hint(viewed.reader, viewed.layer, viewed.head, off, replacement)
    with widgets.card("patterns", WORDS.html("ablation.pattern.card", head=viewed.name), hint):
        canvas.panels(
            ablation.pattern_packet(viewed.reader, after, viewed.layer, viewed.head),
            key="before_after",
            picture=WORDS.text("ablation.pattern.picture"),
            says=WORDS.text("ablation.pattern.caption", head=viewed.name),
            query=viewed.query,
        )
        _row_table(viewed, after)
    of_labels = outcome(viewed.reader) == "labels"
    return ablation.headline(viewed.queries, viewed.query, off, replacement, change, of_labels)


def lines(viewed: StreamView) -> str:
    """The lines of Python that switch the same heads off; "" where none is."""
    off, replacement = switched_off(viewed), st.session_state[REPLACEMENT.name]
    return snippets.without(viewed.trace, viewed.stream, off, viewed.query, replacement, painted(viewed)) if off else ""


def changed(viewed: StreamView) -> list[TraceHandle]:
    """The pass in which heads are off; none where none is."""
    off, replacement = switched_off(viewed), st.session_state[REPLACEMENT.name]
    return [viewed.run(**replacement_options(viewed.reader, off, replacement, painted(viewed)))] if off else []


def _map_hint(viewed: StreamView) -> str:
    return words.together(WORDS.html("ablation.map.hint", outcome(viewed.reader)), row_names(viewed))


def _after_hint(viewed: StreamView, off: Heads) -> str:
    if not off:
        return WORDS.html("ablation.after.nothing")
    return WORDS.html("ablation.after.off", off=len(off), heads=viewed.n_layers * viewed.n_heads)


def _settings(viewed: StreamView, off: Heads) -> None:
    """Which word is looked at, what stands in for a head, and the set of heads that are off."""

    def set_off() -> None:
        st.session_state["off"] = parse_heads("_".join(st.session_state["off_heads"]))

    st.session_state["off_heads"] = [f"{layer}.{head}" for layer, head in off]
    every = [f"{layer}.{head}" for layer in range(viewed.n_layers) for head in range(viewed.n_heads)]
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        names = [f"{visible(label)} ({i})" for i, label in enumerate(viewed.queries.labels)]
        controls.word_picker("effect_word", names, viewed.query, choose_word, labelled=True, width=150)
        controls.pick(REPLACEMENT, width=220, labelled=True)
    st.multiselect("Heads that are off", every, key="off_heads", on_change=set_off, placeholder="none")


def _strip(viewed: StreamView) -> None:
    """The opened head in four numbers."""
    widgets.heading(f"Head {viewed.name}")
    found = summarise_head(viewed.reader, viewed.run, viewed.layer, viewed.head, viewed.query)
    widgets.number_row(found.parts())


def _outcome(viewed: StreamView, after: StreamTrace, change: Effect) -> None:
    """What the model says with and without: next words, or how far each word turned."""
    if after is viewed.reader and change.unit == "°":
        widgets.reading(WORDS.html("ablation.nothing_off"))
        return
    if change.unit == "bits":
        table = ablation.said(viewed.reader, after, viewed.query)
        bars: dict[str, ColumnConfig] = {name: _bar(name, "%.1f %%", 100.0, width=112) for name in ("with", "without")}
    else:
        table = ablation.turns(viewed.reader, after)
        bars = {"turn": _bar(WORDS.text("ablation.turns"), "%.2f°", max(1.0, table["turn"].max()))}
    height = min(320, 38 + 35 * len(table))
    alt = WORDS.text("ablation.words_alt")
    widgets.table(table, hide_index=True, height=height, column_config=bars, alt=alt)


def _bar(title: str, form: str, most: float, width: int | None = None) -> ColumnConfig:
    return st.column_config.ProgressColumn(title, format=form, min_value=0, max_value=most, width=width)


def _row_table(viewed: StreamView, after: StreamTrace) -> None:
    """The chosen word's row of the opened head, with and without."""
    table = ablation.row_table(viewed.reader, after, viewed.layer, viewed.head, viewed.query)

    def draw() -> None:
        form = {name: st.column_config.NumberColumn(format="%.2f %%") for name in table.columns[1:]}
        widgets.table(table, hide_index=True, height=min(320, 38 + 35 * len(table)), column_config=form)

    fold(WORDS.text("ablation.row"), "numbers_row", draw)
