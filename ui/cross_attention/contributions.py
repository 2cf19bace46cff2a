"""Which word came from which, and what cross-attention adds: the alignment as a table, ΔE by head and by word."""

from __future__ import annotations

from contextlib import AbstractContextManager

import streamlit as st

from attn_core.text.decoding import visible
from ui import words
from ui.cross_attention.inputs import ALIGN, heads_named, open_head
from ui.cross_attention.translation import Translation, head_names
from ui.drawing import canvas, gallery, widgets

WORDS = words.beside(__file__)


def alignment_card() -> AbstractContextManager[object]:
    """The card of the table of words."""
    return widgets.card("alignment", WORDS.html("alignment.card"), WORDS.html("alignment.hint"))


def alignment(found: Translation) -> None:
    """Which source word each word came from: the largest weight of its row, in one head or a mean of several."""
    chosen = st.multiselect(
        ALIGN.label,
        head_names(found.cross.n_layers, found.cross.n_heads),
        key=ALIGN.name,
        placeholder=WORDS.text("alignment.placeholder", who=found.who),
    )
    table, crossed = found.alignment(heads_named(chosen))
    weight = st.column_config.ProgressColumn("weight", format="%.1f %%", min_value=0, max_value=100)
    widgets.table(
        table,
        hide_index=True,
        height="content" if len(table) < 14 else 480,
        column_config={"weight": weight},
        alt=WORDS.text("alignment.alt"),
    )
    st.html(f'<div class="hl-hint">{words.together(crossed, WORDS.html("alignment.end"))}</div>')


def head_sizes(found: Translation) -> None:
    """How much every cross head adds to the row of the chosen word; a click opens a head."""
    widgets.heading(WORDS.html("delta.heads.title"), WORDS.html("delta.heads.hint"))
    canvas.overview(
        found.sizes_packet(),
        key="cross_sizes",
        picture=WORDS.text("delta.heads.picture"),
        says=WORDS.text("delta.heads.caption", word=found.word),
        selected=(found.layer, found.head),
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )


def sources(found: Translation) -> None:
    """Where the open head's ΔE of the chosen word came from, source word by source word."""
    widgets.heading(WORDS.html("delta.sources.title", who=found.who.capitalize()), WORDS.html("delta.sources.hint"))
    says = WORDS.text("delta.sources.caption", who=found.who, word=found.word)
    labels = [visible(label) for label in found.keys.labels]
    gallery.bars(WORDS.text("delta.sources.picture"), labels, found.source_columns(), says=says, head="from")
