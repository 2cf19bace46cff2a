"""Does it matter, for all heads at once: layers × heads, by share of ΔE or by what switching each one off does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from attn_core.figures.canvas.heads import pack_values
from attn_core.heads.ablation import outcome, switch_off_each
from attn_core.settings import is_public
from ui import words
from ui.drawing import canvas, widgets
from ui.find_heads import ablation
from ui.find_heads.ablation import Heads
from ui.find_heads.search import Cells
from ui.server import budget
from ui.shell.folds import fold
from ui.stream import StreamView

if TYPE_CHECKING:
    pass

WORDS = words.beside(__file__)
SLOW = 2.0  # seconds; what takes longer is announced


def effect_map(
    viewed: StreamView, off: Heads, replacement: str, painted: Cells, on_open: Callable[[canvas.Opened], None]
) -> None:
    """Shares of ΔE at once, effects when somebody asks for them; a click calls `on_open`."""
    painted = painted if replacement == "painted" else ()
    known = st.session_state.setdefault("effects_known", {})
    key = (viewed.reads, viewed.query, replacement, painted, off)
    if key in known:
        unit = "degrees" if outcome(viewed.reader) == "turn" else "bits"
        values, shown, form, name = known[key], known[key], ".2g", WORDS.text("ablation.map.effect", unit=unit)
    else:
        values = ablation.shares_of_delta_e(viewed.reader, viewed.query)
        shown, form, name = 100 * values, ".0f", WORDS.text("ablation.map.share")
    values = ablation.without_off(values, off)
    canvas.overview(
        pack_values(values, ablation.texts_with_off(shown, form, off), name=name),
        key="effects",
        picture=WORDS.text("ablation.map.picture"),
        says=WORDS.text("ablation.map.caption", name=name),
        selected=(viewed.layer, viewed.head),
        on_open=on_open,
    )
    fold(
        WORDS.text("ablation.map.fold", name=name),
        "numbers_effects",
        lambda: widgets.table(ablation.ranked(shown, name), hide_index=True, height=282),
    )
    if key not in known and _asked_for_effects(viewed):
        known.clear()  # one map at a time is looked at
        known[key] = _effects(viewed, off, replacement, painted)
        st.rerun()


def _asked_for_effects(viewed: StreamView) -> bool:
    """One pass a head, so only on request, with its cost said; strangers get it for sentences that a page may cost."""
    passes = viewed.n_layers * viewed.n_heads
    most = budget.fitting([(len(viewed.queries), passes)]) if is_public() else None
    if most is not None:
        widgets.note(WORDS.text("ablation.map.too_long", passes=passes, tokens=most))
        return False
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        asked = st.button(WORDS.text("ablation.map.ask"), key="ask_effects")
        seconds = passes * viewed.seconds_a_pass()
        if seconds < SLOW:
            cost = WORDS.html("ablation.map.cost_second", passes=passes)
        else:
            cost = WORDS.html("ablation.map.cost_seconds", passes=passes, seconds=seconds)
        st.html(f'<span class="hl-hint">{cost}</span>')
    return asked


def _effects(viewed: StreamView, off: Heads, replacement: str, painted: Cells) -> np.ndarray:
    """The effect of every head, [layer, head], with its progress shown and a way out: any click stops it."""
    passes = viewed.n_layers * viewed.n_heads
    st.button("Stop", key="stop_effects")
    bar = st.progress(0.0)
    values = np.zeros((viewed.n_layers, viewed.n_heads))
    each = switch_off_each(
        viewed.reader,
        viewed.run_once,
        viewed.query,
        replacement=replacement,
        off=off,
        painted=painted,
    )
    for done, (layer, head, value) in enumerate(each, start=1):
        values[layer, head] = value
        bar.progress(done / passes, text=WORDS.text("ablation.map.progress", done=done, passes=passes))
    return values
