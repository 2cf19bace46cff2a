"""The word that is read aloud: choosing it, its row as a sentence and as numbers, does the head matter to it."""

from __future__ import annotations

import streamlit as st

from attn_core.heads import ablation
from attn_core.heads.measures import entropy
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from attn_core.views import headlines as sentences
from attn_core.views import recorded
from attn_core.views.arrangement import mean_pattern
from ui.all_heads import head as one_head
from ui.all_heads.head import OneHead
from ui.drawing import widgets
from ui.server.cache import unwrap


def read_aloud(shown: OneHead) -> None:
    """The chosen row as a sentence."""
    labels = shown.arrangement.labels
    row = shown.pattern[shown.row]
    widgets.reading(widgets.say(sentences.reading(row, labels, shown.places, shown.row, shown.who)))


def table(shown: OneHead) -> None:
    """The chosen row as numbers that can be sorted; a masked key says so."""
    import pandas as pd

    row, seen = shown.pattern[shown.row], shown.may_look[shown.row]
    frame = pd.DataFrame(
        {
            "position": shown.places,
            "key": [visible(label) for label in shown.arrangement.labels],
            "weight": [float(weight) if may else None for weight, may in zip(row, seen, strict=True)],
            "share": [100 * float(weight) if may else None for weight, may in zip(row, seen, strict=True)],
        }
    )
    asks = visible(shown.arrangement.labels[shown.row])
    st.dataframe(
        frame.sort_values("weight", ascending=False, kind="stable"),
        hide_index=True,
        height="content" if len(frame) < 12 else 400,
        column_config={
            "weight": st.column_config.NumberColumn("weight", format="%.6f"),
            "share": st.column_config.ProgressColumn("share", format="%.2f %%", min_value=0, max_value=100),
        },
        alt=f"Weights of {asks} on every key.",
    )


def word_picker(shown: OneHead) -> None:
    """Choose the word that is read aloud; its label is shown as text, whatever was typed."""

    def picked() -> None:
        one_head.choose(shown.places, st.session_state["word"])

    st.session_state["word"] = shown.row
    st.selectbox(
        "Word",
        range(len(shown.places)),
        format_func=lambda row: f"{visible(shown.arrangement.labels[row])} ({shown.places[row]})",
        key="word",
        on_change=picked,
        label_visibility="collapsed",
        width=190,
    )


def switches(shown: OneHead) -> None:
    """What can be adjusted about one head."""
    with st.container(horizontal=True, gap="small"):
        word_picker(shown)
        widgets.switch("Show as", {"heatmap": "heatmap", "table": "table"}, "face")
        widgets.switch("Queries", {"rows": "queries in rows", "columns": "in columns"}, "queries")
        widgets.switch(
            "Mean", {"one": "this head", "heads": "mean of heads", "layers": "of layers", "all": "of all"}, "mean"
        )


def strip(shown: OneHead) -> None:
    """Does this head matter to the chosen word? One of the numbers costs another forward pass, so it comes last."""
    layer, head, query = shown.page.layer, shown.page.head, shown.places[shown.row]
    if shown.page.state["mean"] != "one":
        row = mean_pattern(shown.trace, layer, head, shown.page.state["mean"])[query]
        name = one_head.sink_name(shown.arrangement, shown.trace.tokens)
        resting = [(percent(float(row[shown.arrangement.sink].sum())), f"on {name}")] if name else []
        widgets.strip([*resting, (f"{float(entropy(row)):.1f} bits", "entropy")])
    elif isinstance(unwrap(shown.trace), recorded.Recorded):
        widgets.strip(recorded.strip(shown.trace, layer, head, query).parts())
    else:
        found = ablation.summarise_head(shown.trace, shown.page.again(shown.trace), layer, head, query)
        widgets.strip(found.parts(), found.effect.says)
