"""The other pictures of the ΔE page: each function draws one card's worth for the token that is update."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.figures.charts import delta_e as figures
from attn_core.figures.html.bar_table import Column
from attn_core.residual import geometry
from attn_core.residual.logit_attribution import nearest_words
from attn_core.text.decoding import visible
from attn_core.text.numbers import MINUS, percent, signed_percent
from ui.delta_e.token import TokenUpdate
from ui.drawing import gallery, widgets
from ui.drawing.markup import token_name
from ui.link import choice

PARAMS = [
    choice("writer", ("head", "layer", "mlp")),
    choice("moves", ("head", "layer", "path")),
    choice("axes", ("2", "3")),
    choice("plane", ("moves", "words")),
    choice("numbers", ("head", "layer")),
    choice("order", ("index", "variance")),
]
STAIRCASE = "How far each head goes along the layer’s whole ΔE; the steps end at 100 %. Steps back pull the other way."
SOURCES = (
    'ΔE of a head is a sum over the words it looks at: <b class="hl-k">weight</b> × <b class="hl-v">value</b> '
    '(the lesson’s large value vector, v·W_O) = what each <b class="hl-d">adds</b>.'
)
WRITES = "Words of the model’s own vocabulary that ΔE points to (right) and away from (left)."
NUMBERS = "Every word’s ΔE in full: rows are words, columns are dimensions, blue is negative, orange positive."
MOST_SOURCES = 24
QUIET = {"displayModeBar": False}


def staircase(update: TokenUpdate) -> None:
    """What each head makes up of the layer's ΔE, up to 100 %."""
    parts = [part for part in update.ledger.parts if part.kind in ("head", "bias")]
    names = [part.name.removeprefix("head ").replace("cross head ", "× ").replace("output ", "") for part in parts]
    shares = np.array([update.ledger.share(part) for part in parts])
    own = update.viewed.stream or "self"
    chosen = next((i for i, part in enumerate(parts) if part.head == update.head and part.stream == own), None)
    lengths = geometry.norm(np.stack([p.vector for p in parts]))
    figure = partial(figures.share_bars, names, shares, lengths, chosen=chosen)
    alt = f"Shares of layer {update.layer}'s ΔE for {update.name}, head by head; the numbers are in the ledger below."
    says = f"What each head makes up of layer {update.layer}'s ΔE of {update.name}"
    gallery.plot("Staircase of the layer", figure, key="staircase", alt=alt, says=says, config=QUIET)


def sizes(update: TokenUpdate) -> None:
    """Four numbers about the step."""
    book = update.ledger
    mlp = next(part.vector for part in book.parts if part.kind == "mlp")
    widgets.strip(
        [
            (f"{geometry.norm(book.embedding):.1f}", "length of E"),
            (f"{geometry.norm(book.attention):.1f}", "length of ΔE, all heads"),
            (f"{geometry.norm(mlp):.1f}", "length of the MLP’s part"),
            (f"{geometry.angle(book.embedding, book.next_embedding):.0f}°", "turn of E by the layer"),
        ]
    )


def sources(update: TokenUpdate) -> None:
    """Where a head's ΔE came from: one stacked bar, and weight, value and contribution side by side."""
    found, keys = update.sources, update.viewed.keys
    if len(keys) > MOST_SOURCES:
        kept = np.sort(np.argsort(-np.abs(found.along))[:MOST_SOURCES])
    else:
        kept = np.arange(len(keys))
    labels, places = [keys.labels[i] for i in kept], kept.tolist()
    alt = f"ΔE of head {update.layer}.{update.head} for {update.name}, by source; the numbers are in the table."
    bar = partial(figures.stacked_sources, labels, places, found.along[kept])
    says = f"Where head {update.layer}.{update.head}'s ΔE of {update.name} came from"
    gallery.plot("Where it came from, stacked", bar, key="stacked", alt=alt, says=says, config=QUIET)
    _source_table(update, kept, says)
    widgets.reading(_lesson_of_sources(update, len(kept)))
    with st.expander("The numbers"):
        st.dataframe(_source_numbers(update), hide_index=True)


def _source_numbers(update: TokenUpdate) -> pd.DataFrame:
    """Every source in full: what is weighted, how long weight · value is, and how much of it goes along ΔE."""
    found, keys = update.sources, update.viewed.keys
    return pd.DataFrame(
        {
            "from": [f"{visible(label)} ({i})" for i, label in enumerate(keys.labels)],
            "weight %": 100 * found.weights,
            "‖value‖": found.lengths,
            "‖weight · value‖": found.sizes,
            "along ΔE": found.along,
            "of ΔE %": 100 * found.shares,
        }
    ).round(3)


def _source_table(update: TokenUpdate, kept: Any, says: str) -> None:
    """Weight, value and what it adds, number beside bar, in the sentence's order."""
    found, keys = update.sources, update.viewed.keys
    columns = [
        Column("weight", found.weights[kept], [percent(float(w)) for w in found.weights[kept]], "key", 1.0),
        Column("length of value", found.lengths[kept], [f"{n:.2f}" for n in found.lengths[kept]], "value"),
        Column("adds along ΔE", found.along[kept], [_hundredths(a) for a in found.along[kept]], "delta"),
    ]
    names = [f"{visible(keys.labels[i])} {i}" for i in kept]
    own = update.position if update.viewed.stream != "cross" else None
    marks = {row: ("query", "itself") for row, i in enumerate(kept) if i == own}
    gallery.bars("Where it came from, word by word", names, columns, says=says, head="from", marks=marks)


def _hundredths(number: float) -> str:
    return f"{number:+.2f}".replace("-", MINUS) if abs(number) >= 0.005 else "0.00"


def _lesson_of_sources(update: TokenUpdate, n_kept: int) -> str:
    """The heaviest source beside the one that adds most, as HTML."""
    found, keys = update.sources, update.viewed.keys
    heavy, strong = int(found.weights.argmax()), found.strongest

    def name(i: int) -> str:
        return widgets.tok(token_name(keys.labels, i), "k")

    said = f"The largest weight is on {name(heavy)} ({percent(float(found.weights[heavy]))})"
    if heavy == strong:
        said += f", and it adds most: {signed_percent(float(found.shares[strong]))} of ΔE."
    else:
        added, most = (signed_percent(float(found.shares[i])) for i in (heavy, strong))
        weight = percent(float(found.weights[strong]))
        said += f", but it adds {added} of ΔE; {name(strong)} adds {most} with {weight} of the weight."
    if n_kept < len(keys):
        said += f" Drawn are the {n_kept} sources that add most, of {len(keys)}."
    return said.replace(" %", "&nbsp;%")


def writes(update: TokenUpdate) -> None:
    """The words that a part points to and away from, with the line that luck draws."""
    if update.no_words:
        widgets.note(update.no_words)
        return
    options = {"head": f"head {update.layer}.{update.head}", "layer": f"layer {update.layer}", "mlp": "its MLP"}
    part = widgets.switch("Whose words", options, "writer")
    words, far, chance_level = update.remember(("writes", part, update.head), lambda: _written(update, part))
    figure = partial(figures.word_bars, words, far, chance_level)
    says = f"Words that ΔE of {update.name} points to (right) and away from (left), written by {options[part]}"
    alt = "Words of the vocabulary that this part points to and away from; the numbers are in the table."
    gallery.plot("What it writes", figure, key="words", alt=alt, says=says, config=QUIET)
    kind, n = update.trace.vocabulary.kind, len(update.trace.vocabulary.matrix)
    strong = int((np.abs(far) > chance_level).sum())
    verdict = f"{strong} of them beat luck" if strong else "none of them beats luck: read nothing into them"
    st.html(
        f'<div class="hl-hint">Nearest of {n:,} words of the {escape(kind)}, unfiltered; {verdict}. '
        f"The best of that many words reaches {chance_level:.1f} standard deviations by chance alone (dotted).</div>"
    )
    with st.expander("The numbers"):
        table = {"word": [visible(word) for word in words], "standard deviations": far}
        st.dataframe(pd.DataFrame(table), hide_index=True)


def _written(update: TokenUpdate, part: str) -> tuple[list[str], Any, float]:
    kinds = {"layer": ("head", "bias"), "mlp": ("mlp",)}
    if part == "head":
        vector = update.heads_here[update.head]
    else:
        vector = np.sum([p.vector for p in update.ledger.parts if p.kind in kinds[part]], axis=0)
    word = update.trace.vocabulary.word
    up, down = (
        nearest_words(update.trace, update.position, vector[None], 7, away=a, stream=update.block)
        for a in (False, True)
    )
    ids = [*up.ids[0], *down.ids[0][::-1]]
    far = np.concatenate([up.deviations[0], down.deviations[0][::-1]])
    return [word(int(i)) for i in ids], far, up.chance_level


def numbers(update: TokenUpdate) -> None:
    """ΔE of every token, number by number."""
    with st.container(horizontal=True, gap="small"):
        options = {"head": f"head {update.layer}.{update.head}", "layer": f"sum of layer {update.layer}"}
        which = widgets.switch("Whose numbers", options, "numbers")
        order = widgets.switch("Order", {"index": "in order", "variance": "most different first"}, "order")
    where = update.viewed.stream
    if which == "head":
        delta, name = (
            update.trace.delta_e(update.layer, update.head, stream=where),
            f"head {update.layer}.{update.head}",
        )
    else:
        delta, name = update.trace.attention_output(update.layer, stream=where), f"layer {update.layer}"
    picture = geometry.dimensions(delta, by_variance=order == "variance")
    figure = partial(figures.dimension_map, update.labels, picture, name=f"ΔE of {name}")
    says = f"ΔE of {name}: rows are words, columns are dimensions"
    alt = f"ΔE of {name}: {len(update.labels)} tokens by {delta.shape[1]} dimensions, blue negative, orange positive."
    gallery.plot("ΔE, number by number", figure, key="numbers_map", alt=alt, says=says)
    if picture.per_bin > 1:
        binned = f"Each column is the mean of {picture.per_bin} of the {delta.shape[1]} dimensions."
        st.html(f'<div class="hl-hint">{binned}</div>')
    with st.expander("The numbers"):
        names = [f"{i} {visible(label)}" for i, label in enumerate(update.labels)]
        st.dataframe(pd.DataFrame(delta, index=names))
