"""The other pictures of the ΔE page: each function draws one card's worth for the token that is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.figures.charts.delta_e import dimension_map, share_bars, stacked_sources, word_bars
from attn_core.figures.html.bar_table import Column
from attn_core.residual import geometry
from attn_core.residual.decomposition import Part, Sources
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, signed_hundredths
from attn_core.traces.reader import Array
from ui import words
from ui.delta_e.sentences import about_sources, about_words
from ui.delta_e.token import MOST_WORDS, TokenUpdate
from ui.drawing import controls, gallery, widgets
from ui.param import choice
from ui.shell.folds import fold

WRITER = choice("writer", ("head", "layer", "mlp"), label="Whose words", in_caption=False)
NUMBERS = choice("numbers", ("head", "layer"), label="Whose numbers", in_caption=False)
ORDER = choice("order", {"index": "in order", "variance": "most different first"}, label="Order")
PARAMS = [WRITER, NUMBERS, ORDER]
WORDS = words.beside(__file__)
MOST_SOURCES = 24


def staircase(update: TokenUpdate) -> None:
    """What each head makes up of the layer's ΔE, up to 100 %."""
    parts = [part for part in update.decomposition.parts if part.kind in ("head", "bias")]
    names = [part.name.removeprefix("head ").replace("cross head ", "× ").replace("output ", "") for part in parts]
    shares = np.array([update.decomposition.share(part) for part in parts])
    chosen = next((i for i, part in enumerate(parts) if _is_chosen(update, part)), None)
    lengths = geometry.norm(np.stack([p.vector for p in parts]))
    figure = partial(share_bars, names, shares, lengths, chosen=chosen)
    alt = WORDS.text("layer.alt", layer=update.layer, word=update.name)
    says = WORDS.text("layer.caption", layer=update.layer, word=update.name)
    gallery.plot("Staircase of the layer", figure, key="staircase", alt=alt, says=says)


def sizes(update: TokenUpdate) -> None:
    """Four numbers about the step."""
    block = update.decomposition
    mlp = next(part.vector for part in block.parts if part.kind == "mlp")
    widgets.number_row(
        [
            (f"{geometry.norm(block.embedding):.1f}", "length of E"),
            (f"{geometry.norm(block.attention):.1f}", "length of ΔE, all heads"),
            (f"{geometry.norm(mlp):.1f}", "length of the MLP’s part"),
            (f"{geometry.angle(block.embedding, block.next_embedding):.0f}°", "turn of E by the layer"),
        ]
    )


def sources(update: TokenUpdate) -> None:
    """Where a head's ΔE came from: one stacked bar, and weight, value and contribution side by side."""
    found, keys = update.sources, update.reader.key_tokens
    if len(keys) > MOST_SOURCES:
        kept = np.sort(np.argsort(-np.abs(found.along))[:MOST_SOURCES])
    else:
        kept = np.arange(len(keys))
    labels, places = [keys.labels[i] for i in kept], kept.tolist()
    alt = WORDS.text("from.alt", head=update.viewed.name, word=update.name)
    bar = partial(stacked_sources, labels, places, found.along[kept])
    says = WORDS.text("from.caption", head=update.viewed.name, word=update.name)
    gallery.plot("Where it came from, stacked", bar, key="stacked", alt=alt, says=says)
    _source_table(update, kept, says)
    widgets.reading(about_sources(update, len(kept)))
    numbers = partial(_source_numbers, found, keys.labels)
    fold("The numbers: every source, with its value and its part of ΔE", "numbers_sources", numbers)


def _source_numbers(found: Sources, labels: Sequence[str]) -> None:
    """Every source in full: what is weighted, how long weight · value is, and how much of it goes along ΔE."""
    table = pd.DataFrame(
        {
            "from": [f"{visible(label)} ({i})" for i, label in enumerate(labels)],
            "weight %": 100 * found.weights,
            "‖value‖": found.lengths,
            "‖weight · value‖": found.sizes,
            "along ΔE": found.along,
            "of ΔE %": 100 * found.shares,
        }
    )
    widgets.table(table.round(3), hide_index=True)


def _source_table(update: TokenUpdate, kept: np.ndarray, says: str) -> None:
    """Weight, value and what it adds, number beside bar, in the sentence's order."""
    found, keys = update.sources, update.reader.key_tokens
    columns = [
        Column("weight", found.weights[kept], [percent(float(w)) for w in found.weights[kept]], "key", 1.0),
        Column("length of value", found.lengths[kept], [f"{n:.2f}" for n in found.lengths[kept]], "value"),
        Column("adds along ΔE", found.along[kept], [signed_hundredths(a) for a in found.along[kept]], "delta"),
    ]
    names = [f"{visible(keys.labels[i])} {i}" for i in kept]
    own = update.position if update.reader.name != "cross" else None
    marks = {row: ("query", "itself") for row, i in enumerate(kept) if i == own}
    gallery.bars("Where it came from, word by word", names, columns, says=says, head="from", marks=marks)


def writes(update: TokenUpdate) -> None:
    """The words that a part points to and away from, with the line that chance draws."""
    if update.no_words:
        widgets.note(update.no_words)
        return
    options = {"head": f"head {update.layer}.{update.head}", "layer": f"layer {update.layer}", "mlp": "its MLP"}
    part = controls.switch(WRITER, options)
    found, far, chance_level = written_words(update, part)
    figure = partial(word_bars, found, far, chance_level)
    says, alt = WORDS.text("writes.caption", word=update.name, part=options[part]), WORDS.text("writes.alt")
    gallery.plot("What it writes", figure, key="words", alt=alt, says=says)
    st.html(f'<div class="hl-hint">{about_words(update, far, chance_level)}</div>')
    fold("The numbers: words and how far each stands out", "numbers_words", partial(_word_numbers, found, far))


def _word_numbers(found: Sequence[str], far: Array) -> None:
    table = {"word": [visible(word) for word in found], "standard deviations": far}
    widgets.table(pd.DataFrame(table), hide_index=True)


def written_words(update: TokenUpdate, part: str) -> tuple[list[str], Array, float]:
    """The words that a part points to and away from, how far, and how far the best of so many goes by chance."""
    parts = update.decomposition.parts
    if part == "layer":
        row = len(parts) + 1
    else:
        row = next(i for i, p in enumerate(parts) if p.kind == part and (part == "mlp" or _is_chosen(update, p)))
    up, down = (end.part([row], MOST_WORDS) for end in update.pointed)
    ids = [*up.ids[0], *down.ids[0][::-1]]
    far = np.concatenate([up.deviations[0], down.deviations[0][::-1]])
    return update.trace.vocabulary.words(ids), far, up.chance_level


def _is_chosen(update: TokenUpdate, part: Part) -> bool:
    return part.head == update.head and part.stream == update.reader.name


def numbers(update: TokenUpdate) -> None:
    """ΔE of every token, number by number."""
    with st.container(horizontal=True, gap="small"):
        options = {"head": f"head {update.layer}.{update.head}", "layer": f"sum of layer {update.layer}"}
        which = controls.switch(NUMBERS, options)
        order = controls.switch(ORDER)
    name = f"head {update.viewed.name}" if which == "head" else f"layer {update.layer}"
    reader, layer = update.reader, update.layer
    delta = reader.delta_e(layer, update.head) if which == "head" else reader.attention_output(layer)
    picture = geometry.dimensions(delta, by_variance=order == "variance")
    figure = partial(dimension_map, update.labels, picture, name=f"ΔE of {name}")
    dimensions = delta.shape[1]
    alt = WORDS.text("numbers.alt", what=name, words=len(update.labels), dimensions=dimensions)
    says = WORDS.text("numbers.caption", what=name)
    gallery.plot("ΔE, number by number", figure, key="numbers_map", alt=alt, says=says)
    if picture.per_bin > 1:
        binned = WORDS.html("numbers.binned", per_bin=picture.per_bin, dimensions=dimensions)
        st.html(f'<div class="hl-hint">{binned}</div>')
    numbers = partial(_all_numbers, delta, update.labels)
    fold(WORDS.text("numbers.fold", dimensions=dimensions), "numbers_delta", numbers)


def _all_numbers(delta: Array, labels: Sequence[str]) -> None:
    """ΔE [token, d_model], a row a word."""
    widgets.table(pd.DataFrame(delta, index=[f"{i} {visible(label)}" for i, label in enumerate(labels)]))
