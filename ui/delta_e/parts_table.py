"""The parts of a token at a layer as a table: one a row, from E to the next layer's E; a line says they add up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.residual import geometry
from attn_core.text.decoding import visible
from attn_core.text.numbers import scientific, signed_percent
from attn_core.traces.reader import Array
from ui import words
from ui.delta_e.token import TokenUpdate
from ui.drawing import markup, widgets
from ui.drawing.events import chosen_row
from ui.shell import save_files
from ui.stream import offer_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from streamlit.elements.lib.column_types import ColumnConfig

    from attn_core.residual.decomposition import BlockDecomposition, Part, Sources

WORDS = words.beside(__file__)
TITLES = {
    "length": "length",
    "size": "size",
    "along": "along ΔE",
    "cos_e": "cos E",
    "cos_delta": "cos ΔE",
    "cos_final": "cos end",
}
WORD_COLUMNS = ("towards", "away")
Row = dict[str, str | float | None]


def table(update: TokenUpdate) -> None:
    """Every part of the token's step through the layer; a click on a head's row opens that head."""
    rows = _rows(update)
    columns = ("part", *TITLES, "source", *(() if update.no_words else WORD_COLUMNS))
    widgets.table(
        pd.DataFrame(rows, columns=columns),
        key="parts",
        on_select=partial(_open_chosen, [part for part in update.decomposition.parts if part.kind != "embedding"]),
        selection_mode="single-row",
        hide_index=True,
        height=36 * (len(rows) + 1) + 2,
        row_height=36,
        placeholder="",
        alt=WORDS.text("parts.alt", word=update.name, layer=update.layer),
        column_config=_columns(),
    )


def _open_chosen(parts: Sequence[Part]) -> None:
    """Open the head whose row was chosen; the first row is the embedding."""
    row = chosen_row(st.session_state["parts"], len(parts) + 1)
    if row and parts[row - 1].head is not None:
        part = parts[row - 1]
        st.session_state["head"] = part.head
        if part.stream != "self":
            st.session_state["stream"] = part.stream


def _columns() -> dict[str, ColumnConfig]:
    text, why = st.column_config.TextColumn, WORDS.table("parts.columns")
    numbers = {
        name: st.column_config.NumberColumn(
            title,
            format="%.1f %%" if name in ("size", "along") else "%.2f",
            help=why[name],
            width=74 if name in ("size", "along") else 68,
        )
        for name, title in TITLES.items()
    }
    return {
        "part": text("part", pinned=True, width=206),
        **numbers,
        "source": text("mostly from", help=WORDS.text("parts.source")),
        "towards": text("points to", width=210, help=WORDS.text("parts.towards")),
        "away": text("points away from", width=180, help=WORDS.text("parts.away")),
    }


def offer(update: TokenUpdate) -> None:
    """Let the visitor save the chosen head's pattern, and all parts with every number of every part."""
    name = f"parts of {update.name} at layer {update.layer}"
    offer_stream(update.viewed, update.position, save_files.Numbers(name, lambda: as_csv(update.decomposition)))


def as_csv(decomposition: BlockDecomposition) -> str:
    """One line a part, from E to the next layer's E: what it is, its length, and its d_model numbers."""
    parts = [(part.kind, part.stream, part.name, part.vector) for part in decomposition.parts]
    parts.append(("embedding", "self", f"E entering layer {decomposition.layer + 1}", decomposition.next_embedding))
    rows = [[kind, stream, name, float(geometry.norm(vector)), *vector] for kind, stream, name, vector in parts]
    columns = ["kind", "stream", "part", "length", *map(str, range(len(decomposition.next_embedding)))]
    return pd.DataFrame(rows, columns=columns).to_csv(index=False)


def _rows(update: TokenUpdate) -> list[Row]:
    """The parts from E on, and the E that they end in; what is shared by all visitors is asked for first."""
    parts = update.decomposition.parts
    sources = [None if part.head is None else update.sources_of(part.head, part.stream) for part in parts]
    towards_and_away = () if update.no_words else update.pointed
    ends = [end.part(range(len(parts) + 1), 3) for end in towards_and_away]
    return [
        _row(update, part, found, [(end.ids[i], end.stands_out[i]) for end in ends])
        for i, (part, found) in enumerate(zip([*parts, None], [*sources, None], strict=True))
    ]


def _row(
    update: TokenUpdate, part: Part | None, found: Sources | None, ends: Sequence[tuple[Array, NDArray[np.bool_]]]
) -> Row:
    """A part as a row, None for the next layer's E; `ends` are the ids of its words, and which of them stand out.

    A dash stands where none passes the line of chance.
    """
    vector = update.decomposition.next_embedding if part is None else part.vector
    row: Row = {"part": _name(update, part), "source": "", **_measured(update, vector)}
    if part is not None and part.kind in ("head", "bias"):
        row["along"] = 100 * update.decomposition.share(part)
    if part is not None and part.head is not None and found is not None:
        row["size"] = 100 * float(update.shares[part.head]) if part.stream == update.reader.name else None
        label, share = update.trace.tokens_of(part.stream)[1].labels[found.strongest], found.shares[found.strongest]
        row["source"] = f"{visible(label)} ({found.strongest}) {signed_percent(float(share))}"
    for column, (ids, stands_out) in zip(WORD_COLUMNS, ends, strict=False):
        words_there = update.trace.vocabulary.words([int(i) for i in ids[stands_out]])
        row[column] = ", ".join(visible(word) for word in words_there) or "–"
    return row


def _name(update: TokenUpdate, part: Part | None) -> str:
    if part is None:
        return WORDS.text("parts.next_e", layer=update.layer + 1)
    return WORDS.text("parts.e", word=update.name, layer=update.layer) if part.kind == "embedding" else f"+ {part.name}"


def _measured(update: TokenUpdate, vector: Array) -> Row:
    final = update.stack.final_embedding()[update.position]
    others = {"cos_e": update.decomposition.embedding, "cos_delta": update.decomposition.attention, "cos_final": final}
    cosines = {name: _number(geometry.cosine(vector, other)) for name, other in others.items()}
    return {"length": float(geometry.norm(vector)), **cosines}


def _number(value: Array | float) -> float | None:
    return float(value) if np.isfinite(value) else None


def sum_line(update: TokenUpdate) -> None:
    """Whether the rows end where the model went on: green with the error, or red with it. Computed each time."""
    error = scientific(update.decomposition.error)
    if update.decomposition.adds_up:
        said, kind, why = WORDS.text("parts.adds_up", error=error), "ok", WORDS.text("parts.adds_up_why")
    else:
        said, kind, why = WORDS.text("parts.misses", error=error), "bad", WORDS.text("parts.misses_why")
    badge, law = markup.badge(said, kind, why), escape(update.decomposition.block.sentence)
    st.html(f'<div class="hl-sub">{badge}{law}</div>')
