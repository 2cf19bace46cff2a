"""What is counted of many sentences: counts, moments, bootstrap sums and extremes, which add up whatever the order.

Everything has one entry a *number*: a measure of one head of one stream, in the order of `Layout.index`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attn_core.heads.collection import Rows
from attn_core.heads.sink import Floats

if TYPE_CHECKING:
    import pandas as pd

EXTREMES = 10  # sentences kept at either end; below 20 sentences that is all of them
NOBODY = -1  # the row of a place that is still empty
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Which numbers there are: the streams with their layers and heads, and the measures."""

    streams: tuple[tuple[str, int, int], ...]  # (name, layers, heads)
    measures: tuple[str, ...]

    def __len__(self) -> int:
        return sum(layers * heads for _, layers, heads in self.streams) * len(self.measures)

    @cached_property
    def _starts(self) -> dict[str, tuple[int, int]]:
        """By stream: where its numbers begin, and how many heads a layer has."""
        found, at = {}, 0
        for name, layers, heads in self.streams:
            found[name] = at, heads
            at += layers * heads * len(self.measures)
        return found

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.measures)}

    def index(self) -> pd.DataFrame:
        """The columns stream, layer, head and measure of every number."""
        import pandas as pd

        rows = [
            (name, layer, head, measure)
            for name, layers, heads in self.streams
            for layer in range(layers)
            for head in range(heads)
            for measure in self.measures
        ]
        return pd.DataFrame(rows, columns=["stream", "layer", "head", "measure"])

    def at(self, stream: str, layer: int, head: int, measure: str) -> int:
        """The place of one number. KeyError for a stream or measure that is not here."""
        start, heads = self._starts[stream]
        return start + (layer * heads + head) * len(self.measures) + self._places[measure]

    def line(self, found: Iterable[Rows]) -> Floats:
        """What was found in one sentence as one line of numbers, NaN where a measure meant nothing."""
        line = np.full(len(self), np.nan)
        for own in found:
            first = self.at(own.stream, own.layer, 0, own.measure)
            line[first : first + len(own.values) * len(self.measures) : len(self.measures)] = own.values
        return line


@dataclass(frozen=True)
class Extremes:
    """The sentences with the largest numbers: `values` [place, number], the largest first, and their `rows`.

    Of equal numbers the earlier row comes first, so that the order of adding changes nothing.
    """

    values: Floats
    rows: Ints

    @classmethod
    def of(cls, values: Floats, rows: Ints) -> Extremes:
        """The largest of [sentence, number]; NaN is no number."""
        there = ~np.isnan(values)
        by_row = np.where(there, np.broadcast_to(rows[:, None], values.shape), NOBODY)
        return cls(np.where(there, values, -np.inf), by_row).largest()

    def largest(self) -> Extremes:
        order = np.lexsort((self.rows, -self.values), axis=0)[:EXTREMES]
        return Extremes(np.take_along_axis(self.values, order, 0), np.take_along_axis(self.rows, order, 0))

    def __add__(self, other: Extremes) -> Extremes:
        both = Extremes(np.concatenate([self.values, other.values]), np.concatenate([self.rows, other.rows]))
        return both.largest()


@dataclass(frozen=True)
class Sums:
    """Sums over sentences: count, total and squares [number], bootstrap sums [replicate, number], and both ends.

    `drawn` is Σ weight over the sentences that have the number, and `weighted` Σ weight · value. `least` keeps the
    values with their sign turned.
    """

    n: Ints
    total: Floats
    squares: Floats
    drawn: Floats
    weighted: Floats
    most: Extremes
    least: Extremes

    @classmethod
    def of(cls, values: Floats, rows: Ints, weights: Floats) -> Sums:
        """Those of some sentences: values [sentence, number], rows [sentence], weights [sentence, replicate]."""
        there = ~np.isnan(values)
        filled = np.where(there, values, 0.0)
        return cls(
            there.sum(axis=0),
            filled.sum(axis=0),
            (filled**2).sum(axis=0),
            weights.T @ there.astype(float),  # [replicate, sentence] @ [sentence, number]
            weights.T @ filled,
            Extremes.of(values, rows),
            Extremes.of(-values, rows),
        )

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def mean(self) -> Floats:
        """[number]; NaN where no sentence has it."""
        mean: Floats = np.divide(self.total, self.n, out=np.full(self.total.shape, np.nan), where=self.n > 0)
        return mean

    @property
    def deviation(self) -> Floats:
        """The standard deviation of a sentence, [number]; NaN below two sentences."""
        spread = np.maximum(self.squares - self.n * np.nan_to_num(self.mean) ** 2, 0.0)
        found = np.divide(spread, self.n - 1, out=np.full(self.total.shape, np.nan), where=self.n > 1)
        return np.asarray(np.sqrt(found))

    @property
    def n_bytes(self) -> int:
        arrays = (self.total, self.squares, self.drawn, self.weighted, self.most.values, self.least.values)
        return sum(array.nbytes for array in arrays) + 3 * self.n.nbytes


def rows_at_ends(sums: Iterable[Sums]) -> list[int]:
    """The rows that are among the most or the least of some number, in order."""
    kept = [np.unique(end.rows) for own in sums for end in (own.most, own.least)]
    return [int(row) for row in np.unique(np.concatenate([[], *kept])) if row != NOBODY]
