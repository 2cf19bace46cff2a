"""Arrows of the ΔE page: E → E + ΔE of every token, or one token's path through all layers; true lengths beside it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.figures.charts import arrows
from attn_core.residual import geometry
from attn_core.residual.logit_attribution import nearest_words
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from ui.delta_e.token import TokenUpdate
from ui.drawing import gallery, widgets

ARROWS = "A word is a point in hundreds of dimensions. Attention moves it."


def switches(update: TokenUpdate) -> None:
    """What moves are drawn, in how many dimensions, on which plane."""
    with st.container(horizontal=True, gap="small"):
        moves = {
            "head": f"head {update.layer}.{update.head}",
            "layer": f"all of layer {update.layer}",
            "path": "path through all layers",
        }
        widgets.switch("Moves", moves, "moves")
        widgets.switch("Axes", {"2": "2-D", "3": "3-D"}, "axes")
        if st.session_state["moves"] != "path":
            widgets.switch("Plane", {"moves": "shows the moves best", "words": "shows the words best"}, "plane")


def token_arrows(update: TokenUpdate) -> None:
    """E → E + ΔE for every token, or one token's way through all layers; true lengths and angles beside it."""
    n_axes, path = int(update.page.state["axes"]), update.page.state["moves"] == "path"
    figure, hint, table = _path(update, n_axes) if path else _moves(update, n_axes)
    says = f"The path of {update.name} through all layers" if path else "From E to E + ΔE, an arrow a word"
    left, right = st.columns([64, 36], gap="medium")
    with left:
        alt = "Arrows from E to E + ΔE on principal components; true lengths and angles are in the table."
        says += ", on principal components (axes say how much of the variance they keep)"
        gallery.plot("Arrows in the space of meanings", figure, key="arrows", alt=alt, says=says)
    with right:
        st.html('<div class="hl-hint">In the full space, where nothing is lost:</div>')
        height = 36 * (min(len(table), 12) + 1) + 2
        st.dataframe(table, key="arrows_table", hide_index=True, row_height=36, height=height)
    st.html(f'<div class="hl-hint">{hint}</div>')


def _moves(update: TokenUpdate, n_axes: int) -> tuple[Any, str, pd.DataFrame]:
    where, layer = update.viewed.stream, update.layer
    starts = update.trace.embedding(layer, stream=where)
    if update.page.state["moves"] == "head":
        what, moves = f"head {layer}.{update.head}", update.trace.delta_e(layer, update.head, stream=where)
    else:
        what, moves = f"attention of layer {layer}", update.trace.attention_added(layer, stream=where)
    if update.page.state["plane"] == "moves":  # ±, so that a direction which all moves share is not centred away
        view = geometry.fit_projection(np.concatenate([moves, -moves]), n_axes, "ΔE and −ΔE of every word")
    else:
        view = geometry.fit_projection(np.concatenate([starts, starts + moves]), n_axes, "E and E + ΔE of every word")
    near = _landmarks(update, np.stack([starts[update.position], starts[update.position] + moves[update.position]]))
    figure = partial(
        arrows.token_arrows, update.labels, starts, moves, view, what=what, chosen=update.position, landmarks=near
    )
    table = pd.DataFrame(
        {
            "word": [f"{visible(label)} ({i})" for i, label in enumerate(update.labels)],
            "‖E‖": geometry.norm(starts).round(2),
            "‖ΔE‖": geometry.norm(moves).round(2),
            "turn °": geometry.angle(starts, starts + moves).round(1),
            "drawn %": (100 * geometry.norm(view.arrows(moves)) / geometry.norm(moves)).round(0),
        }
    )
    return figure, _fit_note(view, f"Each arrow is one word: it starts at E and ends at E + ΔE of {what}."), table


def _path(update: TokenUpdate, n_axes: int) -> tuple[Any, str, pd.DataFrame]:
    n_layers = update.viewed.n_layers
    path = np.stack([update.trace.embedding(i, stream=update.block)[update.position] for i in range(n_layers + 1)])
    view = geometry.fit_projection(path, n_axes, "this word at every layer")
    stops = ["at the door", *(f"after layer {i}" for i in range(n_layers))]
    name, near = f"{visible(update.labels[update.position])} ({update.position})", _landmarks(update, path[[0, -1]])
    figure = partial(arrows.routes, [name], [path], view, stops=stops, landmarks=near)
    before = np.concatenate([path[:1], path[:-1]])
    table = pd.DataFrame(
        {
            "where": stops,
            "‖E‖": geometry.norm(path).round(2),
            "step": geometry.norm(path - before).round(2),
            "turn °": geometry.angle(before, path).round(1),
            "from the door °": geometry.angle(path[0], path).round(1),
        }
    )
    return figure, _fit_note(view, "Each arrow is what one whole layer did, norms and MLP included."), table


def _landmarks(update: TokenUpdate, ends: Any) -> list[arrows.Landmarks]:
    """The words that stand out nearest to both ends of the token's way; none where no words can be read."""
    if update.no_words:
        return []
    words = update.trace.vocabulary
    found = nearest_words(update.trace, update.position, ends, 5, stream=update.block)
    ids = list(dict.fromkeys(int(i) for i in found.ids[found.stands_out]))[:4]
    vectors = words.matrix[ids].float().cpu().numpy()
    return [arrows.Landmarks(vectors, [words.word(i) for i in ids], at=float(geometry.norm(ends).mean()))]


def _fit_note(view: Any, what: str) -> str:
    kept = percent(float(view.explained.sum()))
    return (
        f"{what} The axes are principal components of {view.fitted_on} and keep {kept} of their variance; the rest of "
        "the space is not drawn, so trust the lengths and angles of table and hover. Grey words are the nearest "
        "of the vocabulary that beat luck; only their direction is true."
    ).replace(" %", "&nbsp;%")
