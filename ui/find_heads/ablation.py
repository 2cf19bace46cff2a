"""Does it matter: switch heads off, one or several, and see what the model says without them."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.figures.canvas.panels import Panel, pack_panels
from attn_core.heads import ablation as effects
from attn_core.heads.replacements import instead
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from attn_core.views import snippets as recipes
from ui.drawing import panels, widgets
from ui.find_heads.ablation_map import Heads, effect_map
from ui.find_heads.search import painted
from ui.link import Param, choice
from ui.stream import Stage, writing

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


def switched_off(stage: Stage) -> Heads:
    """The heads that are off, of those that this model has."""
    here = st.session_state["off"]
    return tuple((layer, head) for layer, head in here if layer < stage.n_layers and head < stage.n_heads)


def toggle(layer: int, head: int) -> None:
    """Callback: switch a head off, or on again; it is then also the opened one."""
    off = set(st.session_state["off"]) ^ {(layer, head)}
    st.session_state["off"] = tuple(sorted(off))
    st.session_state["layer"], st.session_state["head"] = layer, head


def page(stage: Stage) -> str:
    """Everything below the headline; gives the headline."""
    off = switched_off(stage)
    after = stage.run(**_instead(stage, off)) if off else stage.trace
    changed = effects.effect(stage.trace, after, stage.query, stream=stage.stream)
    left, right = st.columns([52, 48], gap="medium")
    with left, widgets.card("effects", "What each head does to this word", _map_hint(stage)):
        settings(stage, off)
        effect_map(stage, off, painted(stage), lambda tile: toggle(tile.layer, tile.head))
    with right, widgets.card("after", "With and without", _after_hint(stage, off)):
        strip(stage)
        outcome(stage, after, changed)
    with widgets.card(
        "patterns", f"Pattern of head {stage.layer}.{stage.head}, with and without", _unmoved(stage, off)
    ):
        patterns(stage, after)
        row_table(stage, after)
    return lead(stage, off, changed)


def lines(stage: Stage) -> str:
    """The lines of Python that switch the same heads off; "" where none is."""
    off, fill = switched_off(stage), st.session_state["fill"]
    return recipes.without(stage.trace, off, stage.query, stage.stream, fill, painted(stage)) if off else ""


def _instead(stage: Stage, off: Heads) -> dict[str, Any]:
    """What the link puts in the place of heads, as options of a pass."""
    gone = [stage.named(*head) for head in off]
    return instead(stage.trace, gone, st.session_state["fill"], painted(stage))


def lead(stage: Stage, off: Heads, changed: effects.Effect) -> str:
    """What happened, as HTML."""
    word = widgets.query(visible(stage.queries.labels[stage.query]))
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


def _map_hint(stage: Stage) -> str:
    what = (
        "the next word's probabilities move"
        if effects.predicts(stage.trace, stage.stream)
        else "its final embedding turns"
    )
    return (
        f"Each head's share of ΔE or, once asked for, how far {what} when that head is switched off. A click switches "
        "a head off, another one on again." + writing(stage)
    )


def _after_hint(stage: Stage, off: Heads) -> str:
    return (
        "Nothing is off: both sides are the same."
        if not off
        else f"{len(off)} of {stage.n_layers * stage.n_heads} heads off."
    )


def settings(stage: Stage, off: Heads) -> None:
    """Which word is looked at, what stands in for a head, and the set of heads that are off."""
    tokens = stage.queries

    def chosen() -> None:
        st.session_state["query"] = st.session_state["effect_word"]

    def set_off() -> None:
        st.session_state["off"] = _parse("_".join(st.session_state["off_heads"]), {})

    st.session_state["effect_word"] = stage.query
    st.session_state["off_heads"] = [f"{layer}.{head}" for layer, head in off]
    every = [f"{layer}.{head}" for layer in range(stage.n_layers) for head in range(stage.n_heads)]
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


def strip(stage: Stage) -> None:
    """The opened head in four numbers."""
    widgets.heading(f"Head {stage.layer}.{stage.head}")
    found = effects.strip(stage.trace, stage.run, stage.layer, stage.head, stage.query, stream=stage.stream)
    widgets.strip(found.parts())


def outcome(stage: Stage, after: Any, changed: effects.Effect) -> None:
    """What the model says with and without: next words, or how far each word turned."""
    if after is stage.trace and changed.unit == "°":
        widgets.note(
            "Nothing is off yet. Click a head in the map, and see by how much each word's final embedding turns."
        )
        return
    table, bars = _next_words(stage, after) if changed.unit == "bits" else _turns(stage, after)
    st.dataframe(
        table,
        hide_index=True,
        height=min(320, 38 + 35 * len(table)),
        column_config=bars,
        alt="What the model says with and without, as numbers.",
    )


def _next_words(stage: Stage, after: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The likeliest next words of both passes and those that moved most, with both probabilities."""
    words = effects.words_compared(stage.trace, after, stage.query)
    rows = [(visible(word.text), 100 * word.before, 100 * word.after) for word in words]
    table = pd.DataFrame(rows, columns=["next word", "with", "without"])
    return table, {name: _bar(name, "%.1f %%", 100.0, width=112) for name in ("with", "without")}


def _turns(stage: Stage, after: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    """By how many degrees each word's final embedding turned."""
    labels = [f"{visible(label)} ({i})" for i, label in enumerate(stage.queries.labels)]
    turns = [effects.effect(stage.trace, after, i, stream=stage.stream).value for i in range(len(labels))]
    table = pd.DataFrame({"word": labels, "turn": turns})
    return table, {"turn": _bar("its final embedding turns by", "%.2f°", max(1.0, *turns))}


def _bar(title: str, form: str, most: float, width: int | None = None) -> Any:
    return st.column_config.ProgressColumn(title, format=form, min_value=0, max_value=most, width=width)


def patterns(stage: Stage, after: Any) -> None:
    """The opened head's pattern before and after on one scale, and what changed."""
    layer, head = stage.layer, stage.head
    masked = ~stage.may_look(layer)
    before = np.where(masked, np.nan, stage.pattern(layer, head))
    now = np.where(masked, np.nan, after.pattern(layer, head, stream=stage.stream))

    def panel(title: str, cells: np.ndarray, signed: bool = False) -> Panel:
        return Panel(
            title=title,
            says=f"head {layer}.{head}",
            cells=cells,
            query_labels=stage.queries.labels,
            key_labels=stage.keys.labels,
            query_special=stage.queries.special,
            key_special=stage.keys.special,
            signed=signed,
        )

    shown = [panel("with", before), panel("without", now)] if after is not stage.trace else [panel("as it is", before)]
    if np.nanmax(np.abs(now - before)) > 0:
        shown.append(panel("without − with", now - before, signed=True))
    says = f"Pattern of head {layer}.{head}, with and without the heads that are off"
    panels.panels(pack_panels(shown), key="before_after", picture="With and without", says=says, query=stage.query)


def row_table(stage: Stage, after: Any) -> None:
    """The chosen word's row of the opened head, with and without."""
    layer, head, word = stage.layer, stage.head, stage.query
    rows = {"with": stage.pattern(layer, head), "without": after.pattern(layer, head, stream=stage.stream)}
    table = pd.DataFrame({"key": [f"{visible(label)} ({i})" for i, label in enumerate(stage.keys.labels)]})
    for name, cells in rows.items():
        table[name] = 100 * np.where(stage.may_look(layer), cells, np.nan)[word]
    table["without − with"] = table["without"] - table["with"]
    form = {name: st.column_config.NumberColumn(format="%.2f %%") for name in table.columns[1:]}
    with st.expander("The chosen word's row, in numbers"):
        st.dataframe(table, hide_index=True, height=min(320, 38 + 35 * len(table)), column_config=form)


def _unmoved(stage: Stage, off: Heads) -> str:
    """Why a pattern may be the same on both sides."""
    if (stage.layer, stage.head) in off and st.session_state["fill"] not in ("zero", "mean"):
        return "This pattern was put in its place."
    if off and stage.stream is None and all(layer >= stage.layer for layer, _ in off):
        return (
            "Heads of the same layer and of later ones cannot change this pattern: it is made before they add anything."
        )
    return "Open another head in the map by its square; one pointer marks the same cell in all."
