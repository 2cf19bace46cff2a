"""One stop of the lesson as a value, the models and sentences that the stops read, and how their pictures are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from attn_core import attention
from attn_core.figures.charts.heatmap import heatmap
from attn_core.figures.html.bar_table import Column
from attn_core.views import snippets as recipes
from ui.drawing import gallery
from ui.page import STARTER, Page, provenance

MODEL, DECODER = "minilm", "tiny-decoder"
DECIDING = "a hungry fluffy blue creature"  # what a creature does depends on its being hungry
MOLES = (
    "the american shrew mole digs a burrow",
    "one mole of carbon dioxide weighs 44 grams",
    "take a biopsy of the mole on the skin",
)
PICTURE = "The picture of this stop"  # every stop has one
LAYER, HEAD = 0, 3  # the bundled model's head that looks at both adjectives


@dataclass(frozen=True)
class Stop:
    """One screen of the lesson. `says`, `reads` and `reveals` are HTML; `right` is the true one of the `options`.

    `model` and `sentences` are what its picture is of, `lines` the Python that gives its numbers.
    """

    title: str
    says: str
    draw: Callable[[], None]
    reads: str
    question: str
    options: Sequence[str]
    right: int
    reveals: str
    door: tuple[str, str, dict[str, Any]]
    badge: str = provenance("live")
    model: str = MODEL
    sentences: Sequence[str] = (STARTER,)
    lines: str = recipes.pattern(MODEL, STARTER, LAYER, HEAD)


def starter_trace(page: Page) -> tuple[Any, int]:
    """The starter sentence in the bundled model, and where *creature* stands."""
    trace = page.trace(STARTER, model=MODEL)
    return trace, trace.tokens.labels.index("creature")


def plot(make: Callable[..., Any], key: str, alt: str) -> None:
    gallery.plot(PICTURE, make, key=key, alt=alt, says=alt.rstrip("."), config={"displayModeBar": False})


def bars(says: str, labels: Sequence[str], columns: Sequence[Column], **options: Any) -> None:
    gallery.bars(PICTURE, labels, columns, says, **options)


def matrix(trace: Any, numbers: np.ndarray, creature: int, **options: Any) -> Any:
    tokens = trace.tokens
    return partial(
        heatmap, numbers, tokens.labels, head=f"{LAYER}.{HEAD}", selected_query=creature,
        query_special=tokens.special, **options,
    )  # fmt: skip


def guesses(labels: Sequence[str], numbers: np.ndarray, also: Sequence[str]) -> tuple[list[str], int]:
    """Three words to guess among, in the sentence's order, and where the largest number among them is."""
    top = labels[int(np.argmax(numbers))]
    options = sorted({top, *[word for word in also if word != top][:2]}, key=labels.index)
    return options, options.index(top)


def link_to(creature: int) -> dict[str, Any]:
    return {"model": MODEL, "text": STARTER, "layer": LAYER, "head": HEAD, "query": creature}


def softmax_row(scores: np.ndarray) -> np.ndarray:
    import torch

    return attention.softmax(torch.as_tensor(scores)).numpy()
