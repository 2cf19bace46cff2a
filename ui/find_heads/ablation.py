"""Does it matter: switch heads off, one or several, and see what the model says without them."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.figures.canvas.panels import Panel, pack_panels
from attn_core.heads import ablation
from attn_core.heads.ablation import replacement_options
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from attn_core.views import snippets as recipes
from ui.drawing import panels, widgets
from ui.find_heads.ablation_map import Heads, effect_map
from ui.find_heads.search import painted
from ui.link import Param, choice
from ui.stream import StreamView, writing

HARDLY = 0.005  # bits; what is less reads as 0.00
FILLS = {
    "zero": "nothing",
    "mean": "its mean over the sentence",
    "even": "even attention",
    "previous": "the word before",
    "painted": "the cells painted",
}
SAID = {
    "zero": "Without {}",
    "mean": "With only the mean of {}",
    "even": "With even attention in {}",
    "previous": "With {} looking one word back",
    "painted": "With {} looking where you painted",
}


def _parse(raw: str, earlier: Any) -> Heads:
    """ "0.3_1.2" → ((0, 3), (1, 2))."""
    pairs = [pair.split(".") for pair in raw.split("_") if pair]
    if len(pairs) > 200 or any(len(p) != 2 or not all(n.isascii() and n.isdigit() for n in p) for p in pairs):
        raise ValueError("it must be heads like 0.3_1.2, each a layer and a head")
    return tuple(sorted({(int(layer), int(head)) for layer, head in pairs}))


PARAMS = [
    Param("off", (), _parse, lambda heads: "_".join(f"{layer}.{head}" for layer, head in heads)),
    choice("fill", tuple(FILLS)),
]


def switched_off(viewed: StreamView) -> Heads:
    """The heads that are off, of those that this model has."""
    here = st.session_state["off"]
    return tuple((layer, head) for layer, head in here if layer < viewed.n_layers and head < viewed.n_heads)


def toggle(layer: int, head: int) -> None:
    """Callback: switch a head off, or on again; it is then also the opened one."""
    off = set(st.session_state["off"]) ^ {(layer, head)}
    st.session_state["off"] = tuple(sorted(off))
    st.session_state["layer"], st.session_state["head"] = layer, head


def page(viewed: StreamView) -> str:
    """Everything below the headline; gives the headline."""
    off = switched_off(viewed)
    after = viewed.run(**_instead(viewed, off)) if off else viewed.trace
    changed = ablation.effect(viewed.trace, after, viewed.query, stream=viewed.stream)
    left, right = st.columns([52, 48], gap="medium")
    with left, widgets.card("effects", "What each head does to this word", _map_hint(viewed)):
        settings(viewed, off)
        effect_map(viewed, off, painted(viewed), lambda tile: toggle(tile.layer, tile.head))
    with right, widgets.card("after", "With and without", _after_hint(viewed, off)):
        strip(viewed)
        outcome(viewed, after, changed)
    with widgets.card(
        "patterns",
        f"Pattern of head {viewed.layer}.{viewed.head}, with and without",
        _unmoved(viewed, off),
    ):
        patterns(viewed, after)
        row_table(viewed, after)
    return lead(viewed, off, changed)


def lines(viewed: StreamView) -> str:
    """The lines of Python that switch the same heads off; "" where none is."""
    off, fill = switched_off(viewed), st.session_state["fill"]
    return recipes.without(viewed.trace, off, viewed.query, viewed.stream, fill, painted(viewed)) if off else ""


def _instead(viewed: StreamView, off: Heads) -> dict[str, Any]:
    """What the link puts in the place of heads, as options of a pass."""
    gone = [viewed.named(*head) for head in off]
    return replacement_options(viewed.trace, gone, st.session_state["fill"], painted(viewed))


def lead(viewed: StreamView, off: Heads, changed: ablation.Effect) -> str:
    """What happened, as HTML."""
    word = widgets.query(visible(viewed.queries.labels[viewed.query]))
    if not off:
        return f"Which head matters to {word}? Switch one off: click it, and see what changes."
    which = ("head " if len(off) == 1 else "heads ") + _together([f"{layer}.{head}" for layer, head in off])
    done = SAID[st.session_state["fill"]].format(which)
    if changed.unit == "°":
        return f"{done}, the final embedding of {word} turns by {escape(changed.text)}."
    moved = max((*changed.rising[:1], *changed.falling[:1]), key=lambda w: abs(w.after - w.before), default=None)
    if moved is None or changed.value < HARDLY:
        return f"{done}, what may follow {word} stays as likely as it was."
    said = f"{done}, what may follow {word} moves by {escape(changed.text)}"
    before, after = percent(moved.before), percent(moved.after)
    if before == after:
        return f"{said}, no word by much."
    return f"{said}: {widgets.tok(visible(moved.text))} goes from {escape(before)} to {escape(after)}."


def _together(names: list[str]) -> str:
    """0.3, 1.2 and 4.1; of many the first few."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _map_hint(viewed: StreamView) -> str:
    what = (
        "the next word's probabilities move"
        if ablation.predicts(viewed.trace, viewed.stream)
        else "its final embedding turns"
    )
    return (
        f"Each head's share of ΔE or, once asked for, how far {what} when that head is switched off. A click switches "
        "a head off, another one on again." + writing(viewed)
    )


def _after_hint(viewed: StreamView, off: Heads) -> str:
    return (
        "Nothing is off: both sides are the same."
        if not off
        else f"{len(off)} of {viewed.n_layers * viewed.n_heads} heads off."
    )


def settings(viewed: StreamView, off: Heads) -> None:
    """Which word is looked at, what stands in for a head, and the set of heads that are off."""
    tokens = viewed.queries

    def chosen() -> None:
        st.session_state["query"] = st.session_state["effect_word"]

    def set_off() -> None:
        st.session_state["off"] = _parse("_".join(st.session_state["off_heads"]), {})

    st.session_state["effect_word"] = viewed.query
    st.session_state["off_heads"] = [f"{layer}.{head}" for layer, head in off]
    every = [f"{layer}.{head}" for layer in range(viewed.n_layers) for head in range(viewed.n_heads)]
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.selectbox(
            "Word",
            range(len(tokens)),
            format_func=lambda i: f"{visible(tokens.labels[i])} ({i})",
            key="effect_word",
            on_change=chosen,
            width=150,
        )
        st.selectbox("In its place", list(FILLS), format_func=FILLS.__getitem__, key="fill", width=220)
    st.multiselect("Heads that are off", every, key="off_heads", on_change=set_off, placeholder="none")


def strip(viewed: StreamView) -> None:
    """The opened head in four numbers."""
    widgets.heading(f"Head {viewed.layer}.{viewed.head}")
    found = ablation.summarise_head(
        viewed.trace, viewed.run, viewed.layer, viewed.head, viewed.query, stream=viewed.stream
    )
    widgets.strip(found.parts())


def outcome(viewed: StreamView, after: Any, changed: ablation.Effect) -> None:
    """What the model says with and without: next words, or how far each word turned."""
    if after is viewed.trace and changed.unit == "°":
        widgets.note(
            "Nothing is off yet. Click a head in the map, and see by how much each word's final embedding turns."
        )
        return
    table, bars = _next_words(viewed, after) if changed.unit == "bits" else _turns(viewed, after)
    st.dataframe(
        table,
        hide_index=True,
        height=min(320, 38 + 35 * len(table)),
        column_config=bars,
        alt="What the model says with and without, as numbers.",
    )


def _next_words(viewed: StreamView, after: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The likeliest next words of both passes and those that moved most, with both probabilities."""
    words = ablation.words_compared(viewed.trace, after, viewed.query)
    rows = [(visible(word.text), 100 * word.before, 100 * word.after) for word in words]
    table = pd.DataFrame(rows, columns=["next word", "with", "without"])
    return table, {name: _bar(name, "%.1f %%", 100.0, width=112) for name in ("with", "without")}


def _turns(viewed: StreamView, after: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    """By how many degrees each word's final embedding turned."""
    labels = [f"{visible(label)} ({i})" for i, label in enumerate(viewed.queries.labels)]
    turns = [ablation.effect(viewed.trace, after, i, stream=viewed.stream).value for i in range(len(labels))]
    table = pd.DataFrame({"word": labels, "turn": turns})
    return table, {"turn": _bar("its final embedding turns by", "%.2f°", max(1.0, *turns))}


def _bar(title: str, form: str, most: float, width: int | None = None) -> Any:
    return st.column_config.ProgressColumn(title, format=form, min_value=0, max_value=most, width=width)


def patterns(viewed: StreamView, after: Any) -> None:
    """The opened head's pattern before and after on one scale, and what changed."""
    layer, head = viewed.layer, viewed.head
    masked = ~viewed.may_look(layer)
    before = np.where(masked, np.nan, viewed.pattern(layer, head))
    now = np.where(masked, np.nan, after.pattern(layer, head, stream=viewed.stream))

    def panel(title: str, cells: np.ndarray, signed: bool = False) -> Panel:
        return Panel(
            title=title,
            says=f"head {layer}.{head}",
            cells=cells,
            query_labels=viewed.queries.labels,
            key_labels=viewed.keys.labels,
            query_special=viewed.queries.special,
            key_special=viewed.keys.special,
            signed=signed,
        )

    shown = [panel("with", before), panel("without", now)] if after is not viewed.trace else [panel("as it is", before)]
    if np.nanmax(np.abs(now - before)) > 0:
        shown.append(panel("without − with", now - before, signed=True))
    says = f"Pattern of head {layer}.{head}, with and without the heads that are off"
    panels.panels(pack_panels(shown), key="before_after", picture="With and without", says=says, query=viewed.query)


def row_table(viewed: StreamView, after: Any) -> None:
    """The chosen word's row of the opened head, with and without."""
    layer, head, word = viewed.layer, viewed.head, viewed.query
    rows = {"with": viewed.pattern(layer, head), "without": after.pattern(layer, head, stream=viewed.stream)}
    table = pd.DataFrame({"key": [f"{visible(label)} ({i})" for i, label in enumerate(viewed.keys.labels)]})
    for name, cells in rows.items():
        table[name] = 100 * np.where(viewed.may_look(layer), cells, np.nan)[word]
    table["without − with"] = table["without"] - table["with"]
    form = {name: st.column_config.NumberColumn(format="%.2f %%") for name in table.columns[1:]}
    with st.expander("The chosen word's row, in numbers"):
        st.dataframe(table, hide_index=True, height=min(320, 38 + 35 * len(table)), column_config=form)


def _unmoved(viewed: StreamView, off: Heads) -> str:
    """Why a pattern may be the same on both sides."""
    if (viewed.layer, viewed.head) in off and st.session_state["fill"] not in ("zero", "mean"):
        return "This pattern was put in its place."
    if off and viewed.stream is None and all(layer >= viewed.layer for layer, _ in off):
        return (
            "Heads of the same layer and of later ones cannot change this pattern: it is made before they add anything."
        )
    return "Open another head in the map by its square; one pointer marks the same cell in all."
