"""One stream of one trace: what the pages about many heads look at, the same for encoders, decoders and translators.

viewed = of(page)                        # waits for the model; a problem becomes one clear sentence
viewed.reader.patterns(0)                # [head, query, key]; a `StreamTrace`
viewed.run(without=[viewed.reader.head_key(0, 3)])   # the same sentence once more
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import numpy as np
import streamlit as st
from markupsafe import Markup

from attn_core.heads import baselines
from attn_core.heads.salience import salient_query_of
from attn_core.heads.sink import sink_of
from attn_core.places import Place
from attn_core.text.decoding import visible
from ui import words
from ui.drawing import controls
from ui.param import choice, typed
from ui.server import loading, passes, shared
from ui.server.cache import frozen
from ui.shell import save_files

if TYPE_CHECKING:
    from attn_core import Model
    from attn_core.capture.run import HeadKey
    from attn_core.heads.measures import Bools, Floats
    from attn_core.text.tokens import Tokens
    from attn_core.traces.stream import StreamTrace
    from attn_core.traces.trace import Trace
    from ui.page import Page
    from ui.server.handles import ModelHandle, TraceHandle

WORDS = words.beside(__file__)
STREAM = choice(
    "stream",
    {"encoder": "encoder", "decoder": "decoder", "cross": "decoder → encoder"},
    label="Stream",
    travels=True,
)
TARGET = typed("target", "", label="Translation", travels=True)
PARAMS = [STREAM, TARGET]


@dataclass(frozen=True)
class StreamView:
    """A trace, and by name the stream of it that is looked at ("self" where a model has only one)."""

    page: Page = field(compare=False)
    model: ModelHandle
    trace: TraceHandle
    stream: str

    @property
    def reader(self) -> StreamTrace:
        """The stream as a value, with every reader. Not kept: callbacks hold a view for hours, and it the trace."""
        return self.trace.stream(self.stream)

    @property
    def queries(self) -> Tokens:
        return self.reader.tokens

    @property
    def keys(self) -> Tokens:
        return self.reader.key_tokens

    @property
    def n_layers(self) -> int:
        return self.reader.n_layers

    @property
    def n_heads(self) -> int:
        return self.reader.n_heads

    @property
    def layer(self) -> int:
        """The link's layer; a decoder may be less deep than its encoder."""
        return min(self.page.layer, self.n_layers - 1)

    @property
    def head(self) -> int:
        return min(self.page.head, self.n_heads - 1)

    @cached_property
    def query(self) -> int:
        """The followed word: the chosen one, or else the most salient of the opened head."""
        side = "decoder" if self.reader.name in ("decoder", "cross") else ""
        return self.page.followed(
            self.queries, lambda: salient_query_of(self.reader, self.pattern(self.layer, self.head)), side
        )

    @property
    def word(self) -> str:
        """The chosen word, for captions."""
        return f"{visible(self.queries.labels[self.query])} (token {self.query})"

    @property
    def name(self) -> str:
        """The opened head, "0.3"."""
        return f"{self.layer}.{self.head}"

    @property
    def reads(self) -> Hashable:
        """What is read with what: a key for what a session keeps of it."""
        return frozen(self)

    @cached_property
    def sink(self) -> Bools:
        return sink_of(self.reader)

    @property
    def sink_name(self) -> str:
        """What the sink is called here, "[CLS] [SEP]", or ""."""
        return " ".join(dict.fromkeys(visible(self.keys.labels[i]) for i in np.flatnonzero(self.sink)))

    def pattern(self, layer: int, head: int) -> Floats:
        return self.reader.pattern(layer, head)

    def run(self, **options: object) -> TraceHandle:
        """The same tokens once more, with heads switched off, for example; those that are off already stay off."""
        with self.page.problems():
            return passes.trace_again(self.model, self.trace, **self._still_off(options))

    def run_once(self, **options: object) -> Trace:
        """As `run`, for a trace that nobody will ask for again: it is not kept."""
        with self.page.problems():
            return passes.run_again_uncached(self.model, self.trace, **self._still_off(options))

    def without(self, off: Sequence[tuple[int, int]], parts: Sequence[tuple[str, int]] = ()) -> StreamView:
        """The same with heads of this stream switched off, and with nothing where whole layers' `parts` were.

        A part is ("mlp", layer) or ("attention", layer). Those that it does not have are left aside.
        """
        keys = [self.reader.head_key(*head) for head in off if head[0] < self.n_layers and head[1] < self.n_heads]
        places = [Place(kind, self.reader.name, layer) for kind, layer in parts if layer < self.n_layers]
        options: dict[str, object] = {"without": keys} if keys else {}
        options |= {"patch": dict.fromkeys(places, "zero")} if places else {}
        return replace(self, trace=self.run(**options)) if options else self

    def _still_off(self, options: dict[str, object]) -> dict[str, object]:
        """What is asked of a further pass, and what is changed in this one already."""
        changes = self.trace.changes
        off = [self.trace.stream(name).head_key(layer, head) for name, layer, head in changes.without]
        if off:
            asked = cast("Sequence[HeadKey]", options.get("without", ()))
            options = {**options, "without": [*off, *(key for key in asked if key not in off)]}
        if changes.patches:
            asked_for = cast("Mapping[Place, object]", options.get("patch", {}))
            options = {**options, "patch": {**{each.place: each.rule for each in changes.patches}, **asked_for}}
        return options

    def seconds_a_pass(self) -> float:
        """How long a pass takes when one of all heads is changed, tried with one of the middle layer.

        Nothing below the change is computed again, so the lower the head, the longer it takes. Found out once for all
        sentences of as many tokens: it is said in whole seconds, and two passes are not to be run for that every time.
        """
        with self.page.problems():
            sizes = self.stream, len(self.queries), len(self.keys)
            return shared.memoize(self.model, _timed_pass, *sizes, example=self)

    def shuffled(self, seed: int) -> StreamTrace:
        """This stream over the same words in another order; between two sentences it is the keys that are shuffled."""
        source, target = passes.sentences_of(self.trace)
        if self.reader.name == "decoder":
            target = {"target": _shuffled(self.queries, seed)}
        else:
            own = self.keys if self.reader.name == "cross" else self.queries
            source = _as_read(own, _shuffled(own, seed))
        with self.page.problems():
            return passes.run_uncached(self.model, source, **target).stream(self.stream)


def _timed_pass(model: Model, stream: str, n_queries: int, n_keys: int, *, example: StreamView) -> float:
    """The faster of two: the first may wait for its turn, for imports, and for a model that is tried once."""
    times = []
    for _ in range(2):
        begun = time.monotonic()
        example.run_once(without=[example.reader.head_key(example.n_layers // 2, 0)])
        times.append(time.monotonic() - begun)
    return min(times)


def _shuffled(tokens: Tokens, seed: int) -> list[int]:
    return baselines.shuffled(tokens.ids, tokens.special, seed, tokens.second)


def _as_read(tokens: Tokens, ids: list[int]) -> passes.Text:
    """Ids in the place of a sentence's own: of a pair both parts."""
    return ids if tokens.second is None else (ids[: tokens.second], ids[tokens.second :])


def of(
    page: Page,
    text: str | tuple[str, str] | None = None,
    how_read: Mapping[str, str] = MappingProxyType({}),
    *,
    model: ModelHandle | None = None,
    writer: ModelHandle | None = None,
) -> StreamView:
    """Read the page's sentence, or `text` (two are a pair) as `how_read` says, with its model, or `model`.

    A translator is also shown a translation: the link's, or else what it (or `writer`) writes itself.
    """
    model = page.model() if model is None else model
    target: dict[str, object] = {}
    stream = "self"
    if model.kind == "encoder-decoder":
        stream = page.state["stream"]
        with page.problems():
            source = page.text if text is None or isinstance(text, tuple) else text  # a translator reads no pair
            written = page.state["target"] or _translation_by(writer or model, source)
        target = {"target": written}
    if text is None and model == loading.model(page.model_name):
        return StreamView(page, model, page.trace(None, None, **target), stream)
    with page.problems():
        read = page.how_read if text is None else how_read
        trace = passes.trace(model, page.sentence if text is None else text, **target, **read)
    return StreamView(page, model, trace, stream)


def _translation_by(model: ModelHandle, text: str) -> str | list[int]:
    if not text.strip():
        return "."  # what is missing is the sentence, and reading it says so
    return passes.translated(model, model.read(text)).ids


def switches(viewed: StreamView) -> None:
    """Which stream, and what is being written; only where there is such a thing to choose."""
    if viewed.reader.name == "self":
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        controls.switch(STREAM)
        controls.sentence(TARGET, "Type a translation, or leave it to the model")


def row_names(viewed: StreamView) -> Markup:
    """How to read a decoder's rows, as a sentence; nothing for any other stream."""
    if viewed.reader.name not in ("decoder", "cross"):
        return Markup()
    return WORDS.html("stream.rows")


def offer_stream(viewed: StreamView, query: int | None = None, *numbers: save_files.Numbers) -> None:
    """What a page about many heads shows: its stream's chosen head, the word that asks, and the page's own numbers."""
    view = viewed.page.state
    shown = viewed.page.save_menu.view(
        viewed.trace,
        layer=viewed.layer,
        head=viewed.head,
        stream=viewed.stream,
        query=viewed.query if query is None else query,
        queries_in=view.get("queries", "rows"),
        scale=view.get("scale", "sqrt"),
    )
    viewed.page.save_menu.add_views({"": shown}, *numbers)
