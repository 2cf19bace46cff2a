"""Does it matter, for all heads at once: layers × heads, by share of ΔE or by what switching each one off does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.figures.canvas import heads as tiles
from attn_core.heads import ablation
from ui.drawing import canvas
from ui.server import shared
from ui.stream import StreamView

Heads = tuple[tuple[int, int], ...]
SLOW = 2.0  # seconds; what takes longer is announced


def effect_map(viewed: StreamView, off: Heads, painted: Heads, on_open: Callable[[canvas.Opened], None]) -> None:
    """Shares of ΔE at once, effects when somebody asks for them; a click calls `on_open`."""
    fill = st.session_state["fill"]
    paint = painted if fill == "painted" else ()
    known = st.session_state.setdefault("effects_known", {})
    key = (viewed.reads, viewed.query, fill, paint, off)
    if key in known:
        values, unit = known[key], "bits" if ablation.predicts(viewed.trace, viewed.stream) else "degrees"
        name, texts = f"effect of switching off, in {unit}", [[f"{v:.2g}" for v in row] for row in values]
    else:
        layers = range(viewed.n_layers)
        values = np.stack([ablation.delta_shares(viewed.trace, i, viewed.query, stream=viewed.stream) for i in layers])
        name, texts = "share of its layer's ΔE at this word, in %", [[f"{100 * v:.0f}" for v in row] for row in values]
    for layer, head in off:
        texts[layer][head] = "off"
    canvas.overview(
        tiles.pack_values(values, texts, name=name),
        key="effects",
        picture="What each head does",
        says=f"Layers × heads: {name}",
        selected=(viewed.layer, viewed.head),
        on_open=on_open,
    )
    with st.expander("The numbers"):
        st.dataframe(_ranked(values if key in known else 100 * values, name), hide_index=True, height=282)
    if key not in known and asked_for_effects(viewed):
        known.clear()  # one map at a time is looked at
        known[key] = _effects(viewed, off, fill, paint)
        st.rerun()


def _ranked(values: np.ndarray, name: str) -> pd.DataFrame:
    """Every head with its number, the largest first."""
    heads = [f"{layer}.{head}" for layer, head in np.ndindex(values.shape)]
    table = pd.DataFrame({"head": heads, name: values.ravel()})
    return table.sort_values(name, ascending=False, kind="stable", ignore_index=True)


def asked_for_effects(viewed: StreamView) -> bool:
    """One pass a head, so only on request, with its cost said."""
    n = viewed.n_layers * viewed.n_heads
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        asked = st.button("Switch off each head in turn", key="ask_effects")
        st.html(f'<span class="hl-hint">{n} passes through the model, about {_forecast(viewed, n)}.</span>')
    return asked


def _effects(viewed: StreamView, off: Heads, fill: str, paint: Any) -> np.ndarray:
    """The effect of every head, [layer, head], with its progress shown and a way out: any click stops it."""
    n = viewed.n_layers * viewed.n_heads
    st.button("Stop", key="stop_effects")
    bar = st.progress(0.0)
    values = np.zeros((viewed.n_layers, viewed.n_heads))
    gone = [viewed.named(*head) for head in off]
    each = ablation.switch_off_each(
        viewed.trace, viewed.run_once, viewed.query, stream=viewed.stream, replacement=fill, off=gone, painted=paint
    )
    for done, (layer, head, value) in enumerate(each, start=1):
        values[layer, head] = value
        bar.progress(done / n, text=f"{done} of {n} heads")
    return values


def _forecast(viewed: StreamView, n: int) -> str:
    """How long n passes take, from one that is timed now."""

    def timed() -> float:
        begun = time.monotonic()
        viewed.run_once(without=[viewed.named(0, 0)])
        return time.monotonic() - begun

    seconds = n * shared.memoize(viewed.trace, "seconds a pass", timed)
    return "a second" if seconds < SLOW else f"{seconds:.0f} seconds"
