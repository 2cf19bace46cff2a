"""The pictures of a translator's attention: lines between two sentences, three maps, the alignment, ΔE across."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from attn_core.figures.canvas import heads as tiles
from attn_core.figures.canvas.links import pack_links
from attn_core.figures.charts.heatmap import clicked
from attn_core.figures.charts.heatmap import heatmap as heatmap_figure
from attn_core.figures.html.bar_table import Column
from attn_core.prediction import translation
from attn_core.residual import decomposition, geometry
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, signed
from ui.cross_attention.sentences import Shown, choose, head_names
from ui.drawing import canvas, gallery, widgets
from ui.page import go

# --- Cross-attention, large -------------------------------------------------------------------------------------------


def lines(shown: Shown) -> None:
    """The two sentences as two columns with lines between them: where they cross, words changed places."""
    widgets.heading(
        f"{shown.who.capitalize()} between the two sentences",
        'Left, the words being written ask (<b class="hl-q">query</b>). Right, the words that were read answer '
        '(<b class="hl-k">key</b>). Hover a word to see only its lines.',
    )

    def pinned(pin: canvas.Pin) -> None:
        if pin.side == "query":
            choose(pin.position)

    pin: tuple[canvas.Side, int] | None = None  # without a choice, all lines are drawn
    if shown.page.state["row"] is not None:
        pin = ("query", shown.row)
    packet = pack_links(
        shown.pattern[None],
        shown.rows,
        shown.keys.labels,
        heads=[shown.who.removeprefix("head ")],
        key_special=shown.keys.special,
        key_words=shown.keys.words,
        captions=("writes (asks)", "was read (answers)"),
    )
    says = "Lines between the two sentences: " + ("all of 1 % and more" if pin is None else "those of the chosen word")
    canvas.links(packet, key="cross_links", picture="Lines between the sentences", says=says, pinned=pin, on_pin=pinned)
    widgets.switch("Rows", {"produced": "the word being produced", "read": "the word being read"}, "rows")
    if shown.page.state["rows"] == "produced":
        why = "A row is named by the word that it produces. Its query was made of the word before."
    else:
        why = "A row is named by the word that the decoder has just read, which is one word behind the one it produces."
    st.html(f'<div class="hl-hint">{why}</div>')


def cross_map(shown: Shown) -> None:
    """The same numbers as a heatmap, with layer and head to step through."""
    widgets.heading(
        f"Cross-attention · layer {shown.layer} · head {shown.head}",
        'Rows ask (<b class="hl-q">query</b>), columns answer (<b class="hl-k">key</b>). Every row sums to 1.',
    )
    with st.container(horizontal=True, gap="small"):
        widgets.stepper("Layer", "cross_layer", shown.tops[0])
        widgets.stepper("Head", "cross_head", shown.tops[1])

    figure = partial(
        heatmap_figure,
        shown.pattern,
        shown.rows,
        shown.keys.labels,
        head=shown.who.removeprefix("head "),
        selected_query=shown.row,
        marked_keys=[shown.aligned[shown.row].key],
        key_special=shown.keys.special,
        clickable=True,
    )
    alt = f"Cross-attention of {shown.who}: {len(shown.rows)} words written, {len(shown.keys)} words read."
    gallery.plot(
        "Cross-attention", figure, key="cross_heatmap", alt=alt, says=alt, on_select=_picked, selection_mode="points"
    )


def _picked() -> None:
    cell = clicked(st.session_state["cross_heatmap"])
    choose(None if cell is None else cell[0])


# --- The three kinds beside each other --------------------------------------------------------------------------------

KINDS = {
    "encoder": ("Encoder: source to source", "Every word may look at every word of its own sentence."),
    "decoder": ("Decoder: target to target", "A word may look back at what is written so far, never ahead (hatched)."),
    "cross": (
        "Cross: target to source",
        "The words being written look at those that were read; nothing is hidden.",
    ),
}


def three_maps(shown: Shown) -> None:
    """The same layer and head of all three kinds of attention; a stack that has fewer shows its last."""
    for column, (stream, (title, hint)) in zip(st.columns(3, gap="medium"), KINDS.items(), strict=True):
        with column:
            _map(shown, stream, title, hint)


def _map(shown: Shown, stream: str, title: str, hint: str) -> None:
    trace = shown.trace
    layer, head = shown.place(stream)
    _, keys = trace.tokens_of(stream)
    widgets.heading(title, f"{hint} Layer {layer}, head {head}.")
    figure = partial(
        heatmap_figure,
        trace.pattern(layer, head, stream=stream),
        keys.labels if stream == "encoder" else shown.rows,
        shown.read if stream == "decoder" else keys.labels,
        head=f"{layer}.{head}",
        masked=~trace.may_look(layer, stream=stream),
        legend=False,
    )
    alt = f"{title}, layer {layer}, head {head}"
    gallery.plot(title, figure, key=f"map_{stream}", alt=f"{alt}.", says=alt)


def what_differs() -> None:
    """What self- and cross-attention have in common, and the one thing that differs."""
    st.html(
        '<div class="hl-hint">The mathematics is the same in all three: scores = query · key ÷ √d, softmax, a weighted '
        'sum of values. What differs is where they come from. In self-attention <b class="hl-q">queries</b>, '
        '<b class="hl-k">keys</b> and <b class="hl-v">values</b> are made of one sentence; in cross-attention the '
        '<b class="hl-q">queries</b> are made of the sentence being written, and <b class="hl-k">keys</b> and '
        '<b class="hl-v">values</b> of the one that was read. The two need not be of one kind: a model that '
        "transcribes speech looks from words into a recording.</div>"
    )


# --- Other pages ------------------------------------------------------------------------------------------------------


def other_pages(shown: Shown) -> None:
    """Links that take the two sentences and the open cross head along."""
    view = shown.page.state
    along = {
        "model": view["translator"],
        "text": view["source"],
        "target": view["translation"],
        "stream": "cross",
        "layer": shown.layer,
        "head": shown.head,
        "query": shown.row,
    }
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.html(f'<span class="hl-hint">{shown.who.capitalize()} elsewhere:</span>', width="content")
        go("step_by_step", "step by step", **along)
        go("delta_e", "its ΔE, number by number", **along)
        go("find_heads", "find heads like it", **along)


# --- Alignment and ΔE -------------------------------------------------------------------------------------------------


def alignment(shown: Shown) -> None:
    """Which source word each word came from: the largest weight of its row, in one head or a mean of several."""
    import pandas as pd

    n_layers, n_heads = shown.trace.n_layers_of("cross"), shown.trace.n_heads_of("cross")
    chosen = st.multiselect(
        "Mean of heads", head_names(n_layers, n_heads), key="align", placeholder=f"only {shown.who}, the one above"
    )
    heads = [(int(layer), int(head)) for layer, head in (name.split(".") for name in chosen)]
    heads = heads or [(shown.layer, shown.head)]
    found = translation.align(translation.mean_pattern(shown.trace, heads))
    table = pd.DataFrame(
        {
            "written": [visible(shown.produced[entry.query]) for entry in found],
            "came from": [visible(shown.keys.labels[entry.key]) for entry in found],
            "weight": [100 * entry.weight for entry in found],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        height="content" if len(table) < 14 else 480,
        column_config={
            "weight": st.column_config.ProgressColumn("weight", format="%.1f %%", min_value=0, max_value=100)
        },
        alt="Each written word, the word that its row looks at most, and the weight.",
    )
    crossed = len(translation.crossings(found[:-1]))
    st.html(f'<div class="hl-hint">{_crossed(crossed)} An end sign may look anywhere: nothing is left to say.</div>')


def _crossed(count: int) -> str:
    if count == 0:
        return "No lines cross: the words kept their order."
    return f"{count} pair{'s' if count > 1 else ''} of neighbouring lines cross{'' if count > 1 else 'es'}."


def clearest(shown: Shown) -> None:
    """A way to the cross head that lines the sentences up best, where a less clear one is open."""
    layer, head = translation.best_alignment_head(shown.trace)
    best = translation.alignment_score(shown.trace.pattern(layer, head, stream="cross"), shown.keys.special)

    def opened() -> None:
        st.session_state["cross_layer"], st.session_state["cross_head"] = layer, head

    if translation.alignment_score(shown.pattern, shown.keys.special) < 0.9 * best:
        st.button(f"Open head {layer}.{head}, whose lines are clearest", key="clearest", on_click=opened)


def head_sizes(shown: Shown) -> None:
    """How much every cross head adds to the row of the chosen word; a click opens a head."""
    layers = range(shown.trace.n_layers_of("cross"))
    added = [shown.trace.heads_delta_e(layer, shown.row, stream="cross") for layer in layers]  # [head, d_model] each
    sizes = geometry.norm(np.stack(added))
    texts = [[f"{size:.2f}" for size in row] for row in sizes]

    def opened(tile: canvas.Opened) -> None:
        st.session_state["cross_layer"], st.session_state["cross_head"] = tile.layer, tile.head

    widgets.heading("Every cross head", "Rows are layers, columns are heads: the size of ΔE. Click one to open it.")
    canvas.overview(
        tiles.pack_values(sizes, texts, name="size of ΔE"),
        key="cross_sizes",
        picture="Size of every cross head's ΔE",
        says=f"Layers × heads: size of ΔE for the row of {visible(shown.produced[shown.row])}",
        selected=(shown.layer, shown.head),
        on_open=opened,
    )


def sources(shown: Shown) -> None:
    """Where the open head's ΔE of the chosen word came from, source word by source word."""
    parts = decomposition.sources(shown.trace, shown.layer, shown.head, shown.row, stream="cross")
    widgets.heading(
        f"{shown.who.capitalize()}, word by word",
        "A weight is not yet a contribution: the value it multiplies may be short or point elsewhere.",
    )
    columns = [
        Column("weight", parts.weights, [percent(float(weight)) for weight in parts.weights], "key", 1.0),
        Column("length of value", parts.lengths, [f"{length:.2f}" for length in parts.lengths], "value"),
        Column("adds along ΔE", parts.along, [signed(round(float(part), 2)) for part in parts.along], "delta"),
    ]
    says = f"Where cross {shown.who}'s ΔE for {visible(shown.produced[shown.row])} came from"
    gallery.bars(
        "What cross-attention adds", [visible(label) for label in shown.keys.labels], columns, says=says, head="from"
    )


def read_aloud(shown: Shown) -> None:
    """The chosen row as a sentence."""
    row, labels = shown.pattern[shown.row], shown.keys.labels
    strongest = sorted(range(len(labels)), key=lambda key: -row[key])[:4]
    said = [("To write ", ""), (visible(shown.produced[shown.row]), "query"), (": ", "")]
    for n, key in enumerate(key for key in strongest if row[key] >= 0.005):
        said += [(", " if n else "", ""), (visible(labels[key]), "key"), (f" {percent(float(row[key]))}", "")]
    widgets.reading(widgets.say([*said, (".", "")]))
