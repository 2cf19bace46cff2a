"""The word that is read aloud: choosing it, its row as numbers, and whether the head matters to it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from attn_core.heads.measures import entropy
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from attn_core.views.arrangement import mean_pattern
from ui import glossary, words
from ui.all_heads import packets, spans_control
from ui.all_heads.first_screen import Reading
from ui.all_heads.head import ArrangedHead
from ui.all_heads.head_charts import FACE, MEAN, choose_row
from ui.drawing import controls, widgets
from ui.shared_params import QUERIES_IN

WORDS = words.beside(__file__)


def table(head: ArrangedHead) -> None:
    """The chosen row as numbers that can be sorted."""
    rows = packets.row_table(head)
    widgets.table(
        rows,
        hide_index=True,
        height="content" if len(rows) < 12 else 400,
        column_config={
            "weight": st.column_config.NumberColumn("weight", format="%.6f"),
            "share": st.column_config.ProgressColumn("share", format="%.2f %%", min_value=0, max_value=100),
        },
        alt=WORDS.text("head.table_alt", word=head.word),
    )
    if head.segments is not None:
        st.html(f'<div class="hl-hint">{WORDS.html("head.segments", shares=head.segments.said)}</div>')


def switches(head: ArrangedHead) -> None:
    """What can be adjusted about one head."""
    with st.container(horizontal=True, gap="small"):
        _word_picker(head)
        controls.switch(FACE)
        controls.switch(QUERIES_IN)
        controls.switch(MEAN)
        spans_control.popover(head)


def _word_picker(head: ArrangedHead) -> None:
    """Choose the word that is read aloud."""
    places = zip(head.arrangement.labels, head.said_positions, strict=True)
    controls.word_picker(
        "word", [f"{visible(label)} ({at})" for label, at in places], head.row, partial(choose_row, head.positions)
    )


def _explained(what: str) -> str:
    """What a number is, as a term of the glossary where it is one."""
    name = {"entropy": "entropy", "turn if switched off": "off", "of this layer's ΔE": "delta"}.get(what)
    name = "sink" if what.startswith("on ") else name
    return glossary.term(name, what) if name else what


def summary(reading: Reading, head: ArrangedHead) -> None:
    """Does this head matter to the chosen word? One of the numbers costs another forward pass, so it comes last."""
    query = head.positions[head.row]
    if head.is_one and head.row not in head.arrangement.spans:
        found = reading.summarise(head.layer, head.head, query)
        widgets.number_row([(number, _explained(what)) for number, what in found.parts()], found.effect.says)
        return
    place = head.arrangement.places[head.row]
    row = mean_pattern(head.trace, head.layer, head.head, head.mean)[place].mean(axis=0)  # of a phrase its words' mean
    share, name = percent(float(row[head.arrangement.keys.sink].sum())), head.sink_name
    on_sink = [(share, WORDS.text("head.on_sink", sink=name))] if name else []
    widgets.number_row([*on_sink, (f"{float(entropy(row)):.1f} bits", _explained("entropy"))])
