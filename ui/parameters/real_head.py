"""A real head in the parameter page: the singular values of its W_V · W_O, of which at most d_head are not nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from markupsafe import Markup

from attn_core.errors import HeadlightError
from attn_core.figures.charts.singular_values import singular_values
from attn_core.figures.paper.caption import caption
from attn_core.models.catalogue import CATALOGUE, availability
from attn_core.parameters import low_rank
from attn_core.residual.geometry import Array
from attn_core.settings import VERSION
from ui import words
from ui.drawing import controls, gallery, markup, widgets
from ui.page import Page
from ui.parameters.controls import title_of
from ui.parameters.counts import ModelCounts
from ui.server import shared
from ui.shared_params import HEAD, LAYER
from ui.shell.folds import fold
from ui.shell.menu import go
from ui.stream import STREAM

if TYPE_CHECKING:
    from attn_core.traces.stream import StreamTrace
    from attn_core.traces.trace import Trace
    from ui.server.handles import TraceHandle

WORDS = words.beside(__file__)
PROBE = "a fluffy blue creature roamed the verdant forest"  # any sentence will do: only weights are looked at


def real_head(counts: ModelCounts) -> None:
    """Choose a head of a model whose weights are here, and see how many directions it can write to."""
    page = counts.page
    live = markup.badge("live", why=WORDS.text("head.live"))
    widgets.heading("", f"{live}{WORDS.html('head.hint')}")
    trace, reader, layer, head = _choose(page)
    try:
        found = shared.memoize(trace, spectrum_of, reader.name, layer, head)
    except HeadlightError as hidden:
        widgets.note(str(hidden))
        return
    figure = partial(singular_values, found.values, found.d_head, found.floor)
    alt = WORDS.text("head.alt", n=len(found.values), rank=found.rank)
    which = f"Head {layer}.{head}"
    if trace.kind == "encoder-decoder":
        which = WORDS.text("head.in_stream", head=which, stream=STREAM.options[reader.name])
    says = WORDS.text("head.caption", head=which.lower(), model=page.entry.title)
    about = caption([page.model_name], [], {}, VERSION)
    gallery.plot("Singular values of a real head", figure, key="singular_values", alt=alt, says=says, about=about)
    widgets.reading(rank_aloud(found, which, page.entry.title))
    where = {"stream": reader.name} if trace.kind == "encoder-decoder" else {}
    go("why_there", WORDS.text("head.card"), ("why", "card"), model=page.model_name, layer=layer, head=head, **where)
    fold("The numbers: all singular values", "numbers_singular", partial(_numbers, found.values))


def _numbers(values: Array) -> None:
    table = pd.DataFrame({"direction": np.arange(1, len(values) + 1), "singular value": values})
    widgets.table(table, hide_index=True, height=260, alt="All singular values.")


def spectrum_of(trace: Trace, stream: str, layer: int, head: int) -> low_rank.Spectrum:
    """The singular values of one head's W_V · W_O."""
    reader = trace.stream(stream)
    return low_rank.spectrum(reader.w_v(layer, head), reader.w_o(layer, head))


def rank_aloud(found: low_rank.Spectrum, which: str, model: str) -> Markup:
    """To how many directions the head can write, and in how many most of its strength lies."""
    many, n = found.directions_for, len(found.values)
    half, most = many[0.5], many[0.9]
    if found.rank == found.d_head:
        return WORDS.html("head.full", head=which, model=model, rank=found.rank, n=n, half=half, most=most)
    return WORDS.html(
        "head.less", head=which, model=model, rank=found.rank, n=n, d_head=found.d_head, half=half, most=most
    )


def _choose(page: Page) -> tuple[TraceHandle, StreamTrace, int, int]:
    """The model, in a translator the stream, the layer and the head; waits for the model."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="real_head"):
        controls.pick(page.state.declared("model"), _loadable(page.model_name), title_of, width=210)
        stack = st.container(width="content")
        place = st.container(horizontal=True, gap="small", width="content")
    page = replace(page, remarks=st.container())  # the model comes here, and the page above does not move
    two_stacks = page.model().kind == "encoder-decoder"
    trace = page.trace(PROBE, **({"target": PROBE} if two_stacks else {}))
    stream = page.state["stream"] if two_stacks else None
    reader: StreamTrace = trace.stream(stream)
    n_layers, n_heads = reader.n_layers, reader.n_heads
    layer, head = min(page.layer, n_layers - 1), min(page.head, n_heads - 1)
    st.session_state.update({"layer": layer, "head": head})  # a decoder may be less deep than its encoder
    if stream:
        with stack:
            controls.switch(STREAM)
    with place:
        controls.stepper(LAYER, n_layers - 1)
        controls.stepper(HEAD, n_heads - 1)
    return trace, reader, layer, head


def _loadable(chosen: str) -> list[str]:
    """Models whose weights are here, and the chosen one."""
    here = [name for name in CATALOGUE if availability(name)[0]]
    return [*here, *([] if chosen in here else [chosen])]
