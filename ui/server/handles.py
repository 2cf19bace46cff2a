"""Handles of models and traces: what pages hold of what is shared, reading like the real ones.

Each member asks the value, which is brought back where it has left its cache. `TraceHandle` and `RecordedHandle`
implement `attn_core.traces.reader.OneStreamReader`, so whatever takes a trace or its recording takes a handle of it.
A function of the library that wants the object itself is given `handle.value()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from attn_core.traces.reader import OneStreamReader
from ui.server.cache import Handle, T

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attn_core import Model  # noqa: F401  # named in the bases below, which are made without torch
    from attn_core.text.tokens import Tokens
    from attn_core.traces.changes import Changes
    from attn_core.traces.parity import Parity
    from attn_core.traces.reader import Array, Flags, TraceReader
    from attn_core.traces.source import Vocabulary
    from attn_core.traces.stream import StreamTrace
    from attn_core.traces.trace import Trace  # noqa: F401
    from attn_core.views.recorded import Recorded  # noqa: F401

R = TypeVar("R", bound=OneStreamReader)


class _Reading(Handle[T]):
    """A handle with members of its own, made from one that has none."""

    __slots__ = ()

    @classmethod
    def of(cls, handle: Handle[T]) -> Self:
        return cls(handle._key, handle.value(), handle._bring)


class ModelHandle(_Reading["Model"]):
    """A shared model; see `attn_core.capture.model.Model`."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self.value().name

    @property
    def side_by_side(self) -> bool:
        return self.value().side_by_side

    @property
    def kind(self) -> str:
        return self.value().kind

    @property
    def has_frame(self) -> bool:
        """Whether its tokenizer puts special tokens around a text."""
        count = getattr(self.value().tokenizer, "num_special_tokens_to_add", None)
        return count is not None and count(pair=False) > 0

    @property
    def chat_roles(self) -> tuple[str, ...]:
        return self.value().chat_roles

    @property
    def reads_pairs(self) -> bool:
        return self.value().reads_pairs

    @property
    def kept_as(self) -> str:
        return self.value().kept_as

    @property
    def head_left_aside(self) -> str:
        return self.value().head_left_aside

    @property
    def hf(self) -> Any:
        return self.value().hf

    @property
    def tokenizer(self) -> Any:
        return self.value().tokenizer

    @property
    def limit(self) -> int:
        return self.value().limit

    def read(self, text: str | Sequence[int], *, target: bool = False) -> Tokens:
        return self.value().read(text, target=target)


class OneStreamHandle(_Reading[R], Generic[R]):
    """What a trace and its recording have alike: a model with one stream reads as its stream."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self.value().name

    @property
    def model_name(self) -> str:
        return self.value().model_name

    @property
    def kind(self) -> str:
        return self.value().kind

    @property
    def tokens(self) -> Tokens:
        return self.value().tokens

    @property
    def key_tokens(self) -> Tokens:
        return self.value().key_tokens

    @property
    def n_layers(self) -> int:
        return self.value().n_layers

    @property
    def n_heads(self) -> int:
        return self.value().n_heads

    @property
    def wrapped(self) -> bool:
        return self.value().wrapped

    @property
    def changes(self) -> Changes:
        return self.value().changes

    def stream(self, name: str | None = None) -> TraceReader:
        return self.value().stream(name)

    def pattern(self, layer: int, head: int, rows: slice | None = None) -> Array:
        return self.value().pattern(layer, head, rows)

    def patterns(self, layer: int, rows: slice | None = None) -> Array:
        return self.value().patterns(layer, rows)

    def key_group(self, layer: int, head: int) -> tuple[int, ...]:
        return self.value().key_group(layer, head)

    def may_look(self, layer: int, rows: slice | None = None) -> Flags:
        return self.value().may_look(layer, rows)

    def delta_e_sizes(self, layer: int) -> Array:
        return self.value().delta_e_sizes(layer)

    def check(self) -> Parity:
        return self.value().check()


class RecordedHandle(OneStreamHandle["Recorded"]):
    """The recorded first screen, shared."""

    __slots__ = ()


class TraceHandle(OneStreamHandle["Trace"]):
    """A shared trace of any model; one with several streams is read through `stream(name)`."""

    __slots__ = ()

    @property
    def streams(self) -> tuple[str, ...]:
        return self.value().streams

    def stream(self, name: str | None = None) -> StreamTrace:
        return self.value().stream(name)

    def tokens_of(self, stream: str) -> tuple[Tokens, Tokens]:
        return self.value().tokens_of(stream)

    def embedding(self, layer: int) -> Array:
        return self.value().stream().embedding(layer)

    @property
    def d_head(self) -> int:
        return self.value().d_head

    @property
    def d_model(self) -> int:
        return self.value().d_model

    @property
    def vocabulary(self) -> Vocabulary:
        return self.value().vocabulary
