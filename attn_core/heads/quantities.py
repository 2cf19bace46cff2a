"""What can be collected about every head of a stream, each under its name: measures, shares of rules, functions.

quantity.of(StreamReading(stream), layer)      # [head], or None where it means nothing
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn_core.blocks import CELLS
from attn_core.heads.measures import MEASURES, Reading
from attn_core.heads.rules import KINDS, RuleContext, RuleScore, score_rule
from attn_core.heads.sink import Bools, Floats, sink_of, special_keys
from attn_core.options import check_several

if TYPE_CHECKING:
    from attn_core.traces.stream import StreamTrace

KEPT = 16 * CELLS  # weights of a layer that are held at once, 64 MB
OwnMeasure = Callable[["StreamTrace", int], Any]


class StreamReading:
    """One stream of one trace, as measures read it; the patterns of a layer are computed once for all of them.

    Those that would take more than `KEPT` weights are read in blocks of rows, anew for each measure.
    """

    def __init__(self, stream: StreamTrace) -> None:
        self.stream = stream
        self._pattern: tuple[int, Floats] | None = None
        self._scores: dict[tuple[int, str], RuleScore | None] = {}

    @cached_property
    def asks(self) -> Bools:
        """Which queries are ordinary words, [query]: special tokens ask for nothing."""
        return ~np.array(self.stream.tokens.special, dtype=bool)

    @cached_property
    def sink(self) -> Bools:
        return sink_of(self.stream)

    @cached_property
    def context(self) -> RuleContext:
        queries, keys = self.stream.tokens, self.stream.key_tokens
        return RuleContext(keys.ids, keys.labels, (len(queries), len(keys)), self.stream.name != "cross")

    def pattern(self, layer: int) -> Floats:
        """[head, query, key]"""
        if self._pattern is None or self._pattern[0] != layer:
            self._pattern = layer, self.stream.patterns(layer)
        return self._pattern[1]

    def blocks(self, layer: int) -> Iterator[tuple[slice, Floats]]:
        """The same in blocks of rows, (rows, [head, row, key]); one block, unless the sentence is long."""
        if self.stream.n_heads * len(self.stream.tokens) * len(self.stream.key_tokens) > KEPT:
            yield from self.stream.iter_patterns(layer)
        else:
            yield slice(0, len(self.stream.tokens)), self.pattern(layer)

    def readings(self, layer: int) -> Iterator[Reading]:
        """The rows of ordinary words, a block at a time."""
        special = special_keys(self.stream)
        for rows, pattern in self.blocks(layer):
            asks = self.asks[rows]
            positions = rows.start + np.flatnonzero(asks) if self.context.same_sequence else None
            yield Reading(pattern[:, asks], self.sink, special, positions)

    def score(self, layer: int, kind: str) -> RuleScore | None:
        """How well the heads of a layer follow a rule; None where it means nothing."""
        if (layer, kind) not in self._scores:
            cells = KINDS[kind].cells_in(self.context)
            self._scores = {(layer, kind): None if cells is None else self.score_of(layer, cells)}
        return self._scores[layer, kind]

    def score_of(self, layer: int, cells: Callable[[slice], Bools]) -> RuleScore:
        """How well the heads of a layer follow the rule of some cells, of which `cells` gives rows, bool [row, key]."""
        first, *others = (
            score_rule(pattern, cells(rows), self._free_to_look(layer, rows), self.sink)
            for rows, pattern in self.blocks(layer)
        )
        return sum(others, first)

    def _free_to_look(self, layer: int, rows: slice) -> Bools:
        """Which ordinary words may look at which keys, [row, key]."""
        return self.stream.may_look(layer, rows) & self.asks[rows, None]  # [row, key] & [row, 1]

    def mean(self, values: Any) -> Floats | None:
        """[head] as it is; of [head, query] the mean over the ordinary words."""
        found: Floats | None = None if values is None else np.asarray(values, dtype=float)
        if found is None or found.ndim == 1:
            return found
        if found.ndim != 2:
            raise ValueError(f"a measure gives [head] or [head, query]; got an array {list(found.shape)}")
        return mean_of_what_is_there(found[:, self.asks] if found.shape[1] == len(self.asks) else found)


class Quantity(NamedTuple):
    """What is collected under a name: `of(reading, layer)` gives [head], or None where it means nothing."""

    name: str
    of: Callable[[StreamReading, int], Floats | None]


def _measured(name: str, reading: StreamReading, layer: int) -> Floats | None:
    of = MEASURES[name].of
    found = [] if of is None else [of(block) for block in reading.readings(layer)]
    values = [own for own in found if own is not None]  # [head, query] of each block
    return mean_of_what_is_there(np.concatenate(values, axis=-1)) if values else None


def _delta_size(reading: StreamReading, layer: int) -> Floats | None:
    return reading.mean(reading.stream.delta_e_sizes(layer))


def _delta_share(reading: StreamReading, layer: int) -> Floats | None:
    sizes = np.asarray(reading.stream.delta_e_sizes(layer), dtype=float)  # [head, query]
    whole = sizes.sum(axis=0)  # [query]
    return reading.mean(np.divide(sizes, whole, out=np.full_like(sizes, np.nan), where=whole > 0))


def part_of_rule(kind: str, part: str, reading: StreamReading, layer: int) -> Floats | None:
    """A field or property of the `RuleScore` of a kind, [head]."""
    score = reading.score(layer, kind)
    values: Floats | None = None if score is None else getattr(score, part)
    return values


def _own(measure: OwnMeasure, reading: StreamReading, layer: int) -> Floats | None:
    return reading.mean(measure(reading.stream, layer))


QUANTITIES: Mapping[str, Quantity] = {
    own.name: own
    for own in (
        *(Quantity(name, partial(_measured, name)) for name in MEASURES),
        Quantity("delta_share", _delta_share),  # of its layer's heads, see `summary.delta_shares`
        Quantity("delta_size", _delta_size),  # ‖ΔE‖, the size of what a head adds to a word
        *(Quantity(name, partial(part_of_rule, name, "share")) for name in KINDS),
    )
}


def quantities(what: Iterable[str | OwnMeasure | Quantity]) -> list[Quantity]:
    """What is asked for, by name or as a function. Raises ValueError for a name that is unknown or there twice."""
    found: dict[str, Quantity] = {}
    check_several("measures", what, "names or functions")
    for own in what:
        if not (isinstance(own, str | Quantity) or callable(own)):
            raise TypeError(f"a measure is a name or a function of (stream, layer), got {own!r}")
        if isinstance(own, str) and own not in QUANTITIES:
            raise ValueError(f"{own!r} is no measure; name some of {', '.join(QUANTITIES)}, or give a function")
        if isinstance(own, str):
            own = QUANTITIES[own]
        elif not isinstance(own, Quantity):
            own = Quantity(getattr(own, "__name__", type(own).__name__), partial(_own, own))
        if own.name in found:
            raise ValueError(f"two measures are called {own.name!r}")
        found[own.name] = own
    return list(found.values())


def mean_of_what_is_there(values: Floats) -> Floats:
    """The mean over the last axis of what is there; NaN where nothing is.

    >>> mean_of_what_is_there(np.array([[1.0, math.nan, 3.0], [math.nan] * 3])).tolist()
    [2.0, nan]
    """
    there = ~np.isnan(values)
    total, count = np.where(there, values, 0).sum(axis=-1), there.sum(axis=-1)
    result: Floats = np.divide(total, count, out=np.full(total.shape, math.nan), where=count > 0)
    return result
