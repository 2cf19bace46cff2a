"""Who told the meanings apart: every head of every layer, the MLPs beside them, where the strongest heads looked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st
from markupsafe import Markup

from attn_core.figures.canvas.heads import pack_values
from attn_core.figures.charts.delta_e import layer_bars
from attn_core.residual import senses
from attn_core.text.numbers import percent
from ui import words
from ui.drawing import canvas, controls, gallery, widgets
from ui.drawing.events import chosen_row
from ui.drawing.markup import token_name
from ui.param import choice
from ui.shell.folds import fold
from ui.shell.menu import go
from ui.stream_links import open_head
from ui.word_senses.comparison import PAIR, Meaning, SenseComparison
from ui.words import together

APART = choice("apart", {"beyond": "beyond the baseline", "all": "everything"}, label="Beyond")
PARAMS = [APART]
WORDS = words.beside(__file__)
MOST_HEADS = 8


def pair_switch(comparison: SenseComparison) -> None:
    options = {f"{a}-{b}": comparison.name_of((a, b)) for a, b in comparison.pairs}
    if st.session_state[PAIR.name] not in options:
        st.session_state[PAIR.name] = next(iter(options))
    with st.container(horizontal=True, gap="small"):
        controls.switch(PAIR, options)
        if len(comparison.baselines):
            controls.switch(APART)


@dataclass(frozen=True, eq=False)
class RankedSeparation:
    """Who separates the chosen pair: in all, in pairs of one sense (None without baseline), and what is ranked."""

    whole: senses.Separation
    usual: senses.Separation | None
    ranked: senses.Separation


def separate_pair(comparison: SenseComparison) -> RankedSeparation:
    a, b = (comparison.meanings[i].occurrence for i in comparison.pair)
    whole = senses.separation(a, b)
    twins = [senses.separation(m.occurrence, m.baseline) for m in comparison.meanings if m.baseline is not None]
    usual = senses.mean_separation(twins) if twins else None
    beyond = usual is not None and st.session_state["apart"] == "beyond"
    return RankedSeparation(whole, usual, whole.above_baseline(usual) if beyond and usual is not None else whole)


def head_map(comparison: SenseComparison, separation: RankedSeparation) -> None:
    """‖ΔE_a − ΔE_b‖ of every head of every layer; a click opens one."""
    values = separation.ranked.heads
    name = WORDS.text("separation.name", _ranked_by(separation), pair=comparison.name_of(comparison.pair))
    packet = pack_values(values, [[f"{x:.2f}" for x in row] for row in values], name=name)
    canvas.overview(
        packet,
        key="senses_map",
        picture=WORDS.text("separation.title"),
        says=WORDS.text("separation.caption", name=name),
        selected=(comparison.page.layer, comparison.page.head),
        scale="linear",
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )


def attention_or_mlp(comparison: SenseComparison, separation: RankedSeparation) -> None:
    """Attention beside the MLPs, layer by layer, and who did more."""
    ranked = separation.ranked
    pair = comparison.name_of(comparison.pair)
    name = WORDS.text("separation.layers", pair=pair)
    figure = partial(layer_bars, ranked.attention, ranked.mlp, name=name)
    alt = WORDS.text("separation.layers_alt")
    says = WORDS.text("separation.layers_caption", name=name)
    gallery.plot("Attention and MLP by layer", figure, key="senses_layers", alt=alt, says=says)
    widgets.reading(who_did_more(ranked, _ranked_by(separation), pair))
    fold("The numbers: every head of every layer, attention and MLP", "numbers_heads", partial(_numbers, ranked))


def _numbers(ranked: senses.Separation) -> None:
    heads = {f"head {head}": ranked.heads[:, head] for head in range(ranked.heads.shape[1])}
    table = {"layer": range(len(ranked.mlp)), **heads, "attention": ranked.attention, "MLP": ranked.mlp}
    widgets.table(pd.DataFrame(table), hide_index=True)


def _ranked_by(separation: RankedSeparation) -> str:
    """What is ranked: "all" of the separation, or what goes "beyond" the baseline."""
    return "all" if separation.ranked is separation.whole else "beyond"


def who_did_more(ranked: senses.Separation, what: str, pair: str) -> Markup:
    """MLPs and attention summed over the layers, and in how many layers the MLP leads."""
    attention, mlp = float(ranked.attention.sum()), float(ranked.mlp.sum())
    leads = int((ranked.mlp > ranked.attention).sum())
    if mlp > attention:
        said = WORDS.html("separation.more", what, pair=pair, mlp=mlp, attention=attention)
    else:
        said = WORDS.html("separation.less", what, pair=pair, mlp=mlp, attention=attention)
    return together(
        said, WORDS.html("separation.leads", n=leads, layers=len(ranked.mlp)), WORDS.html("separation.alone")
    )


def top_heads(comparison: SenseComparison, separation: RankedSeparation) -> None:
    """The heads that separate the pair most, and what they looked at in each sentence, side by side."""
    a, b = (comparison.meanings[i] for i in comparison.pair)
    rows = []
    for layer, head in separation.ranked.strongest(MOST_HEADS):
        row = {"head": f"{layer}.{head}", "separation": separation.whole.heads[layer, head]}
        if separation.usual is not None:
            row["baseline"] = separation.usual.heads[layer, head]
        rows.append(
            row | {WORDS.text("separation.looked_at", letter=m.letter): _looked_at(m, layer, head) for m in (a, b)}
        )

    def picked() -> None:
        strongest = separation.ranked.strongest(MOST_HEADS)
        row = chosen_row(st.session_state["top_heads"], len(strongest))
        if row is not None:
            open_head(*strongest[row])

    number = {name: st.column_config.NumberColumn(name, format="%.2f", width=74) for name in ("separation", "baseline")}
    widgets.table(
        pd.DataFrame(rows),
        key="top_heads",
        on_select=picked,
        selection_mode="single-row",
        hide_index=True,
        row_height=36,
        alt=WORDS.text("separation.heads_alt"),
        column_config=number | {"head": st.column_config.TextColumn("head", width=58)},
    )
    _page_links(comparison)


def _page_links(comparison: SenseComparison) -> None:
    """Links that open the chosen head in other pages, in either sentence."""
    a, b = (comparison.meanings[i] for i in comparison.pair)
    layer, head = comparison.page.layer, comparison.page.head
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="page_links"):
        st.html(f'<span class="hl-try">{WORDS.html("separation.open", head=f"{layer}.{head}")}</span>', width="content")
        for meaning in (a, b):
            where = {"text": meaning.sentence, "layer": layer, "head": head, "query": meaning.pieces[0]}
            go("all_heads", f"in {meaning.letter}", **where)
            go("delta_e", f"its ΔE in {meaning.letter}", **where)
            go("why_there", f"why in {meaning.letter}", ("why", "score"), **where)
        go("why_there", "its card", ("why", "card"), text=a.sentence, layer=layer, head=head)


def _looked_at(meaning: Meaning, layer: int, head: int) -> str:
    """The three words that got most of the weight, as plain text."""
    tokens, weights = meaning.trace.tokens, senses.looks(meaning.trace.value(), layer, head, meaning.pieces)
    best = np.argsort(-weights)[:3]
    return ", ".join(f"{token_name(tokens.labels, i)} {percent(float(weights[i]))}" for i in best)
