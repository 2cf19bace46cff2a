"""Arrows of the ΔE page: E → E + ΔE of every token, or one token's path through all layers; true lengths beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from markupsafe import Markup

from attn_core.figures.charts import arrows
from attn_core.figures.charts.arrow_traces import Landmarks
from attn_core.residual import geometry
from attn_core.text.decoding import visible
from attn_core.traces.reader import Array
from ui import words
from ui.delta_e.sentences import about_axes
from ui.delta_e.token import TokenUpdate
from ui.drawing import controls, gallery, widgets
from ui.param import choice
from ui.shared_params import AXES

if TYPE_CHECKING:
    from attn_core.figures.charts.spec import ChartSpec

    Drawn = tuple[Callable[..., ChartSpec], Markup, pd.DataFrame]  # a picture, what it shows, its numbers

WORDS = words.beside(__file__)
MOVES = choice("moves", ("head", "layer", "path"), label="Moves")
PLANE = choice("plane", {"moves": "shows the moves best", "words": "shows the words best"}, label="Plane")
PARAMS = [MOVES, AXES, PLANE]
FAR = 10  # times the median length of E: what is longer is not drawn


def switches(update: TokenUpdate) -> None:
    """What moves are drawn, in how many dimensions, on which plane."""
    with st.container(horizontal=True, gap="small"):
        moves = {
            "head": f"head {update.layer}.{update.head}",
            "layer": f"all of layer {update.layer}",
            "path": "path through all layers",
        }
        controls.switch(MOVES, moves)
        controls.switch(AXES)
        if st.session_state["moves"] != "path":
            controls.switch(PLANE)


def token_arrows(update: TokenUpdate) -> None:
    """E → E + ΔE for every token, or one token's way through all layers; true lengths and angles beside it."""
    n_axes, path = int(update.page.state["axes"]), update.page.state["moves"] == "path"
    figure, hint, table = _path(update, n_axes) if path else _moves(update, n_axes)
    says = WORDS.text("arrows.caption", "path" if path else "moves", word=update.name)
    left, right = st.columns([64, 36], gap="medium")
    with left:
        alt = WORDS.text("arrows.alt")
        gallery.plot("Arrows in the space of meanings", figure, key="arrows", alt=alt, says=says)
    with right:
        st.html(f'<div class="hl-hint">{WORDS.html("arrows.full")}</div>')
        height = 36 * (min(len(table), 12) + 1) + 2
        widgets.table(table, key="arrows_table", hide_index=True, row_height=36, height=height)
    st.html(f'<div class="hl-hint">{hint}</div>')


def _moves(update: TokenUpdate, n_axes: int) -> Drawn:
    reader, layer = update.reader, update.layer
    starts = reader.embedding(layer)  # [token, d_model]
    far = _far_away(starts, update.position)
    if update.page.state["moves"] == "head":
        what, moves = f"head {update.viewed.name}", reader.delta_e(layer, update.head)
    else:
        what, moves = f"attention of layer {layer}", reader.attention_added(layer)
    if update.page.state["plane"] == "moves":  # ±, so that a direction which all moves share is not centred away
        projection = geometry.fit_projection(np.concatenate([moves, -moves]), n_axes, "ΔE and −ΔE of every word")
    else:
        begin, end = (np.delete(points, far, axis=0) for points in (starts, starts + moves))  # of those that are drawn
        projection = geometry.fit_projection(np.concatenate([begin, end]), n_axes, "E and E + ΔE of every word")
    if update.page.state["moves"] == "head":
        near = _landmarks(update, update.ends, known=True)
    else:
        near = _landmarks(update, np.stack([starts[update.position], starts[update.position] + moves[update.position]]))
    figure = partial(
        arrows.token_arrows,
        update.labels,
        starts,
        moves,
        projection,
        what=what,
        chosen=update.position,
        left_out=far,
        landmarks=near,
    )
    table = pd.DataFrame(
        {
            "word": [f"{visible(label)} ({i})" for i, label in enumerate(update.labels)],
            "‖E‖": geometry.norm(starts).round(2),
            "‖ΔE‖": geometry.norm(moves).round(2),
            "turn °": geometry.angle(starts, starts + moves).round(1),
            "drawn %": (100 * geometry.norm(projection.arrows(moves)) / geometry.norm(moves)).round(0),
        }
    )
    said = WORDS.html("arrows.moves", what=what)
    if far:
        names = ", ".join(f"{visible(update.labels[i])} ({i})" for i in far)
        said = words.together(said, WORDS.html("arrows.far", words=names, times=FAR))
    return figure, about_axes(projection, said), table


def _far_away(starts: Array, followed: int) -> list[int]:
    """Tokens so far from the others that these would shrink to one point, but for the followed one.

    Language models make the E of the token that heads rest on hundreds of times as long (Sun et al. 2024, "Massive
    Activations in Large Language Models").
    """
    sizes = geometry.norm(starts)
    return [int(i) for i in np.flatnonzero(sizes > FAR * np.median(sizes)) if i != followed]


def _path(update: TokenUpdate, n_axes: int) -> Drawn:
    n_layers = update.viewed.n_layers
    path = np.stack([update.stack.embedding(i)[update.position] for i in range(n_layers + 1)])
    projection = geometry.fit_projection(path, n_axes, "this word at every layer")
    stops = ["before layer 0", *(f"after layer {i}" for i in range(n_layers))]
    name, near = f"{visible(update.labels[update.position])} ({update.position})", _landmarks(update, path[[0, -1]])
    figure = partial(arrows.routes, [name], [path], projection, stops=stops, landmarks=near)
    before = np.concatenate([path[:1], path[:-1]])
    table = pd.DataFrame(
        {
            "where": stops,
            "‖E‖": geometry.norm(path).round(2),
            "step": geometry.norm(path - before).round(2),
            "turn °": geometry.angle(before, path).round(1),
            "from the start °": geometry.angle(path[0], path).round(1),
        }
    )
    return figure, about_axes(projection, WORDS.html("arrows.path")), table


def _landmarks(update: TokenUpdate, ends: Array, known: bool = False) -> list[Landmarks]:
    """The words that stand out nearest to both ends of the token's way; none where no words can be read.

    With `known` these are the update's own ends, whose words the rest of the page has looked up already.
    """
    if update.no_words:
        return []
    vocabulary = update.trace.vocabulary
    found = update.pointed[0].part(update.rows_of_ends, 5) if known else update.nearest_words(ends, 5)[0]
    ids = list(dict.fromkeys(int(i) for i in found.ids[found.stands_out]))[:4]
    vectors = vocabulary.matrix[ids].float().cpu().numpy()
    return [Landmarks(vectors, vocabulary.words(ids), at=float(geometry.norm(ends).mean()))]
