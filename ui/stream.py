"""One stream of one trace: what the pages about many heads look at, the same for encoders, decoders and translators.

view = of(page)                        # waits for the model; a problem becomes one clear sentence
view.patterns(0)                       # [head, query, key]
view.run(without=[view.named(0, 3)])   # the same sentence once more
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from attn_core.heads import ablation, baselines
from attn_core.heads.ablation import Head
from attn_core.text.decoding import visible
from ui.drawing import widgets
from ui.link import choice, words
from ui.server import loading, passes, shared

if TYPE_CHECKING:
    from ui.page import Page

STREAMS = {"encoder": "encoder", "decoder": "decoder", "cross": "decoder → encoder"}
PARAMS = [choice("stream", tuple(STREAMS)), words("target", "")]


@dataclass(frozen=True)
class StreamView:
    """A trace and the stream that is looked at (None where a model has only one)."""

    page: Page
    model: Any
    trace: Any
    stream: str | None

    @property
    def queries(self) -> Any:
        return self.trace.tokens if self.stream is None else self.trace.tokens_of(self.stream)[0]

    @property
    def keys(self) -> Any:
        return self.trace.tokens if self.stream is None else self.trace.tokens_of(self.stream)[1]

    @property
    def n_layers(self) -> int:
        return self.trace.n_layers_of(self.stream)

    @property
    def n_heads(self) -> int:
        return self.trace.n_heads_of(self.stream)

    @property
    def layer(self) -> int:
        """The link's layer; a decoder may be less deep than its encoder."""
        return min(self.page.layer, self.n_layers - 1)

    @property
    def head(self) -> int:
        return min(self.page.head, self.n_heads - 1)

    @property
    def query(self) -> int:
        """The chosen word, or else the last one that is no special token: what a decoder goes on from."""
        chosen = self.page.state["query"]
        if chosen is not None and chosen < len(self.queries):
            return chosen
        ordinary = [i for i, special in enumerate(self.queries.special) if not special]
        return ordinary[-1] if ordinary else len(self.queries) - 1

    @property
    def word(self) -> str:
        """The chosen word, for captions."""
        return f"{visible(self.queries.labels[self.query])} (token {self.query})"

    @property
    def reads(self) -> tuple[Any, ...]:
        """What is read with what, for keeping results that were asked for."""
        return (self.model.name, self.page.text, self.page.state.get("target"), self.stream)

    @cached_property
    def sink(self) -> Any:
        return ablation.sink_of(self.trace, self.stream)

    @property
    def sink_name(self) -> str:
        """What the sink is called here, "[CLS] [SEP]", or ""."""
        return " ".join(dict.fromkeys(visible(self.keys.labels[i]) for i in np.flatnonzero(self.sink)))

    def pattern(self, layer: int, head: int) -> Any:
        return self.trace.pattern(layer, head, stream=self.stream)

    def patterns(self, layer: int) -> Any:
        return self.trace.patterns(layer, stream=self.stream)

    def may_look(self, layer: int) -> Any:
        return self.trace.may_look(layer, stream=self.stream)

    def named(self, layer: int, head: int) -> Head:
        return ablation.named(layer, head, self.stream)

    def run(self, **options: Any) -> Any:
        """The same tokens once more, for example with heads switched off."""
        return self._again(passes.trace, options)

    def run_once(self, **options: Any) -> Any:
        """As `run`, for a trace that nobody will ask for again: it is not kept."""
        return self._again(passes.run_uncached, options)

    def shuffled(self, seed: int) -> StreamView:
        """The same model over the same words in another order; between two sentences it is the keys that are mixed."""
        if self.stream is None:
            return self._of(self._mixed(self.keys, seed))
        source, target = self.trace.tokens_of("encoder")[0], self.trace.tokens_of("decoder")[0]
        if self.stream == "decoder":
            return self._of(source.ids, target=self._mixed(target, seed))
        return self._of(self._mixed(source, seed), target=target.ids)

    def _mixed(self, tokens: Any, seed: int) -> list[int]:
        return baselines.shuffled(tokens.ids, tokens.special, seed)

    def _of(self, ids: list[int], **options: Any) -> StreamView:
        with self.page.problems():
            return replace(self, trace=passes.run_uncached(self.model, ids, **options))

    def _again(self, how: Any, options: dict[str, Any]) -> Any:
        with self.page.problems():
            if self.stream is None:
                return how(self.model, self.trace.tokens.ids, **options)
            source, target = self.trace.tokens_of("encoder")[0].ids, self.trace.tokens_of("decoder")[0].ids
            return how(self.model, source, target=target, **options)


def of(page: Page, text: str | None = None, model: Any = None, writer: Any = None) -> StreamView:
    """Read the page's sentence, or `text`, with its model, or `model`.

    A translator is also shown a translation: the link's, or else what it (or `writer`) writes itself.
    """
    model = page.model() if model is None else model
    options: dict[str, Any] = {}
    stream = None
    if model.kind == "encoder-decoder":
        stream = page.state["stream"]
        with page.problems():
            written = page.state["target"] or _translation_by(writer or model, page.text if text is None else text)
        options["target"] = written
    if text is None and model == loading.model(page.model_name):
        return StreamView(page, model, page.trace(**options), stream)
    with page.problems():
        trace = passes.trace(model, page.text if text is None else text, **options)
    return StreamView(page, model, trace, stream)


def _translation_by(model: Any, text: str) -> Any:
    from attn_core.prediction import translation

    if not text.strip():
        return "."  # what is missing is the sentence, and reading it says so
    source = model.read(text)
    key = ("translation", tuple(source.ids))
    return shared.memoize(model, key, lambda: translation.greedy(model, source).ids)


def switches(viewed: StreamView) -> None:
    """Which stream, and what is being written; only where there is such a thing to choose."""
    if viewed.stream is None:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        widgets.switch("Stream", STREAMS, "stream")
        st.text_input(
            "Translation",
            key="target",
            label_visibility="collapsed",
            placeholder="Type a translation, or leave it to the model",
        )


def writing(viewed: StreamView) -> str:
    """How to read a decoder's rows, as HTML; "" for any other stream."""
    if viewed.stream not in ("decoder", "cross"):
        return ""
    return " A row is named by the word that the decoder has just read; what it writes there is the next one."


def open_head(layer: int, head: int) -> None:
    """Callback: look at another head."""
    st.session_state["layer"], st.session_state["head"] = layer, head
