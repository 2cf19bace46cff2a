"""A study as a Parquet file: a row a number of a group, sums and ends in its columns, and what study it is in the head.

Written under another name first, so that a file that is there is whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attn_core.errors import HeadlightError
from attn_core.study.sums import Extremes, Layout, Sums
from attn_core.whole_files import unfinished

HEAD = b"headlight.study"
VERSION = 1
_LISTS = ("drawn", "weighted", "most_values", "most_rows", "least_values", "least_rows")


def tables() -> Any:
    """The package that reads and writes Parquet; HeadlightError where it is missing."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise HeadlightError(
            "Parquet files need the package pyarrow: pip install headlight-attention[tables]."
        ) from None
    return pyarrow


def write(path: Path, head: Mapping[str, object], layout: Layout, sums: Mapping[str, Sums]) -> Path:
    """Write what was counted, by group, with `head` as JSON beside it."""
    pa = tables()
    index = layout.index()
    parts = [
        pa.table({"group": [group] * len(index), **{name: index[name].to_numpy() for name in index}, **_columns(own)})
        for group, own in sums.items()
    ]
    said = json.dumps({"version": VERSION, **head}).encode()
    with unfinished(path) as part:
        pa.parquet.write_table(pa.concat_tables(parts).replace_schema_metadata({HEAD: said}), part)
    return path


def _columns(sums: Sums) -> dict[str, Any]:
    ends = ((end, what) for end in ("most", "least") for what in ("values", "rows"))
    lists = {f"{end}_{what}": getattr(getattr(sums, end), what) for end, what in ends}
    lists |= {"drawn": sums.drawn, "weighted": sums.weighted}
    return {"n": sums.n, "total": sums.total, "squares": sums.squares} | {
        name: _lists(values) for name, values in lists.items()
    }


def _lists(values: np.ndarray) -> Any:
    """[place, number] as a column with a list a number."""
    pa = tables()
    flat = pa.array(np.ascontiguousarray(values.T).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, len(values))


def read(path: Path) -> tuple[dict[str, Any], dict[str, Sums]]:
    """The head and what was counted, by group; HeadlightError says what is wrong with a file that is no study."""
    pa = tables()
    try:
        table = pa.parquet.read_table(path)
        head = json.loads((table.schema.metadata or {})[HEAD])
        if head["version"] != VERSION:
            raise HeadlightError(f"{path} was written by another version of Headlight.")
        groups = list(dict.fromkeys(table["group"].to_pylist()))
        n = len(table) // len(groups)
        return head, {group: _sums(table.slice(i * n, n).combine_chunks()) for i, group in enumerate(groups)}
    except FileNotFoundError:
        raise HeadlightError(f"There is no file {path}.") from None
    except (OSError, KeyError, TypeError, ValueError, ZeroDivisionError, pa.ArrowException) as error:
        raise HeadlightError(f"{path} is no study: {error or type(error).__name__}") from None


def _sums(table: Any) -> Sums:
    lists = {}
    for name in _LISTS:
        flat = table[name].combine_chunks().flatten().to_numpy()
        lists[name] = flat.reshape(len(table), -1).T.copy()  # [place, number]
    return Sums(
        table["n"].to_numpy().copy(),
        table["total"].to_numpy().copy(),
        table["squares"].to_numpy().copy(),
        lists["drawn"],
        lists["weighted"],
        Extremes(lists["most_values"], lists["most_rows"]),
        Extremes(lists["least_values"], lists["least_rows"]),
    )
