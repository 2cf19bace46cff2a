"""One long table of numbers about heads, over any number of sentences: a row a sentence, stream, layer, head, measure.

    ac.collect(ac.trace_many(model, texts), what=["entropy", "sink", "delta_size", my_function])
    ac.collect(ac.trace_many(model, texts), what=["previous"], path="heads.parquet")

A measure of one's own is a function of (stream, layer) that gives an array [head], or [head, query], of which the mean
over ordinary words is kept. Traces are read one after the other and let go, so a file can be far larger than memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from attn_core.errors import HeadlightError
from attn_core.heads.measures import MEASURES, Reading
from attn_core.heads.rules import KINDS, RuleContext, RuleScore, score_rule
from attn_core.heads.sink import Bools, Floats, sink_of

if TYPE_CHECKING:
    import pandas as pd

    from attn_core.traces.stream import StreamTrace
    from attn_core.traces.trace import Trace

ROWS = 200_000  # of a table that is written, kept before they go to the file
COLUMNS = ("sentence", "stream", "layer", "head", "measure", "value")
OwnMeasure = Callable[["StreamTrace", int], Any]


class StreamReading:
    """One stream of one trace, as measures read it; the patterns of a layer are computed once for all of them."""

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

    def reading(self, layer: int) -> Reading:
        """The rows of ordinary words."""
        special = np.array(self.stream.key_tokens.special, dtype=bool)  # [key]
        positions = np.flatnonzero(self.asks) if self.context.same_sequence else None
        return Reading(self.pattern(layer)[:, self.asks], self.sink, special, positions)

    def score(self, layer: int, kind: str) -> RuleScore | None:
        """How well the heads of a layer follow a rule; None where it means nothing."""
        if (layer, kind) not in self._scores:
            cells = KINDS[kind].cells_in(self.context)
            may_look = self.stream.may_look(layer) & self.asks[:, None]
            found = None if cells is None else score_rule(self.pattern(layer), cells, may_look, self.sink)
            self._scores = {(layer, kind): found}
        return self._scores[layer, kind]

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
    values = None if of is None else of(reading.reading(layer))
    return None if values is None else mean_of_what_is_there(values)


def _delta_size(reading: StreamReading, layer: int) -> Floats | None:
    return reading.mean(reading.stream.delta_e_sizes(layer))


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
        Quantity("delta_size", _delta_size),  # ‖ΔE‖, the size of what a head adds to a word
        *(Quantity(name, partial(part_of_rule, name, "share")) for name in KINDS),
    )
}


def quantities(what: Iterable[str | OwnMeasure | Quantity]) -> list[Quantity]:
    """What is asked for, by name or as a function. Raises ValueError for a name that is unknown or there twice."""
    found: dict[str, Quantity] = {}
    for own in what:
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


class Rows(NamedTuple):
    """Rows that differ in their head alone: `values` [head]."""

    sentence: int
    stream: str
    layer: int
    measure: str
    values: Floats


def iter_rows(sentences: Iterable[Iterable[StreamTrace]], wanted: Sequence[Quantity]) -> Iterator[Rows]:
    """The rows of every sentence in turn, of which these streams are read; none is held while the next is made."""
    numbers = count()  # `enumerate` would hold what it gave last
    for streams in sentences:
        number = next(numbers)
        for own in streams:
            yield from _rows_of(own, number, wanted)
            del own
        del streams


def _rows_of(stream: StreamTrace, number: int, wanted: Sequence[Quantity]) -> Iterator[Rows]:
    reading = StreamReading(stream)
    for layer in range(stream.n_layers):
        for quantity in wanted:
            values = quantity.of(reading, layer)
            if values is not None:
                yield Rows(number, stream.name, layer, quantity.name, values)


def _streams_of(traces: Iterable[Trace], only: str | None) -> Iterator[Iterable[StreamTrace]]:
    for trace in traces:
        streams = map(trace.stream, (only,) if only else trace.streams)
        del trace
        yield streams
        del streams


@overload
def collect(
    traces: Iterable[Trace], what: Iterable[str | OwnMeasure], path: None = None, *, stream: str | None = None
) -> pd.DataFrame: ...
@overload
def collect(
    traces: Iterable[Trace], what: Iterable[str | OwnMeasure], path: str | Path, *, stream: str | None = None
) -> Path: ...
def collect(
    traces: Iterable[Trace],
    what: Iterable[str | OwnMeasure],
    path: str | Path | None = None,
    *,
    stream: str | None = None,
) -> pd.DataFrame | Path:
    """A long table (sentence, stream, layer, head, measure, value) over traces, or with `path` a Parquet file of it.

    `what` names measures (see `QUANTITIES`: those of `heads.measures`, "delta_size", and the share of the weight that
    follows each rule of `heads.rules`), or holds functions of (stream, layer); `stream` keeps one stream of each trace.
    "sentence" counts the traces from 0. A file is written as the traces come, and is there under its name when the last
    one is in it; then its path is returned. A measure that means nothing somewhere has no row there.

    Raises ValueError for a measure that is unknown, and HeadlightError where pyarrow is missing, which writes files.
    """
    wanted = quantities(what)
    rows = iter_rows(_streams_of(traces, stream), wanted)
    return _frame(rows) if path is None else _written(rows, Path(path))


def _frame(rows: Iterable[Rows]) -> pd.DataFrame:
    import pandas as pd

    found = [*rows]
    sizes = [len(own.values) for own in found]
    columns = {
        name: np.repeat([getattr(own, name) for own in found], sizes) for name in ("sentence", "stream", "layer")
    }
    columns["head"] = np.concatenate([[], *map(np.arange, sizes)]).astype(int)
    columns["measure"] = np.repeat([own.measure for own in found], sizes)
    columns["value"] = np.concatenate([[], *(own.values for own in found)]).astype(float)
    return pd.DataFrame(columns, columns=list(COLUMNS))


def _written(rows: Iterator[Rows], path: Path) -> Path:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise HeadlightError(
            "Writing a table needs the package pyarrow: pip install headlight-attention[tables]."
        ) from None
    kinds = (pa.int32(), pa.string(), pa.int16(), pa.int16(), pa.string(), pa.float64())
    schema = pa.schema([*zip(COLUMNS, kinds, strict=True)])
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with ParquetWriter(unfinished, schema) as file:
            for some in _in_pieces(rows):
                file.write_table(pa.Table.from_pandas(_frame(some), schema=schema, preserve_index=False))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _in_pieces(rows: Iterable[Rows]) -> Iterator[list[Rows]]:
    """Lists of about `ROWS` rows of the table each."""
    piece: list[Rows] = []
    size = 0
    for own in rows:
        piece.append(own)
        size += len(own.values)
        if size >= ROWS:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def mean_of_what_is_there(values: Floats) -> Floats:
    """The mean over the last axis of what is there; NaN where nothing is.

    >>> mean_of_what_is_there(np.array([[1.0, math.nan, 3.0], [math.nan] * 3])).tolist()
    [2.0, nan]
    """
    there = ~np.isnan(values)
    total, count = np.where(there, values, 0).sum(axis=-1), there.sum(axis=-1)
    result: Floats = np.divide(total, count, out=np.full(total.shape, math.nan), where=count > 0)
    return result
