"""The maps of the page Patching: layers × heads, layers × words, heads × words, and the opened head word by word."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from attn_core.figures.canvas.heads import pack_values
from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.figures.html.bar_table import Column
from attn_core.text.decoding import visible
from ui import words
from ui.drawing import canvas, controls, gallery, widgets
from ui.patching import asked, sentences
from ui.patching.computing import computed
from ui.patching.params import BY, PART, TENSOR
from ui.patching.reading import Read
from ui.shared_params import HEAD, LAYER
from ui.shell.folds import fold
from ui.stream_links import open_head

if TYPE_CHECKING:
    import pandas as pd

    from attn_core.text.tokens import Tokens

WORDS = words.beside(__file__)
MOST_ROWS, ROW = 24, 22  # heads of the map by head and word, and pixels of each: all of them fit on a screen


def main_map(read: Read) -> tuple[pd.DataFrame | None, np.ndarray | None]:
    """The map that is asked for; gives its table, and the effect of heads [layer, head] where it is of heads."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        by = controls.switch(BY)
        part = controls.switch(TENSOR if by == "words" else PART)
    if by == "words":
        return _words(read, part), None
    return _heads(read, part) if by == "heads" else _heads_and_words(read, part)


def _heads(read: Read, part: str) -> tuple[pd.DataFrame | None, np.ndarray | None]:
    n_layers, n_heads = read.base.n_layers, read.base.n_heads
    n_passes = n_layers * n_heads * read.asked.n_pairs
    table = computed(read, "heads", n_passes, part, asked.of_heads, part)
    if table is None:
        return None, None
    values = sentences.effects(table, layer=n_layers, head=n_heads)
    if not np.isnan(values).all():
        head_map(read, values, "effects", WORDS.text("map.name", part), WORDS.text("map.picture"))
    _notes(table)
    numbers(table, "heads")
    return table, values


def head_map(read: Read, values: np.ndarray, key: str, name: str, picture: str) -> None:
    """Layers × heads, one number a head; a click opens a head."""
    canvas.overview(
        pack_values(values, sentences.texts(values), name=name, signed=True),
        key=key,
        picture=picture,
        says=WORDS.text("map.caption", name=name),
        selected=(read.base.layer, read.base.head),
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )


def _words(read: Read, tensor: str) -> pd.DataFrame | None:
    tokens, n_layers = read.tokens, read.base.n_layers
    n_passes = n_layers * len(tokens) * read.asked.n_pairs
    table = computed(read, "words", n_passes, tensor, asked.of_words, tensor)
    if table is None:
        return None
    values = sentences.effects(table, layer=n_layers, position=len(tokens))
    if not np.isnan(values).all():
        cells = _cells(
            values,
            [WORDS.text("map.layer", layer=layer) for layer in range(n_layers)],
            tokens,
            WORDS.text("map.words_alt"),
        )
        canvas.cells(cells, key="by_word", picture=WORDS.text("map.words_picture"))
        _first_words(read)
    _notes(table)
    numbers(table, "words")
    return table


def _heads_and_words(read: Read, part: str) -> tuple[pd.DataFrame | None, np.ndarray | None]:
    """Heads × words, the heads that move most; and [layer, head] what each moves at its best word."""
    n_layers, n_heads, tokens = read.base.n_layers, read.base.n_heads, rows_of(read, part)
    n_passes = n_layers * n_heads * len(tokens) * read.asked.n_pairs
    table = computed(read, "heads_words", n_passes, part, asked.of_heads_by_word, part)
    if table is None:
        return None, None
    values = sentences.effects(table, layer=n_layers, head=n_heads, position=len(tokens))
    best = sentences.at_best_word(values)
    if not np.isnan(best).all():
        _most(values, best, tokens)
        _first_words(read)
    _notes(table)
    numbers(table, "heads_words")
    return table, best


def _most(values: np.ndarray, best: np.ndarray, tokens: Tokens) -> None:
    """The picture of the heads that move most at some word; a click opens one."""
    heads = sentences.most_moving(values, MOST_ROWS)
    if len(heads) < best.size:
        widgets.reading(WORDS.html("map.most", shown=len(heads), heads=best.size))
    rows = [WORDS.text("map.head", head=sentences.named(head)) for head in heads]
    cells = _cells(
        np.stack([values[head] for head in heads]), rows, tokens, WORDS.text("map.heads_words_alt"), choose=True
    )
    canvas.cells(
        cells,
        key="by_head_and_word",
        picture=WORDS.text("map.heads_words_picture"),
        on_choose=lambda row, _: open_head(*heads[row]),
    )


def _cells(values: np.ndarray, rows: list[str], tokens: Tokens, alt: str, choose: bool = False) -> bytes:
    """A map whose columns are words."""
    return pack_cells(
        values,
        Side(rows),
        Side([visible(label) for label in tokens.labels], "query", special=tokens.special, slanted=True),
        says=WORDS.text("map.words_say", row="{row}", column="{column}", value="{value}"),
        says_masked=WORDS.text("map.words_missing", column="{column}"),
        alt=alt,
        square=True,
        largest=ROW if choose else 46,
        choose=choose,
    )


def _first_words(read: Read) -> None:
    """Whose words the columns are named by, where there are several pairs."""
    if read.asked.more:
        widgets.note(WORDS.text("map.first_words"))


def _notes(table: pd.DataFrame) -> None:
    for said in (*table.attrs["alike"], *table.attrs["left_out"]):
        widgets.note(said)


def numbers(table: pd.DataFrame, name: str) -> None:
    """All numbers of a map, the largest effect first."""
    fold(
        WORDS.text("map.fold"),
        f"numbers_{name}",
        partial(widgets.table, sentences.ranked(table), hide_index=True, height=282, key=f"table_{name}"),
    )


def rows_of(read: Read, part: str) -> Tokens:
    """The words that the rows of a head's part are: of its key and value those that are looked at."""
    return read.base.keys if part in ("key", "value") else read.base.queries


def opened_head(read: Read) -> pd.DataFrame | None:
    """The opened head, one word at a time; gives its table."""
    part = read.page.state["part"]
    name, viewed = read.base.name, read.base
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        controls.stepper(LAYER, viewed.n_layers - 1, ("K", "J"))
        controls.stepper(HEAD, viewed.n_heads - 1, ("H", "L"))
    tokens = rows_of(read, part)
    n_passes = len(tokens) * read.asked.n_pairs
    table = computed(read, "row", n_passes, part, asked.of_head, part, viewed.layer, viewed.head)
    if table is None or table["effect"].isna().all():
        return table
    labels, column = _row(table, tokens)
    gallery.bars(
        WORDS.text("row.picture"),
        labels,
        [column],
        says=WORDS.text("row.caption", head=name),
        head=WORDS.text("row.word"),
    )
    return table


def _row(table: pd.DataFrame, tokens: Tokens) -> tuple[list[str], Column]:
    effects = table["effect"].to_numpy(dtype=float)
    labels = [f"{visible(tokens.labels[at])} ({at})" for at in table["position"].astype(int)]
    return labels, Column(WORDS.text("row.effect"), effects, sentences.with_intervals(table), "delta")
