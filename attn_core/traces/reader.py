"""What a page may read of one stream, whoever holds it: a live trace, a recorded result, a shared handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens
    from attn_core.traces.changes import Changes
    from attn_core.traces.parity import Parity

Array = NDArray[np.float32]
Flags = NDArray[np.bool_]


def rows_in(rows: slice | None, n_query: int) -> slice:
    """The rows that are there, one after the other, from 0 or more to n_query or fewer.

    >>> rows_in(None, 3), rows_in(slice(2, 9), 3)
    (slice(0, 3, None), slice(2, 3, None))
    """
    if rows is not None and not isinstance(rows, slice):
        raise TypeError(f"rows must be a slice, as in slice(0, 64); got {rows!r}")
    if rows is not None and rows.step not in (None, 1):
        raise ValueError(f"rows must be one after the other, so a slice without a step; got {rows!r}")
    start, stop, _ = slice(None).indices(n_query) if rows is None else rows.indices(n_query)
    return slice(start, max(start, stop))


class TraceReader(Protocol):
    """One stream as it is read; `StreamTrace` has these readers and more, `views.recorded.Recorded` these alone.

    Axes are layer, head, query and key, counted from 0. Readers raise IndexError for an index that is not there.
    """

    @property
    def name(self) -> str:
        """Which stream it is: "self", "encoder", "decoder" or "cross"."""

    @property
    def model_name(self) -> str: ...

    @property
    def kind(self) -> str:
        """What the model is: "encoder", "decoder" or "encoder-decoder"."""

    @property
    def tokens(self) -> Tokens:
        """The tokens that ask, one a query."""

    @property
    def key_tokens(self) -> Tokens:
        """The tokens that are looked at, one a key; others than `tokens` in "cross"."""

    @property
    def changes(self) -> Changes:
        """What was done to the pass: heads switched off, patterns forced; false for a plain one."""

    @property
    def n_layers(self) -> int: ...

    @property
    def n_heads(self) -> int: ...

    def pattern(self, layer: int, head: int, rows: slice | None = None) -> Array:
        """[query, key], or some rows of it; every row sums to 1."""

    def patterns(self, layer: int, rows: slice | None = None) -> Array:
        """[head, query, key], or some rows of each."""

    def key_group(self, layer: int, head: int) -> tuple[int, ...]:
        """The heads that share one key and one value, this one among them."""

    def may_look(self, layer: int, rows: slice | None = None) -> Flags:
        """[query, key], or some rows of it, True where a query may look at a key."""

    def delta_e_sizes(self, layer: int) -> Array:
        """‖ΔE‖, [head, query]."""

    def check(self) -> Parity:
        """How far these numbers are from the model's own."""


class OneStreamReader(TraceReader, Protocol):
    """The trace of a model with one stream, live, recorded or shared: it reads as its stream does."""

    @property
    def wrapped(self) -> bool:
        """Whether the model is somebody's own object, which no name loads."""

    def stream(self, name: str | None = None) -> TraceReader: ...


class Readable(Protocol):
    """What can be shown: a live `Trace`, or a `Recorded` result. `stream` is needed where there is more than one."""

    @property
    def model_name(self) -> str: ...

    @property
    def kind(self) -> str:
        """What the model is: "encoder", "decoder" or "encoder-decoder"."""

    @property
    def wrapped(self) -> bool:
        """Whether the model is somebody's own object, which no name loads."""

    @property
    def changes(self) -> Changes: ...

    def stream(self, name: str | None = None) -> TraceReader: ...

    def check(self) -> Parity: ...
