"""All heads at a glance: which picture each tile holds, and what happens when one is opened."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attn_core.figures.canvas import heads as tiles
from attn_core.heads import measures
from attn_core.text.numbers import percent
from ui.all_heads import head as one_head
from ui.all_heads.head import OneHead
from ui.drawing import canvas, widgets
from ui.link import choice
from ui.server import shared

PARAMS = [choice("tiles", ("pattern", "delta"))]


def titled(shown: OneHead) -> None:
    if shown.page.state["tiles"] == "delta":
        what = "Each square says how much one head adds: the mean size of its ΔE."
    else:
        what = "Each square is one head's attention pattern."
    widgets.heading("Every head of every layer", f"Rows are layers, columns are heads. {what} Click one to open it.")


def switches(shown: OneHead) -> None:
    """What all tiles share: what they show, their scale, the sink, and words or pieces."""
    name = one_head.sink_name(shown.arrangement, shown.trace.tokens)
    with st.container(horizontal=True, gap="small"):
        widgets.switch("Tiles", {"pattern": "pattern", "delta": "ΔE size"}, "tiles")
        widgets.switch("Scale", {"sqrt": "√ scale", "linear": "linear"}, "scale")
        widgets.switch("Words", {"pieces": "pieces", "words": "whole words"}, "unit")
        if name:
            widgets.switch("Special tokens", {"show": "show specials", "hide": "hide, renormalise"}, "specials")


def draw(shown: OneHead) -> None:
    """The canvas of every head; a click, or the arrow keys and Enter, opens one."""
    view = shown.page.state
    pack = _pack_sizes if view["tiles"] == "delta" else _pack_patterns
    what = (view["tiles"], shown.arrangement.hides_sink, view["unit"])
    packet = shared.memoize(shown.trace, what, lambda: pack(shown))

    def opened(tile: canvas.Opened) -> None:
        st.session_state["layer"], st.session_state["head"] = tile.layer, tile.head
        st.session_state["mean"] = "one"
        one_head.choose(shown.places, tile.query)

    step = f"clamp(22px, (100cqw - 27px) / {shown.trace.n_heads}, 103px)"  # as in overview.js
    with widgets.kept_place("overview", f"calc({shown.trace.n_layers} * {step} + 46px)"):
        canvas.overview(
            packet,
            key="overview",
            picture="Every head of every layer",
            says=_says(shown),
            selected=(shown.page.layer, shown.page.head),
            scale=view["scale"],
            on_open=opened,
        )


def _says(shown: OneHead) -> str:
    what = "the mean size of its ΔE" if shown.page.state["tiles"] == "delta" else "its attention pattern"
    return f"Every head of every layer: rows are layers, columns are heads, in each square {what}"


def _pack_patterns(shown: OneHead) -> bytes:
    trace, arrangement = shown.trace, shown.arrangement
    layers = range(trace.n_layers)
    return tiles.pack_patterns(
        (arrangement.pattern(trace.patterns(layer)) for layer in layers),
        trace.n_layers,
        arrangement.labels,
        query_positions=shown.places,
        may_look=[arrangement.may_look(trace.may_look(layer)) for layer in layers],
        notes=[_sink_notes(shown, layer) for layer in layers],
    )


def _sink_notes(shown: OneHead, layer: int) -> list[str]:
    """How much of each head rests on the sink: "8.5 % on [CLS] [SEP]"."""
    name = one_head.sink_name(shown.arrangement, shown.trace.tokens)
    shares = measures.share_on(shown.trace.patterns(layer), shown.arrangement.sink).mean(axis=-1)
    return [f"{percent(float(share))} on {name}" if name else "" for share in shares]


def _pack_sizes(shown: OneHead) -> bytes:
    """How much each head adds: the size of its ΔE, mean over the sentence's own tokens."""
    said = [not special for special in shown.trace.tokens.special]
    sizes = np.stack([shown.trace.delta_e_sizes(layer)[:, said].mean(axis=-1) for layer in range(shown.trace.n_layers)])
    texts = [[f"{size:.2f}" for size in row] for row in sizes]
    return tiles.pack_values(sizes, texts, name="size of ΔE, mean over words")
