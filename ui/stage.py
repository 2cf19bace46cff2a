"""One stream of one trace: what the rooms about many heads look at, the same for encoders, decoders and translators.

stage = of(room)                       # waits for the model; a problem becomes one clear sentence
stage.patterns(0)                      # [head, query, key]
stage.run(without=[stage.named(0, 3)]) # the same sentence once more
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from attn_core import effects, heads
from attn_core.spelling import visible
from ui import caches, widgets
from ui.state import choice, words

if TYPE_CHECKING:
    from ui.frame import Room

STREAMS = {"encoder": "encoder", "decoder": "decoder", "cross": "decoder → encoder"}
PARAMS = [choice("stream", tuple(STREAMS)), words("target", "")]


@dataclass(frozen=True)
class Stage:
    """A trace and the stream that is looked at (None where a model has only one)."""

    room: Room
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
        return self.trace.n_heads

    @property
    def layer(self) -> int:
        """The link's layer; a decoder may be less deep than its encoder."""
        return min(self.room.layer, self.n_layers - 1)

    @property
    def head(self) -> int:
        return min(self.room.head, self.n_heads - 1)

    @property
    def query(self) -> int:
        """The chosen word, or else the last one that is no special token: what a decoder goes on from."""
        chosen = self.room.view["query"]
        if chosen is not None and chosen < len(self.queries):
            return chosen
        ordinary = [i for i, special in enumerate(self.queries.special) if not special]
        return ordinary[-1] if ordinary else len(self.queries) - 1

    @cached_property
    def sink(self) -> Any:
        return effects.sink_of(self.trace, self.stream)

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

    def named(self, layer: int, head: int) -> effects.Head:
        return effects.named(layer, head, self.stream)

    def run(self, **options: Any) -> Any:
        """The same tokens once more, for example with heads switched off."""
        if self.stream is None:
            return self.room.trace(self.trace.tokens.ids, **options)
        source, target = self.trace.tokens_of("encoder")[0].ids, self.trace.tokens_of("decoder")[0].ids
        return self.room.trace(source, target=target, **options)

    def over_heads(self, measure: Any) -> Any:
        """measure(patterns of a layer, may_look) → [head], for all layers: [layer, head]."""
        return np.stack([measure(self.patterns(layer), self.may_look(layer)) for layer in range(self.n_layers)])

    def run_once(self, **options: Any) -> Any:
        """As `run`, for a trace that nobody will ask for again: it is not kept."""
        if self.stream is None:
            return caches.once(self.model, self.trace.tokens.ids, **options)
        source, target = self.trace.tokens_of("encoder")[0].ids, self.trace.tokens_of("decoder")[0].ids
        return caches.once(self.model, source, target=target, **options)

    @cached_property
    def sink_shares(self) -> Any:
        """The mean share of every head that rests on the sink, [layer, head]."""
        return self.over_heads(lambda pattern, _: heads.sink_share(pattern, self.sink).mean(axis=-1))


def of(room: Room) -> Stage:
    """Read the page's sentence with its model; a translator also gets the French that it would write itself."""
    model = room.model()
    if model.kind != "encoder-decoder":
        return Stage(room, model, room.trace(), None)
    target = room.view["target"] or _own_translation(room, model)
    stream = room.view["stream"]
    return Stage(room, model, room.trace(target=target), stream)


def _own_translation(room: Room, model: Any) -> Any:
    from attn_core import translation

    if not room.text.strip():
        return "."  # what is missing is the sentence, and reading it says so
    source = model.read(room.text)
    key = ("translation", tuple(source.ids))
    return caches.beside(model, key, lambda: translation.greedy(model, source).ids)


def switches(stage: Stage) -> None:
    """Which stream, and what is being written; only where there is such a thing to choose."""
    if stage.stream is None:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        widgets.switch("Stream", STREAMS, "stream")
        st.text_input(
            "Translation",
            key="target",
            label_visibility="collapsed",
            placeholder="Type a translation, or leave it to the model",
        )


def open_head(layer: int, head: int) -> None:
    """Callback: look at another head."""
    st.session_state["layer"], st.session_state["head"] = layer, head
