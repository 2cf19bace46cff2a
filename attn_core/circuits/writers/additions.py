"""A residual stream as a sum of what was added to it, and what later norms and patches make of each addition.

Centring is linear, so every writer is centred with the sum, and only a norm's shift β is a writer of its own. Where a
stream was patched, whoever wrote before ends, and the patch is the writer of all that stands there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from attn_core.errors import HeadlightError
from attn_core.precision import through
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.traces.parts import Writer
from attn_core.traces.stream import StreamTrace

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Norm = Callable[[NDArray[np.floating]], NDArray[np.floating]]
FEW = 64  # tokens that tell which module made one stream of another, since it treats all alike
Linear = Callable[[Floats], Floats]  # [token, …] → [token, …]: what happens to every part of a sum alike


@dataclass(frozen=True, eq=False)
class _Addition:
    """What one writer adds, made when it is asked for, and how many of the maps had happened by then.

    `through` is a norm of this addition alone, on its way into the stream; `kept` [token, 1] is False where a patch of
    what the whole layer's attention adds stands in its place.
    """

    writer: Writer
    vectors: Callable[[], Floats]  # [token, d_model]
    after: int
    through: FrozenNorm | None
    kept: NDArray[np.bool_] | None


@dataclass
class ResidualWriters:
    """Everything that was added to some tokens of a stream, in order, and what later happened to it."""

    tokens: Places
    _additions: list[_Addition] = field(default_factory=list)
    _maps: list[Linear] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Writer, Floats]]:
        """(writer, what it is in the sum at the end, [token, d_model]), one by one: all at once may be a gigabyte."""
        for addition in self._additions:
            yield addition.writer, self._carried(addition, addition.vectors())

    def carried(self, writer: Writer, pieces: Floats) -> Floats:
        """What becomes of pieces of what a writer added, [piece, d_model], by the end; of one token alone."""
        found = next((addition for addition in self._additions if addition.writer == writer), None)
        if found is None:
            raise ValueError(f"{writer} wrote nothing here; there are {', '.join(a.writer for a in self._additions)}")
        return self._carried(found, pieces)

    def _carried(self, addition: _Addition, vectors: Floats) -> Floats:
        vectors = vectors if addition.through is None else addition.through.part(vectors)
        vectors = vectors if addition.kept is None else vectors * addition.kept
        for apply in self._maps[addition.after :]:
            vectors = apply(vectors)
        return vectors

    def add(
        self,
        writer: Writer,
        vectors: Callable[[], Floats],
        through: FrozenNorm | None = None,
        kept: NDArray[np.bool_] | None = None,
    ) -> None:
        self._additions.append(_Addition(writer, vectors, len(self._maps), through, kept))

    def constant(
        self,
        writer: Writer,
        vector: NDArray[np.floating],
        through: FrozenNorm | None = None,
        kept: NDArray[np.bool_] | None = None,
    ) -> None:
        """The same vector [d_model] for every token; left out where it is zero, as in a model that has none."""
        if np.any(vector):
            row = np.asarray(vector, dtype=np.float64)
            self.add(writer, lambda: np.tile(row, (len(self.tokens), 1)), through, kept)

    def patch(self, writer: Writer, rows: NDArray[np.bool_], vectors: Floats) -> None:
        """At the tokens `rows` [token] all that was written before ends, and `vectors` [token, d_model] stand there."""
        if rows.all():
            self._additions.clear()
        kept = ~rows[:, None]  # [token, 1]
        self._maps.append(lambda x: x * kept)
        self.add(writer, lambda: vectors * rows[:, None])

    def apply(self, linear: Linear) -> None:
        """All that was added so far goes through a linear map, such as a projection."""
        self._maps.append(linear)

    def norm(self, writer: Writer, norm: Norm, x: NDArray[np.floating]) -> None:
        """All that was added so far goes through a norm of its sum `x` [token, d_model]; the shift is a new writer."""
        frozen = frozen_norm(norm, x)
        self._maps.append(frozen.part)
        self.constant(writer, frozen.shift)


def frozen_norm(norm: Norm, x: NDArray[np.floating]) -> FrozenNorm:
    """A norm held at what it does to `x` [token, d_model]; HeadlightError where it is none that can be frozen."""
    try:
        return FrozenNorm.of(norm, x)
    except ValueError:
        raise HeadlightError(
            "A norm of this model is neither a LayerNorm nor an RMSNorm, so a score cannot be split part by part."
        ) from None


def evenly(n: int) -> Places:
    """Up to `FEW` of n tokens, from the first to the last.

    >>> evenly(3).tolist(), len(evenly(1000))
    ([0, 1, 2], 64)
    """
    return np.linspace(0, n - 1, min(n, FEW)).astype(np.intp)


def run_module(module: torch.nn.Module, vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """What a module makes of vectors [..., d], in float32."""
    result: NDArray[np.floating] = through(module, torch.as_tensor(np.asarray(vectors), dtype=torch.float32)).numpy()
    return result


def refuse_half_precision(stream: StreamTrace) -> None:
    """Raise HeadlightError for a trace whose model rounded its stream too coarsely to tell who wrote what in it."""
    if stream.precision != "float32":
        raise HeadlightError(
            f"This model computes in {stream.precision}, which rounds away who wrote what: load it in float32 for this."
        )
