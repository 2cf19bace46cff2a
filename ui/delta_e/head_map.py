"""All heads of all layers for one token, on a measure that the visitor picks, and the MLPs beside them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st
from markupsafe import Markup

from attn_core.errors import HeadlightError
from attn_core.figures.canvas.heads import pack_values
from attn_core.figures.charts import delta_e
from attn_core.residual import geometry, logit_attribution
from attn_core.residual.logit_attribution import LogitAttribution
from attn_core.text.decoding import visible
from attn_core.text.numbers import signed
from attn_core.traces.parity import TOLERANCE
from attn_core.traces.reader import Array
from ui import words
from ui.delta_e.label_shares import label_shares, names_labels
from ui.delta_e.token import TokenUpdate
from ui.drawing import canvas, controls, gallery, markup, widgets
from ui.param import choice, typed
from ui.shell.folds import fold
from ui.stream_links import open_head
from ui.words import together

WORDS = words.beside(__file__)
HEAD_MAP_MEASURES = WORDS.table("map.measures")
MEASURE = choice("measure", HEAD_MAP_MEASURES, label="Measure")
TOWARDS, AGAINST = typed("towards", "", label="Towards"), typed("against", "", label="Away from")
PARAMS = [MEASURE, TOWARDS, AGAINST]


@dataclass(frozen=True)
class DeltaMap:
    """One number for every head [layer, head], for each layer's attention and MLP [layer], and what it is.

    `name` is plain text, for hovers; `hint` is HTML, for people.
    """

    heads: Array
    attention: Array
    mlp: Array
    name: str
    hint: Markup

    @property
    def is_signed(self) -> bool:
        return bool((self.heads < 0).any() or (self.attention < 0).any() or (self.mlp < 0).any())


def titled(update: TokenUpdate) -> None:
    if st.session_state["measure"] == "label" and names_labels(update):  # read where the head reads, at [CLS]
        title = WORDS.html("map.label_title")
    else:
        title = WORDS.html("map.title", word=markup.query(update.name))
    widgets.heading(title, WORDS.html("map.hint"))


def switches(update: TokenUpdate) -> None:
    """Which number: a size, or how far ΔE goes in a direction."""
    possible = {
        "size": True,
        "end": True,
        "word": not update.no_words,
        "logit": update.predicts and not update.no_words,
        "label": names_labels(update),
    }
    offered = {name: label for name, label in HEAD_MAP_MEASURES.items() if possible[name]}
    if st.session_state["measure"] not in offered:
        st.session_state["measure"] = "size"
    chosen = controls.switch(MEASURE, offered)
    if chosen in ("word", "logit", "label"):
        with st.container(horizontal=True, gap="small"):
            controls.text(TOWARDS, WORDS.text("map.placeholder", chosen), width=220)
            controls.text(AGAINST, "and away from…", width=180)


def draw(update: TokenUpdate) -> None:
    """The canvas of every head, the bars of every layer, and the table behind both."""
    try:
        found = head_map(update)
    except HeadlightError as reason:
        widgets.note(str(reason))
        return
    # four decimals at most: a longer number does not fit its square, and would leave it empty
    texts = [[signed(round(float(x), 4)) if found.is_signed else f"{x:.2f}" for x in row] for row in found.heads]
    packet = pack_values(found.heads, texts, name=found.name, signed=found.is_signed)
    canvas.overview(
        packet,
        key="delta_map",
        picture="Every head of every layer",
        says=WORDS.text("map.caption", name=found.name),
        selected=(update.layer, update.head),
        scale="linear",
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )
    st.html(f'<div class="hl-hint">{found.hint}</div>')
    figure = partial(delta_e.layer_bars, found.attention, found.mlp, name=found.name, chosen=update.layer)
    alt = WORDS.text("map.layers_alt", name=found.name)
    says = WORDS.text("map.layers_caption", name=found.name)
    gallery.plot("Attention and MLP by layer", figure, key="layer_bars", alt=alt, says=says)
    numbers = partial(_numbers, found)
    fold("The numbers: every head of every layer, attention and MLP", "numbers_heads", numbers)


def _numbers(found: DeltaMap) -> None:
    widgets.table(_table(found), hide_index=True)


def _table(found: DeltaMap) -> pd.DataFrame:
    heads = {f"head {head}": found.heads[:, head] for head in range(found.heads.shape[1])}
    layers = np.arange(len(found.mlp))
    return pd.DataFrame({"layer": layers, **heads, "attention": found.attention, "MLP": found.mlp})


def head_map(update: TokenUpdate) -> DeltaMap:
    """The numbers that the link asks for. Raises HeadlightError with the reason where they cannot be had."""
    measure, added = st.session_state["measure"], update.added
    attention = added.heads.sum(axis=1) + added.bias  # [layer, d_model]
    if measure == "size":
        name, hint = WORDS.text("map.size_name", word=update.name), WORDS.html("map.size")
        return DeltaMap(geometry.norm(update.heads), geometry.norm(attention), geometry.norm(added.mlp), name, hint)
    if measure == "logit":
        return _logits(update)
    if measure == "label":
        return _label(update)
    direction, name, hint = _direction(update, measure)
    heads, layers, mlp = (geometry.along(part, direction) for part in (update.heads, attention, added.mlp))
    return DeltaMap(heads, layers, mlp, name, hint)


def _direction(update: TokenUpdate, measure: str) -> tuple[Array, str, Markup]:
    if measure == "end":
        return update.stack.final_embedding()[update.position], "towards the final embedding", WORDS.html("map.end")
    towards, against = update.page.state["towards"].strip(), update.page.state["against"].strip()
    if not towards:
        raise HeadlightError(WORDS.text("map.ask"))
    matrix = update.trace.vocabulary.kind
    if against:
        vector, way = _vector(update, towards) - _vector(update, against), f"from “{against}” to “{towards}”"
        hint = WORDS.html("map.between", against=against, towards=towards, matrix=matrix)
    else:
        vector, way = _vector(update, towards), f"towards “{towards}”"
        hint = WORDS.html("map.towards", towards=towards, matrix=matrix)
    pieces = [word for word in (towards, against) if word and len(_ids(update, word)) > 1]
    return vector, way, together(hint, WORDS.html("map.pieces", words=", ".join(pieces)) if pieces else "")


def _logits(update: TokenUpdate) -> DeltaMap:
    """How much every part adds to the logit of a next word, or to the difference of two."""
    towards, against = update.page.state["towards"].strip(), update.page.state["against"].strip()
    word = _ids(update, towards)[0] if towards else int(update.stack.logits(update.position).argmax())
    parts, name = _attribution(update, word), f"logit of “{_spelt(update, word)}”"
    if against:
        other = _ids(update, against)[0]
        parts, name = parts - _attribution(update, other), f"{name} minus “{_spelt(update, other)}”"
    every = parts.heads  # [layer, head]; a decoder's own heads first, then those of its cross-attention
    own = every[:, update.viewed.n_heads :] if update.reader.name == "cross" else every[:, : update.viewed.n_heads]
    same = parts.error < TOLERANCE
    hint = WORDS.html(
        "map.logit",
        word=update.name,
        heads=signed(float(every.sum())),
        mlps=signed(float(parts.mlp.sum())),
        embedding=signed(parts.embedding),
        biases=signed(float(parts.bias.sum()) + parts.constant),
        total=signed(parts.total),
        logit=name,
        own=signed(parts.logit),
        badge=markup.badge(WORDS.text("map.agrees", "yes" if same else "no"), "ok" if same else "bad"),
    )
    return DeltaMap(own, every.sum(axis=1) + parts.bias, parts.mlp, name=name, hint=hint)


def _label(update: TokenUpdate) -> DeltaMap:
    """How much every part adds to the logit of a label, at the position where the model's head reads it."""
    towards, against = (update.page.state[name].strip() for name in ("towards", "against"))
    parts, name, hint = label_shares(update, towards, against)
    return DeltaMap(parts.heads, parts.heads.sum(axis=1) + parts.bias, parts.mlp, name=name, hint=hint)


def _attribution(update: TokenUpdate, word: int) -> LogitAttribution:
    return logit_attribution.direct_logit_attribution(update.trace.value(), update.position, word, added=update.added)


def _spelt(update: TokenUpdate, word: int) -> str:
    return visible(update.trace.vocabulary.word(word))


def _ids(update: TokenUpdate, word: str) -> list[int]:
    """The ids of a word in the model's vocabulary; a word inside a sentence has a space before it in some."""
    readings = []
    for text in (f" {word}", word):
        tokens = update.viewed.model.read(text, target=update.trace.kind == "encoder-decoder")
        readings.append([i for i, special in zip(tokens.ids, tokens.special, strict=True) if not special])
    found = min((ids for ids in readings if ids), key=len, default=[])
    if not found:
        raise HeadlightError(WORDS.text("map.no_token", word=visible(word)))
    return found


def _vector(update: TokenUpdate, word: str) -> Array:
    rows = update.trace.vocabulary.matrix[_ids(update, word)]
    return rows.float().mean(dim=0).cpu().numpy()
