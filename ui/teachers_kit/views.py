"""The ready views of the teacher's kit, each with the figure that a model gives for it. No Streamlit.

A view is made when the page is opened, so a figure that does not hold any more could not stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attn_core.circuits.patching.activation import patching
from attn_core.figures.charts.heatmap import heatmap_spec
from attn_core.figures.charts.parameters import named_bars, share_bars
from attn_core.figures.charts.senses import cosine_lines
from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.circuits.patching import effect_map
from attn_core.models.cards import card_of
from attn_core.parameters.count import count_parameters
from attn_core.residual import senses
from attn_core.text.numbers import percent, two_digits
from attn_core.views.recorded import SENTENCE
from ui import words
from ui.sentences import ANNA_GAVE, HUNGRY, KEYS, MOLES, TIRED, TOM_GAVE
from ui.server import shared

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from attn_core import Model
    from attn_core.traces.stream import StreamSource, StreamTrace
    from ui.server.handles import ModelHandle

WORDS = words.beside(__file__)
SAID = words.read(Path(__file__).with_name("views.toml"))  # of each view, by its name
MODEL, DECODER = "minilm", "tiny-decoder"
WIDE = "the animal didn't cross the street because it was wide"


class Reader(Protocol):
    """What the views need of a page: sentences read by a model, and the model itself."""

    def trace(self, text: str, model: str) -> StreamSource: ...

    def model(self, name: str) -> ModelHandle: ...


@dataclass(frozen=True)
class ReadyView:
    """A view for a class. `says`, and one `title`, hold the figure; `question` and `answer` are for the worksheet.

    All of it is plain text.
    """

    name: str
    title: str
    says: str
    question: str
    answer: str
    page: str
    params: Mapping[str, str | int]
    picture: Callable[..., ChartSpec]  # made with theme=
    below: str  # what the picture is of
    paper: Callable[[], go.Figure] | None = None  # … where a slide shows it in another way

    @property
    def shows_card(self) -> str:
        """The card of the page that fits a frame by itself, "" where none does."""
        return "head" if self.page == "all_heads" else ""


def _view(
    name: str, page: str, params: Mapping[str, str | int], picture: Any, below: str, paper: Any = None, **slots: object
) -> ReadyView:
    """A view whose sentences are filled with `slots`; each takes those that it has."""
    return ReadyView(
        name,
        SAID.text("title", name, **slots),
        SAID.text("says", name, **slots),
        SAID.text("question", name, **slots),
        SAID.text("answer", name, **slots),
        page,
        params,
        picture,
        below,
        paper,
    )


def _head(
    reader: Reader,
    name: str,
    text: str,
    layer: int,
    head: int,
    query: str,
    keys: Mapping[str, str],
    model: str = MODEL,
    **slots: object,
) -> ReadyView:
    """A view of one head: `keys` are slots, each the weight of a word that `query` looks at."""
    trace = reader.trace(text, model=model).stream()
    row, shares = trace.tokens.labels.index(query), _shares(trace, layer, head, query, keys)
    params: dict[str, str | int] = {"model": model, "text": text, "layer": layer, "head": head, "query": row}
    return _view(
        name, "all_heads", params, _pattern(trace, layer, head, row), _below(model, layer, head, text),
        head=f"{layer}.{head}", **shares, **slots,
    )  # fmt: skip


def _shares(trace: StreamTrace, layer: int, head: int, query: str, keys: Mapping[str, str]) -> dict[str, str]:
    """The weight that a word gives to others, by the name of its slot."""
    labels = trace.tokens.labels
    row = trace.pattern(layer, head)[labels.index(query)]
    return {slot: percent(float(row[labels.index(word)])) for slot, word in keys.items()}


def _pattern(trace: StreamTrace, layer: int, head: int, row: int) -> Callable[..., ChartSpec]:
    return partial(
        heatmap_spec,
        trace.pattern(layer, head),
        trace.tokens.labels,
        head=f"{layer}.{head}",
        masked=~trace.may_look(layer),
        selected_query=row,
        query_special=trace.tokens.special,
    )


def _below(model: str, layer: int, head: int, text: str) -> str:
    return WORDS.text("below", model=model, head=f"{layer}.{head}", text=text)


def adjectives(reader: Reader) -> ReadyView:
    return _head(reader, "adjectives", SENTENCE, 0, 3, "creature", {"fluffy": "fluffy", "blue": "blue"})


def pronoun(reader: Reader) -> ReadyView:
    wide = reader.trace(WIDE, model=MODEL).stream()
    shares = _shares(wide, 3, 1, "it", {"wide_animal": "animal", "wide_street": "street"})
    return _head(reader, "pronoun", TIRED, 3, 1, "it", {"animal": "animal", "street": "street"}, **shares)


def agreement(reader: Reader) -> ReadyView:
    return _head(reader, "agreement", KEYS, 3, 1, "are", {"keys": "keys", "cabinet": "cabinet"})


def one_back(reader: Reader) -> ReadyView:
    trace = reader.trace(SENTENCE, model=MODEL).stream()
    back = np.diagonal(trace.pattern(0, 2), -1)  # [query − 1]: what each word gives the one before it
    return _head(reader, "one_back", SENTENCE, 0, 2, "creature", {}, share=percent(float(back.mean())))


def resting(reader: Reader) -> ReadyView:
    trace = reader.trace(SENTENCE, model=MODEL).stream()
    special = np.array(trace.tokens.special)
    on_special = trace.pattern(4, 5)[~special][:, special].sum(axis=1)  # [word]
    return _head(reader, "resting", SENTENCE, 4, 5, "creature", {}, share=percent(float(on_special.mean())))


def masking(reader: Reader) -> ReadyView:
    layer, head = card_of(DECODER).best_head
    return _head(reader, "masking", HUNGRY, layer, head, "creature", {"share": "hungry"}, model=DECODER)


def moles(reader: Reader) -> ReadyView:
    traces = [reader.trace(text, model=MODEL).stream() for text in MOLES]
    ways = []
    for trace in traces:
        at = trace.tokens.labels.index("mole")
        ways.append(
            np.stack([trace.embedding(layer)[at] for layer in range(trace.n_layers + 1)])
        )  # [layer + 1, d_model]
    names = list(WORDS.table("moles.pairs").values())
    cosines = senses.cosines_by_layer(ways)  # [pair, layer + 1]
    stops = [WORDS.text("moles.stop", layer=layer) for layer in range(len(ways[0]) - 1)] + [WORDS.text("moles.end")]
    least = int(np.argmin(cosines[:, -1]))
    return _view(
        "moles", "word_senses", {"model": MODEL}, partial(cosine_lines, names, cosines, stops),
        WORDS.text("moles.below", model=MODEL), start=two_digits(cosines[:, 0].min()), pair=names[least],
        end=two_digits(cosines[least, -1]),
    )  # fmt: skip


def circuit(reader: Reader) -> ReadyView:
    effects = shared.memoize(reader.model(DECODER), _effects)  # [layer, head]
    order = np.argsort(-effects, axis=None)
    best = [f"{place // effects.shape[1]}.{place % effects.shape[1]}" for place in order[:2]]
    shares = [percent(float(effects.ravel()[place])) for place in order[:3]]
    return _view(
        "circuit", "patching", {"model": DECODER, "text": TOM_GAVE}, partial(effect_map, effects),
        WORDS.text("circuit.below", model=DECODER, first=TOM_GAVE, second=ANNA_GAVE), head=best[0], share=shares[0],
        other=best[1], other_share=shares[1], rest=shares[2],
    )  # fmt: skip


def _effects(model: Model) -> np.ndarray:
    """What every head moves of the answer between the two sentences, [layer, head]."""
    table = patching(model, TOM_GAVE, ANNA_GAVE, ("anna", "tom"))
    return table["effect"].to_numpy(dtype=float).reshape(-1, int(table["head"].max()) + 1)


def counting(reader: Reader) -> ReadyView:
    table = count_parameters("gpt-3")
    parts = {line.role: line.count for line in table.lesson}
    shown = ["GPT-3"], [parts]
    return _view(
        "counting", "parameters", {}, partial(share_bars, *shown, as_share=True), WORDS.text("counting.below"),
        partial(_named_bars, *shown),
        attention=f"{table.lesson_attention:,}", total=f"{table.lesson_total:,}",
        share=percent(table.lesson_attention / table.lesson_total),
    )  # fmt: skip


def _named_bars(models: list[str], parts: list[dict[str, int]]) -> go.Figure:
    """The bars at a slide's height, the names of their colours close below."""
    figure = named_bars(models, parts, as_share=True, theme="light")
    return figure.update_layout(height=380, width=760, margin={"b": 100}, legend={"y": -0.06})


VIEWS: tuple[Callable[[Reader], ReadyView], ...] = (
    adjectives,
    pronoun,
    agreement,
    one_back,
    resting,
    masking,
    moles,
    circuit,
    counting,
)
