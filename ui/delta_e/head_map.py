"""All heads of all layers for one token, on a measure that the visitor picks, and the MLPs beside them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.figures.canvas import heads as tiles
from attn_core.figures.charts import delta_e as figures
from attn_core.residual import geometry, logit_attribution
from attn_core.text.decoding import visible
from attn_core.text.numbers import signed
from attn_core.traces.parity import TOLERANCE
from ui.delta_e.token import TokenUpdate
from ui.drawing import canvas, gallery, widgets
from ui.link import choice, words
from ui.stream import open_head

HEAD_MAP_MEASURES = {"size": "size", "end": "towards its end", "word": "towards a word", "logit": "next word"}
PARAMS = [choice("measure", tuple(HEAD_MAP_MEASURES)), words("towards", ""), words("against", "")]


@dataclass(frozen=True)
class HeadMap:
    """One number for every head [layer, head], for each layer's attention and MLP [layer], and what it is.

    `name` is plain text, for hovers; `hint` is HTML, for people.
    """

    heads: Any
    attention: Any
    mlp: Any
    name: str
    hint: str

    @property
    def is_signed(self) -> bool:
        return bool((self.heads < 0).any() or (self.attention < 0).any() or (self.mlp < 0).any())


def titled(update: TokenUpdate) -> None:
    widgets.heading(
        f"What every head ever adds to {widgets.query(update.name)}",
        "Rows are layers, columns are heads, one number each. Click one to open it.",
    )


def switches(update: TokenUpdate) -> None:
    """Which number: a size, or how far ΔE goes in a direction."""
    possible = {
        "size": True,
        "end": True,
        "word": not update.no_words,
        "logit": update.predicts and not update.no_words,
    }
    offered = {name: label for name, label in HEAD_MAP_MEASURES.items() if possible[name]}
    if st.session_state["measure"] not in offered:
        st.session_state["measure"] = "size"
    chosen = widgets.switch("Measure", offered, "measure")
    if chosen in ("word", "logit"):
        with st.container(horizontal=True, gap="small"):
            hint = "the likeliest next word" if chosen == "logit" else "a word, such as animal"
            st.text_input("Towards", key="towards", placeholder=hint, label_visibility="collapsed", width=220)
            st.text_input(
                "Away from", key="against", placeholder="and away from…", label_visibility="collapsed", width=180
            )


def draw(update: TokenUpdate) -> None:
    """The canvas of every head, the bars of every layer, and the table behind both."""
    try:
        found = head_map(update)
    except HeadlightError as reason:
        widgets.note(str(reason))
        return
    texts = [[signed(float(x)) if found.is_signed else f"{x:.2f}" for x in row] for row in found.heads]
    packet = tiles.pack_values(found.heads, texts, name=found.name, signed=found.is_signed)
    canvas.overview(
        packet,
        key="delta_map",
        picture="Every head of every layer",
        says=f"Layers × heads: {found.name}",
        selected=(update.layer, update.head),
        scale="linear",
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )
    st.html(f'<div class="hl-hint">{found.hint}</div>')
    figure = partial(figures.layer_bars, found.attention, found.mlp, name=found.name, chosen=update.layer)
    alt = f"{found.name}: attention and MLP of each layer. The numbers are in the table."
    says, quiet = f"Attention and MLP of each layer: {found.name}", {"displayModeBar": False}
    gallery.plot("Attention and MLP by layer", figure, key="layer_bars", alt=alt, says=says, config=quiet)
    with st.expander("The numbers"):
        st.dataframe(_table(found), hide_index=True)


def _table(found: HeadMap) -> pd.DataFrame:
    heads = {f"head {head}": found.heads[:, head] for head in range(found.heads.shape[1])}
    layers = np.arange(len(found.mlp))
    return pd.DataFrame({"layer": layers, **heads, "attention": found.attention, "MLP": found.mlp})


def head_map(update: TokenUpdate) -> HeadMap:
    """The numbers that the link asks for. Raises HeadlightError with the reason where they cannot be had."""
    measure, added = st.session_state["measure"], update.added
    attention = added.heads.sum(axis=1) + added.bias  # [layer, d_model]
    if measure == "size":
        name, hint = f"size of ΔE for {update.name}", "The length of ΔE, whatever its direction."
        return HeadMap(geometry.norm(update.heads), geometry.norm(attention), geometry.norm(added.mlp), name, hint)
    if measure == "logit":
        return _logits(update)
    direction, name, hint = _direction(update, measure)
    heads, layers, mlp = (geometry.along(part, direction) for part in (update.heads, attention, added.mlp))
    return HeadMap(heads, layers, mlp, name, hint)


def _direction(update: TokenUpdate, measure: str) -> tuple[Any, str, str]:
    if measure == "end":
        final = update.trace.final_embedding(stream=update.block)[update.position]
        why = "How far ΔE goes towards the word’s final embedding; negative is away from it."
        return final, "towards the final embedding", why
    towards, against = update.page.state["towards"].strip(), update.page.state["against"].strip()
    if not towards:
        raise HeadlightError("Type a word of the model’s vocabulary, for example: animal.")
    vector = _vector(update, towards) - (_vector(update, against) if against else 0)
    kind = update.trace.vocabulary.kind
    way = f"from “{against}” to “{towards}”" if against else f"towards “{towards}”"
    hint = (
        f"How far ΔE goes {escape(way)}, along their rows of the {kind}."
        if against
        else (f"How far ΔE goes {escape(way)}, along its row of the {kind}.")
    )
    pieces = [word for word in (towards, against) if word and len(_ids(update, word)) > 1]
    if pieces:
        hint += f" {escape(', '.join(pieces))}: several pieces, averaged."
    return vector, way, hint


def _logits(update: TokenUpdate) -> HeadMap:
    """How much every part adds to the logit of a next word, or to the difference of two."""
    towards, against = update.page.state["towards"].strip(), update.page.state["against"].strip()
    word = _ids(update, towards)[0] if towards else int(update.trace.logits(update.position).argmax())
    spelt = visible(update.trace.vocabulary.word(word))
    parts = logit_attribution.direct_logit_attribution(update.trace, update.position, word, added=update.added)
    name = f"logit of “{spelt}”"
    if against:
        other = _ids(update, against)[0]
        parts = parts - logit_attribution.direct_logit_attribution(
            update.trace, update.position, other, added=update.added
        )
        name += f" minus “{visible(update.trace.vocabulary.word(other))}”"
    everything = parts.heads
    own = (
        everything[:, update.viewed.n_heads :]
        if update.viewed.stream == "cross"
        else everything[:, : update.viewed.n_heads]
    )
    hint = (
        f"Direct logit attribution after {escape(update.name)}, with the final norm frozen at the scale it had. Heads "
        f"{signed(float(everything.sum()))}, MLPs {signed(float(parts.mlp.sum()))}, E at the door "
        f"{signed(parts.embedding)}, biases {signed(float(parts.bias.sum()) + parts.constant)}: together "
        f"{signed(parts.total)}; the model’s own {escape(name)} is {signed(parts.logit)} "
        + (widgets.badge("✓ the same", "ok") if parts.error < TOLERANCE else widgets.badge("✕ not the same", "bad"))
    )
    return HeadMap(own, everything.sum(axis=1) + parts.bias, parts.mlp, name=name, hint=hint)


def _ids(update: TokenUpdate, word: str) -> list[int]:
    """The ids of a word in the model's vocabulary; a word inside a sentence has a space before it in some."""
    readings = []
    for text in (f" {word}", word):
        tokens = update.viewed.model.read(text, target=update.trace.kind == "encoder-decoder")
        readings.append([i for i, special in zip(tokens.ids, tokens.special, strict=True) if not special])
    return min((ids for ids in readings if ids), key=len, default=[]) or _no_word(word)


def _no_word(word: str) -> Any:
    raise HeadlightError(f"“{visible(word)}” leaves no token in this model’s vocabulary. Try another word.")


def _vector(update: TokenUpdate, word: str) -> Any:
    rows = update.trace.vocabulary.matrix[_ids(update, word)]
    return rows.float().mean(dim=0).cpu().numpy()
