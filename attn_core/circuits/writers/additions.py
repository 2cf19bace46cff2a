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

from attn_core.blocks import CELLS
from attn_core.errors import HeadlightError
from attn_core.precision import through
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.traces.parts import Writer
from attn_core.traces.stream import StreamTrace

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Norm = Callable[[NDArray[np.floating]], NDArray[np.floating]]
FEW = 64  # tokens that tell which module made one stream of another, since it treats all alike
TOGETHER = CELLS // 8  # numbers of several writers that are carried together: a megabyte, which a cache still holds
Linear = Callable[[Floats], Floats]  # [..., token, d_model] → the same: what happens to every part of a sum alike


@dataclass(frozen=True, eq=False)
class _Addition:
    """What writers add side by side, made when it is asked for, and how many of the maps had happened by then.

    `through` is a norm of these additions alone, on their way into the stream; `kept` [token, 1] is False where a patch
    of what the whole layer's attention adds stands in their place.
    """

    writers: tuple[Writer, ...]
    vectors: Callable[[], Floats]  # [writer, token, d_model]
    after: int
    through: FrozenNorm | None
    kept: NDArray[np.bool_] | None

    def entering(self, vectors: Floats) -> Floats:
        """What of `vectors` [..., d_model] enters the stream."""
        vectors = vectors if self.through is None else self.through.part(vectors)
        return vectors if self.kept is None else vectors * self.kept


@dataclass
class ResidualWriters:
    """Everything that was added to some tokens of a stream, in order, and what later happened to it."""

    tokens: Places
    _additions: list[_Addition] = field(default_factory=list)
    _maps: list[Linear] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Writer, Floats]]:
        """(writer, what it is in the sum at the end, [token, d_model]), a few at once: all may be a gigabyte."""
        few: list[_Addition] = []
        entered: list[Floats] = []  # [writer, token, d_model] each
        for addition in self._additions:
            vectors = addition.entering(addition.vectors())
            if entered and vectors.size + sum(each.size for each in entered) > TOGETHER:
                yield from self._carried_together(few, entered)
                few, entered = [], []
            few.append(addition)
            entered.append(vectors)
        if few:
            yield from self._carried_together(few, entered)

    def _carried_together(self, additions: list[_Addition], entered: list[Floats]) -> Iterator[tuple[Writer, Floats]]:
        """Each map is taken once, by all that was added before it."""
        at = additions[0].after
        waiting: list[Floats] = []
        for addition, vectors in zip(additions, entered, strict=True):
            if addition.after != at:
                waiting = [self._mapped(np.concatenate(waiting), at, addition.after)]
                at = addition.after
            waiting.append(vectors)
        writers = (writer for addition in additions for writer in addition.writers)
        yield from zip(writers, self._mapped(np.concatenate(waiting), at), strict=True)

    def carried(self, writer: Writer, pieces: Floats) -> Floats:
        """What becomes of pieces of what a writer added, [piece, d_model], by the end; of one token alone."""
        found = next((addition for addition in self._additions if writer in addition.writers), None)
        if found is None:
            there = ", ".join(each for addition in self._additions for each in addition.writers)
            raise ValueError(f"{writer} wrote nothing here; there are {there}")
        return self._mapped(found.entering(pieces), found.after)

    def _mapped(self, vectors: Floats, start: int, stop: int | None = None) -> Floats:
        """[..., token, d_model] → the same, through some of the maps."""
        for apply in self._maps[start:stop]:
            vectors = apply(vectors)
        return vectors

    def add(
        self,
        writers: Writer | tuple[Writer, ...],
        vectors: Callable[[], Floats],
        through: FrozenNorm | None = None,
        kept: NDArray[np.bool_] | None = None,
    ) -> None:
        """What a writer adds, [token, d_model], or what several do, [writer, token, d_model]."""
        if isinstance(writers, Writer):
            self.add((writers,), lambda: vectors()[None], through, kept)
            return
        self._additions.append(_Addition(writers, vectors, len(self._maps), through, kept))

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
