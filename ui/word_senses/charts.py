"""The same before layer 0, then apart: cosines layer by layer, and every occurrence's way on one plane."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.figures.charts import arrows
from attn_core.figures.charts.arrow_traces import Landmarks
from attn_core.figures.charts.senses import cosine_lines
from attn_core.residual import geometry, nearest_tokens
from attn_core.residual.senses import Array
from attn_core.text.numbers import percent, two_digits, unbroken
from ui import words
from ui.drawing import controls, gallery, widgets
from ui.param import choice
from ui.server import shared
from ui.shared_params import AXES
from ui.shell import save_files
from ui.shell.folds import fold
from ui.word_senses.comparison import SenseComparison

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace

SHOWS = choice("shows", {"senses": "shows the senses best", "ways": "shows the ways best"}, label="Plane")
PARAMS = [AXES, SHOWS]
WORDS = words.beside(__file__)


def apart(comparison: SenseComparison) -> None:
    """Cosines layer by layer, from the token embedding on, against pairs of one sense."""
    n_layers = comparison.cosines.shape[1] - 1
    stops = ["token", "E before layer 0", *(f"after layer {i}" for i in range(n_layers))]
    tokens = np.array([[pair.token] for pair in comparison.inputs])
    lines = np.concatenate([tokens, comparison.cosines], axis=1)
    same = comparison.baselines
    band = np.concatenate([np.ones((len(same), 1)), same], axis=1) if len(same) else None
    names = [comparison.name_of(pair) for pair in comparison.pairs]
    figure = partial(cosine_lines, names, lines, stops, baseline=band)
    alt, says = WORDS.text("apart.alt", word=comparison.word), WORDS.text("apart.caption", word=comparison.word)
    gallery.plot(WORDS.text("apart.title"), figure, key="apart_lines", alt=alt, says=says)

    def table() -> pd.DataFrame:
        return pd.DataFrame({"pair": names, **{stop: lines[:, i] for i, stop in enumerate(stops)}})

    numbers = WORDS.text("apart.fold")
    fold(numbers, "numbers_cosines", lambda: widgets.table(table().round(4), hide_index=True))
    name = WORDS.text("apart.file", word=comparison.word)
    comparison.page.save_menu.add_views({}, save_files.Numbers(name, lambda: table().to_csv(index=False)))


def similar_inputs(comparison: SenseComparison) -> None:
    """Token, position and E before layer 0, apart, for the chosen pair."""
    found, pair = comparison.inputs[comparison.pairs.index(comparison.pair)], comparison.name_of(comparison.pair)
    position = ("none", WORDS.text("apart.no_position"))
    if found.position is not None:
        position = (two_digits(found.position), WORDS.text("apart.position", pair=pair))
    widgets.number_row(
        [
            (two_digits(found.token), WORDS.text("apart.token", pair=pair)),
            position,
            (two_digits(found.embedding), WORDS.text("apart.embedding", pair=pair)),
        ]
    )


def paths(comparison: SenseComparison) -> None:
    """Each occurrence's way through the layers, on one plane for all."""
    routes = [meaning.occurrence.route for meaning in comparison.meanings]
    with st.container(horizontal=True, gap="small"):
        controls.switch(SHOWS)
        controls.switch(AXES)
    projection = _plane(comparison, np.stack(routes))
    stops = ["before layer 0", *(f"after layer {i}" for i in range(len(routes[0]) - 1))]
    letters = [meaning.letter for meaning in comparison.meanings]
    near = [*_words_of_sentences(comparison), *_words_of_vocabulary(comparison, routes)]
    figure = partial(arrows.routes, letters, routes, projection, stops=stops, tips=letters, landmarks=near)
    alt = WORDS.text("paths.alt", word=comparison.word)
    says = WORDS.text("paths.caption", word=comparison.word, fitted_on=projection.fitted_on)
    gallery.plot(WORDS.text("paths.title"), figure, key="paths", alt=alt, says=says)
    kept = unbroken(percent(float(projection.explained.sum())))
    axes = WORDS.html("paths.axes", fitted_on=projection.fitted_on, kept=kept)
    st.html(f'<div class="hl-hint">{axes}</div>')
    numbers = "The numbers: every stop of every sentence"
    fold(numbers, "numbers_paths", lambda: widgets.table(_way_table(letters, routes, stops), hide_index=True))


def _way_table(letters: list[str], routes: list[Array], stops: list[str]) -> pd.DataFrame:
    """Every stop of every way, measured in the full space."""
    rows = []
    for letter, route in zip(letters, routes, strict=True):
        before = np.concatenate([route[:1], route[:-1]])
        turn, whole = geometry.angle(before, route), geometry.angle(route[0], route)
        columns = zip(stops, geometry.norm(route), geometry.norm(route - before), turn, whole, strict=True)
        rows += [[letter, *column] for column in columns]
    names = ["sentence", "where", "length", "step", "turn °", "from the start °"]
    return pd.DataFrame(rows, columns=names).round(2)


def _plane(comparison: SenseComparison, routes: Array) -> geometry.Projection:
    """The axes: of how the occurrences differ at each layer, or of all points; routes [meaning, layer + 1, d_model]."""
    n_axes = int(comparison.page.state["axes"])
    if comparison.page.state["shows"] == "senses":
        apart = routes - routes.mean(axis=0)
        on = WORDS.text("paths.fitted_on_differences")
        return geometry.fit_projection(np.concatenate(apart), n_axes, on)
    return geometry.fit_projection(
        np.concatenate(routes), n_axes, WORDS.text("paths.fitted_on_all", n=routes[..., 0].size)
    )


def _words_of_sentences(comparison: SenseComparison) -> list[Landmarks]:
    """In each sentence, the other word whose final embedding is nearest to the word's own."""
    vectors, names = [], []
    for meaning in comparison.meanings:
        tokens, ends = meaning.trace.tokens, meaning.trace.embedding(meaning.trace.n_layers)
        others = [i for i in range(len(tokens)) if not tokens.special[i] and i not in meaning.pieces]
        alike = geometry.cosine(ends[others], meaning.occurrence.route[-1])
        if others:
            best = others[int(alike.argmax())]
            vectors.append(ends[best])
            names.append(tokens.labels[best])
    return [Landmarks(np.array(vectors), names, "sentence words")] if names else []


def _words_of_vocabulary(comparison: SenseComparison, routes: list[Array]) -> list[Landmarks]:
    """The vocabulary's words nearest to the start and to every end, where they stand out."""
    ends = np.stack([routes[0][0], *(route[-1] for route in routes)])
    try:
        vocabulary = comparison.meanings[0].trace.vocabulary
    except HeadlightError:  # words that do not live in the residual stream are no landmarks in it
        return []
    found = shared.memoize(comparison.meanings[0].trace, _nearest, ends)
    ids = list(dict.fromkeys(int(i) for i in found.ids[found.stands_out]))[:6]
    length = float(geometry.norm(ends).mean())
    vectors = vocabulary.matrix[ids].float().cpu().numpy()
    return [Landmarks(vectors, vocabulary.words(ids), at=length)]


def _nearest(trace: Trace, vectors: Array) -> nearest_tokens.NearestTokens:
    return nearest_tokens.nearest(trace.vocabulary.matrix, vectors, 3)
