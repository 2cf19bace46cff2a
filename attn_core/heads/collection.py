"""One long table of numbers about heads, over any number of sentences: a row a sentence, stream, layer, head, measure.

    ac.collect(ac.trace_many(model, texts), what=["entropy", "sink", "delta_size", my_function])
    ac.collect(ac.trace_many(model, texts), what=["previous"], path="heads.parquet")

A measure of one's own is a function of (stream, layer) that gives an array [head], or [head, query], of which the mean
over ordinary words is kept. Traces are read one after the other and let go, so a file can be far larger than memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from attn_core.errors import HeadlightError
from attn_core.heads.quantities import OwnMeasure, Quantity, StreamReading, quantities
from attn_core.heads.sink import Floats
from attn_core.options import check_any, check_several
from attn_core.whole_files import check_place, unfinished

if TYPE_CHECKING:
    import pandas as pd

    from attn_core.traces.stream import StreamTrace
    from attn_core.traces.trace import Trace

ROWS = 200_000  # of a table that is written, kept before they go to the file
COLUMNS = ("sentence", "stream", "layer", "head", "measure", "value")


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


def _streams_of(traces: Iterable[Trace], only: str | None, changes: dict[str, str]) -> Iterator[Iterable[StreamTrace]]:
    """The streams of every trace in turn; what was changed in one is noted under its number, as it comes."""
    numbers = count()
    for trace in traces:
        number = str(next(numbers))
        if not hasattr(trace, "streams"):
            raise TypeError(f"traces must be what ac.trace gives, got {trace!r}")
        if trace.changes:
            changes[number] = str(trace.changes)
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

    `what` names measures (`quantities.QUANTITIES`: those of `heads.measures`, "delta_share", "delta_size", and the
    share of the weight that follows each rule of `heads.rules`), or holds functions of (stream, layer); `stream` keeps
    one stream of each trace. "sentence" counts the traces from 0. A file is written as the traces come, and is there
    under its name when the last one is in it; then its path is returned. A measure that means nothing somewhere has no
    row there. Of changed passes `attrs["changes"]` says what was changed, by sentence, as does "changes" in a file's
    metadata.

    Raises ValueError for a measure that is unknown, and HeadlightError where pyarrow is missing, which writes files.
    """
    check_several("traces", traces, "traces")
    wanted = quantities(what)
    check_any("measures", wanted, "names or functions")
    if path is not None:
        check_place(Path(path))
    changes: dict[str, str] = {}
    rows = iter_rows(_streams_of(traces, stream, changes), wanted)
    if path is not None:
        return _written(rows, Path(path), changes)
    table = _frame(rows)
    table.attrs.update({"changes": changes} if changes else {})
    return table


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


def _written(rows: Iterator[Rows], path: Path, changes: Mapping[str, str]) -> Path:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise HeadlightError(
            "Writing a table needs the package pyarrow: pip install headlight-attention[tables]."
        ) from None
    kinds = (pa.int32(), pa.string(), pa.int16(), pa.int16(), pa.string(), pa.float64())
    schema = pa.schema([*zip(COLUMNS, kinds, strict=True)])
    with unfinished(path) as part, ParquetWriter(part, schema) as file:
        for some in _in_pieces(rows):
            file.write_table(pa.Table.from_pandas(_frame(some), schema=schema, preserve_index=False))
        if changes:
            file.add_key_value_metadata({"changes": json.dumps(changes)})
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
