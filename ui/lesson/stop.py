"""One stop of the lesson as a value: words, a picture, a question. No Streamlit: `layout.py` draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import torch
from markupsafe import Markup

from attn_core.attention import softmax
from attn_core.figures.charts.heatmap import heatmap_spec
from attn_core.figures.charts.heatmap_layout import Kind
from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.html.bar_table import Column
from attn_core.traces.stream import StreamSource, StreamTrace
from attn_core.views.recorded import SENTENCE
from attn_core.views.snippets import heads as snippets

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from attn_core import Model
    from ui.server.handles import ModelHandle

MODEL, DECODER = "minilm", "tiny-decoder"
LAYER, HEAD = 0, 3  # the bundled model's head that looks at both adjectives
Link = Mapping[str, str | int]  # parameters of a link, by name


class Reader(Protocol):
    """What the stops need of a page: sentences read by a model."""

    def trace(self, text: str, model: str) -> StreamSource: ...

    def model(self, name: str) -> Model | ModelHandle: ...


@dataclass(frozen=True)
class Bars:
    """A table of bars."""

    says: str
    labels: Sequence[str]
    columns: Sequence[Column]
    head: str
    marks: Mapping[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """A Plotly chart; `paper` draws it where it is saved in another way than on screen."""

    make: Callable[..., ChartSpec]
    key: str
    says: str
    paper: Callable[[], go.Figure] | None = None


@dataclass(frozen=True)
class HeadTiles:
    """Every head of every layer on one canvas."""

    packet: bytes
    says: str
    selected: tuple[int, int]


Picture: TypeAlias = "Bars | Chart | HeadTiles"


def blank(bars: Bars, *columns: int) -> Bars:
    """The same bars with nothing in some of the columns, and a question mark for every number."""
    asked = [
        Column(c.title, np.full(len(bars.labels), np.nan), ["?"] * len(bars.labels), c.role, 1.0) if i in columns else c
        for i, c in enumerate(bars.columns)
    ]
    return replace(bars, columns=asked)


@dataclass(frozen=True)
class Stop:
    """One screen of the lesson. `right` is the true one of the `options`.

    A question is asked before anything on the screen answers it: until somebody guesses or asks, `unasked` is shown
    in the place of `picture`, with blanks for what would give it away, and nothing below it. Then come the picture,
    `reads`, and `also`, a second picture with what it shows, if there is one.

    `model` and `sentences` are what its picture is of, `lines` the Python that gives its numbers. `badge` says where
    the numbers come from: "live" or "counted".
    """

    title: str
    says: Markup
    picture: Picture
    unasked: Picture
    reads: Markup
    question: str
    options: Sequence[str]
    right: int
    reveals: Markup
    page_link: tuple[str, str, Link]
    also: tuple[Picture, Markup] | None = None
    badge: str = "live"
    model: str = MODEL
    sentences: Sequence[str] = (SENTENCE,)
    lines: str = snippets.pattern(MODEL, SENTENCE, LAYER, HEAD)


def starter_trace(page: Reader) -> tuple[StreamTrace, int]:
    """The starter sentence in the bundled model, and where *creature* stands."""
    trace = page.trace(SENTENCE, model=MODEL).stream()
    return trace, trace.tokens.labels.index("creature")


def matrix(
    trace: StreamTrace, numbers: np.ndarray, creature: int, kind: Kind, measure: str
) -> Callable[..., ChartSpec]:
    """A matrix of pairs of the starter sentence, with creature's row framed."""
    return partial(
        heatmap_spec,
        numbers,
        trace.tokens.labels,
        head=f"{LAYER}.{HEAD}",
        selected_query=creature,
        query_special=trace.tokens.special,
        kind=kind,
        measure=measure,
    )


def guesses(labels: Sequence[str], numbers: np.ndarray, also: Sequence[str]) -> tuple[list[str], int]:
    """Three words to guess among, in the sentence's order, and where the largest number among them is."""
    top = labels[int(np.argmax(numbers))]
    options = sorted({top, *[word for word in also if word != top][:2]}, key=labels.index)
    return options, options.index(top)


def link_to(creature: int) -> dict[str, str | int]:
    """The link's parameters for creature in the head that the lesson looks at."""
    return {"model": MODEL, "text": SENTENCE, "layer": LAYER, "head": HEAD, "query": creature}


def softmax_row(scores: np.ndarray) -> np.ndarray:
    """The weights that a row of scores would give; they sum to 1."""
    weights: np.ndarray = softmax(torch.as_tensor(scores)).numpy()
    return weights
