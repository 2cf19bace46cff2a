"""What the step-by-step page walks through: one head of the chosen model on the visitor's sentence, or the toy.

Both become the same `StepSubject`, so every stage is drawn by the same code, whoever's numbers they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
import torch

from attn_core.figures.canvas.matrix import Side
from attn_core.residual.input_parts import InputParts, input_parts
from attn_core.views import snippets as recipes
from attn_core.views.arrangement import most_salient_query
from attn_core.walkthrough import toy
from attn_core.walkthrough.from_trace import from_trace
from attn_core.walkthrough.head import HeadInputs, HeadStages, run_stages
from attn_core.walkthrough.toy import Toy
from ui.drawing import widgets
from ui.server import shared

if TYPE_CHECKING:
    from ui.page import Page
    from ui.stream import StreamView

WINDOW = 128  # tokens that are shown at once
Array = np.ndarray


@dataclass(frozen=True)
class Words:
    """The tokens of one side: what they are called, and which are no part of what was said."""

    labels: Sequence[str]
    special: Sequence[bool]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class StepSubject:
    """One head and the words it is walked through with. `query` and `key` are the positions of the two chosen words."""

    inputs: HeadInputs
    queries: Words
    keys: Words
    query: int
    head_name: str
    embedding: Array  # E, the stream that enters this layer, [query, d_model]
    parts: InputParts | None  # how the very first E was made, where that could be found
    chosen_key: int | None = None
    window_start: int = 0
    trace: Any = None
    layer: int = 0
    head: int = 0
    stream: str | None = None
    toy: Toy | None = None
    meanings: Sequence[str] = ()  # what each number of E stands for, where somebody made it so
    link_names: tuple[str, str] = ("query", "key")  # the link's parameters for the two words

    @cached_property
    def stages(self) -> HeadStages:
        return run_stages(self.inputs)

    @cached_property
    def key(self) -> int:
        """The chosen key; without a choice, the word that gets most, special tokens and the word itself aside."""
        allowed = self.stages.may_look[self.query].numpy()
        wanted = self.chosen_key
        if wanted is not None and wanted < len(self.keys):
            return wanted
        row = self.stages.pattern[self.query].numpy().copy()
        row[~allowed] = -1
        if not self.crosses:
            row[self.query] = -0.5
        row[list(self.keys.special)] -= 0.75
        return int(row.argmax())

    @property
    def crosses(self) -> bool:
        """Whether queries and keys are different sentences."""
        return self.inputs.memory is not None

    @property
    def is_real(self) -> bool:
        return self.toy is None

    @property
    def d_model(self) -> int:
        return int(self.inputs.x.shape[1])

    @property
    def d_head(self) -> int:
        return self.inputs.d_head

    # --- Words -------------------------------------------------------------------------------------------------

    def query_name(self, i: int) -> str:
        return self.queries.labels[i]

    def key_name(self, i: int) -> str:
        return self.keys.labels[i]

    @property
    def query_html(self) -> str:
        """The chosen query as HTML."""
        return widgets.query(self.query_name(self.query))

    @property
    def key_html(self) -> str:
        """The chosen key as HTML."""
        return widgets.key(self.key_name(self.key))

    @property
    def q_window(self) -> slice:
        return slice(self.window_start, self.window_start + WINDOW)

    @property
    def k_window(self) -> slice:
        return self.q_window if not self.crosses else slice(0, WINDOW)

    def query_side(self, role: str = "query", name: str = "query") -> Side:
        w = self.q_window
        return Side(self.queries.labels[w], role, name, self.queries.special[w], first=w.start)

    def key_side(self, role: str = "key", name: str = "key", slanted: bool = False) -> Side:
        w = self.k_window
        return Side(self.keys.labels[w], role, name, self.keys.special[w], first=w.start, slanted=slanted)

    def place_in(self, i: int, window: slice) -> int | None:
        """Where a position lies in a window; None when it lies outside."""
        return i - window.start if window.start <= i < window.stop else None

    def pick(self, query: int | None = None, key: int | None = None) -> None:
        """Choose a word, or two; positions are counted within the window."""
        st.session_state["from"] = self.window_start  # what is looked at stays where it is
        if query is not None:
            st.session_state[self.link_names[0]] = query + self.q_window.start
            st.session_state[self.link_names[1]] = None
        if key is not None:
            st.session_state[self.link_names[1]] = key + self.k_window.start


def subject_from_model(page: Page, viewed: StreamView) -> StepSubject:
    """The head that the link names, of the model and sentence that it names."""
    trace, stream, layer, head = viewed.trace, viewed.stream, viewed.layer, viewed.head
    queries = Words(viewed.queries.labels, viewed.queries.special)
    keys = Words(viewed.keys.labels, viewed.keys.special)
    query = _query(page, viewed.pattern(layer, head), queries, keys, stream)
    return StepSubject(
        inputs=from_trace(trace, layer, head, stream=stream, retrace=lambda ids: page.trace(ids)),
        queries=queries,
        keys=keys,
        query=query,
        chosen_key=page.state["key"],
        window_start=_shown_from(page, len(queries), query),
        head_name=f"head {layer}.{head}",
        embedding=trace.embedding(layer, stream=stream),
        parts=_parts(viewed),
        trace=trace,
        layer=layer,
        head=head,
        stream=stream,
    )


def offer_pictures(page: Page, subject: StepSubject) -> None:
    """The page's end: every step's picture can be saved, and the lines that walk the same steps copied."""
    word = f"{subject.query_name(subject.query)} (token {subject.query})"
    if subject.trace is None:
        page.offer_pictures(subject.head_name, word, sentences=[" ".join(subject.queries.labels)], model="toy")
        return
    lines = recipes.steps(subject.trace, subject.layer, subject.head, subject.query, subject.stream)
    page.offer_pictures(subject.head_name, word, pattern_first=True, lines=lines)


def subject_from_toy(page: Page, numbers: Toy) -> StepSubject:
    """The pocket-size head, with the numbers that the visitor has given it."""
    words = Words(toy.WORDS, [False] * len(toy.WORDS))
    return StepSubject(
        inputs=numbers.inputs(),
        queries=words,
        keys=words,
        query=page.state["toy_word"],
        chosen_key=page.state["toy_answer"],
        link_names=("toy_word", "toy_answer"),
        head_name="the pocket-size head",
        embedding=numbers.embedding.numpy(),
        parts=InputParts(numbers.tokens, 1.0, numbers.places, None, numbers.embedding, ()),
        toy=numbers,
        meanings=toy.MEANINGS,
    )


def _query(page: Page, pattern: Array, queries: Words, keys: Words, stream: str | None) -> int:
    chosen = page.state["query"]
    if chosen is not None and chosen < len(queries):
        return int(chosen)
    if stream == "cross":
        return int(np.where(queries.special, 0, pattern[:, ~np.array(keys.special)].max(axis=1)).argmax())
    return most_salient_query(pattern, queries.special)


def _shown_from(page: Page, n_tokens: int, query: int) -> int:
    """Where the window on a long sentence begins: where the link says, or so that the chosen word is inside."""
    wanted = page.state["from"]
    if wanted is None:
        wanted = 0 if query < WINDOW else query - WINDOW // 2
    return int(max(0, min(wanted, n_tokens - WINDOW)))


def _parts(viewed: StreamView) -> InputParts | None:
    """How E was made; found once for a sentence, since it tries what fits."""
    reader = "decoder" if viewed.stream == "cross" else viewed.stream
    first = torch.from_numpy(viewed.trace.embedding(0, stream=reader))
    found = shared.memoize(
        viewed.trace,
        ("input parts", reader),
        lambda: (input_parts(viewed.model.hf, viewed.queries.ids, first),),
        size=lambda _: 8 * first.numel() * 4,
    )
    return found[0]
