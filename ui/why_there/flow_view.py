"""The page Why there?, seen as the flow behind one word: from which input words it came, through all layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from markupsafe import Markup

from attn_core.circuits.flow import MEASURES, Flow, disagreement, flow
from attn_core.figures.circuits.flow import flow_lines
from attn_core.figures.html.bar_table import Column
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from attn_core.tolerances import SMALLEST
from attn_core.views import snippets
from ui import stream, words
from ui.drawing import controls, gallery, markup, widgets
from ui.param import choice
from ui.server import budget, shared
from ui.shell import save_files
from ui.shell.folds import fold
from ui.stream import choose_word

if TYPE_CHECKING:
    from collections.abc import Callable

    from attn_core.traces.trace import Trace
    from ui.page import Page
    from ui.stream import StreamView

WORDS = words.beside(__file__, "flow.toml")
FLOW = choice("flow", WORDS.table("measures"), label="Measure")
PARAMS = [FLOW]
COST = 16  # passes' worth of work for each token squared
SAID, NAMED = 3, 0.02  # words that the headline names; the share from which a point names its heads


def draw(page: Page, views: Callable[[], object]) -> None:
    """The whole view; `views` draws the switch between the page's views."""
    headline = st.container(gap=None)
    viewed = stream.of(page)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="pickers"):
        views()
        names = [f"{visible(label)} ({i})" for i, label in enumerate(viewed.queries.labels)]
        controls.word_picker("asking", names, viewed.query, choose_word, label="The word")
        measure = controls.switch(FLOW)
    stream.switches(viewed)
    most = budget.fitting([(len(viewed.queries), COST)])
    if most is not None:
        with headline:
            widgets.note(WORDS.text("page.too_long", tokens=most))
        return
    with page.problems():
        flows = shared.memoize(viewed.trace, _flows, viewed.reader.name)
    found, layers, word = flows[measure], viewed.n_layers, markup.token_name(viewed.queries.labels, viewed.query)
    shares = {name: each.behind(layers)[viewed.query] for name, each in flows.items()}  # [token + 1]
    with headline:
        widgets.lead(_headline(viewed, shares[measure], word), f"{page.badges(viewed.trace)}{WORDS.html('page.sub')}")
    title = WORDS.html("picture.title", word=markup.query(word))
    with widgets.card("flow", title, WORDS.html("picture.hint")):
        _picture(viewed, found, word, measure)
        widgets.number_row(_numbers(viewed, shares, measure))
    table = _table(viewed, shares)
    with widgets.card("words", WORDS.html("words.title"), WORDS.html("words.hint", word=word)):
        _words(viewed, shares[measure], word, measure)
        fold(WORDS.text("picture.fold"), "numbers_flow", partial(st.dataframe, table, hide_index=True))
        stream.links_elsewhere(viewed, viewed.query, "all_heads", "delta_e")
    stream.offer_stream(
        viewed, viewed.query, save_files.Numbers(f"flow behind {word}", lambda: table.to_csv(index=False))
    )
    page.offer_pictures(word, lines=snippets.flow(viewed.trace, viewed.reader.name, viewed.query, measure))


def _flows(trace: Trace, name: str) -> dict[str, Flow]:
    return {measure: flow(trace.stream(name), measure) for measure in MEASURES}


def _headline(viewed: StreamView, shares: np.ndarray, word: str) -> Markup:
    """The words from which most came."""
    if np.isnan(shares).any():
        return WORDS.html("lead.undefined", word=markup.query(word))
    best = np.argsort(-shares[:-1], kind="stable")[:SAID]
    said = [
        WORDS.html("lead.itself", share=percent(float(shares[i])))
        if i == viewed.query
        else WORDS.html(
            "lead.item",
            share=percent(float(shares[i])),
            name=markup.key(markup.token_name(viewed.keys.labels, int(i))),
        )
        for i in best
    ]
    return WORDS.html("lead.found", word=markup.query(word), shares=Markup(", ").join(said))


def _numbers(viewed: StreamView, shares: dict[str, np.ndarray], measure: str) -> list[tuple[str, str]]:
    own = shares[measure]
    if np.isnan(own).any():
        return []
    apart = disagreement(own, shares["rollout"])
    return [
        (percent(float(own[viewed.query])), WORDS.text("numbers.itself")),
        (percent(float(own[:-1][viewed.sink].sum())), WORDS.text("numbers.sink", sink=viewed.sink_name or "a sink")),
        (percent(float(own[-1])), WORDS.text("numbers.bias")),
        (percent(apart), WORDS.text("numbers.apart")),
    ]


def _picture(viewed: StreamView, found: Flow, word: str, measure: str) -> None:
    reach = np.nan_to_num(found.reach(viewed.query, viewed.n_layers))
    heads = {
        (layer, int(at)): WORDS.text("picture.heads", heads=_heads(viewed, layer - 1, int(at)))
        for layer in range(1, viewed.n_layers + 1)
        for at in np.flatnonzero(reach[layer, :-1] > NAMED)
    }
    figure = partial(
        flow_lines, viewed.queries.labels, reach, found.edges, viewed.query, heads, bias=WORDS.text("picture.bias")
    )
    says = WORDS.text("picture.caption", word=word, measure=FLOW.options[measure])
    alt = WORDS.text("picture.alt", word=word)
    gallery.plot(WORDS.text("picture.name"), figure, key="flow_picture", alt=alt, says=says)


def _heads(viewed: StreamView, layer: int, token: int) -> str:
    """The three heads whose ΔE of a token is longest, with their shares of all heads' lengths."""
    sizes = np.linalg.norm(viewed.reader.heads_delta_e(layer, token), axis=1)
    best = np.argsort(-sizes, kind="stable")[:3]
    return ", ".join(
        f"{layer}.{head} ({percent(float(sizes[head] / max(float(sizes.sum()), SMALLEST)))})" for head in best
    )


def _words(viewed: StreamView, shares: np.ndarray, word: str, measure: str) -> None:
    if np.isnan(shares).any():
        return
    names = [markup.token_name(viewed.keys.labels, i) for i in range(len(viewed.keys))] + [WORDS.text("picture.bias")]
    column = Column(WORDS.text("words.column"), shares, [percent(float(share)) for share in shares], "key")
    says = WORDS.text("words.caption", word=word, measure=FLOW.options[measure])
    gallery.bars(WORDS.text("words.title"), names, [column], says=says)


def _table(viewed: StreamView, shares: dict[str, np.ndarray]) -> pd.DataFrame:
    names = [f"{visible(label)} ({i})" for i, label in enumerate(viewed.keys.labels)] + [WORDS.text("picture.bias")]
    return pd.DataFrame({"word": names, **{name: np.round(own, 6) for name, own in shares.items()}})
