"""Sentences from files: one a line of text, or a column of a CSV, JSONL or Parquet table; from a folder of such files,
or one that the library `datasets` saved.

    read("texts.csv", Columns("sentence", group="source"))

A line without a sentence keeps its place, so that a row's number is its number in the file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

from attn_core.errors import HeadlightError

Text: TypeAlias = str | tuple[str, str]  # a sentence, or a source and its target
KINDS = ("txt", "csv", "tsv", "jsonl", "parquet", "arrow")
USUAL = ("text", "sentence", "source")  # what a column of sentences is called, where none is named
LINES = "text"  # the one column of a file of lines
MOST_COLUMNS = 100
Table = Mapping[str, Sequence[str]]  # by column, in the file's order


class Sentence(NamedTuple):
    """One row of the input: a sentence, or a (source, target) pair; its group, and a label for each of its words."""

    text: Text
    group: str = ""
    labels: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentence alone, or both of a pair."""
        return (self.text,) if isinstance(self.text, str) else self.text


class Columns(NamedTuple):
    """Which columns of a table hold the sentence, its target, its group, and a label for each of its words.

    Without a name the sentence is in the first of `USUAL` that is there, else in the first column.
    """

    text: str = ""
    target: str = ""
    group: str = ""
    labels: str = ""


BY_NAME = Columns()


def read(path: str | Path, columns: Columns = BY_NAME) -> list[Sentence]:
    """The sentences of a file, or of all files of a folder by name. HeadlightError says what is wrong."""
    return sentences(table_at(path), columns)


def table_at(path: str | Path, most: int | None = None) -> Table:
    """The columns of a file, as texts; of a folder, the columns that all of its files have. At most so many rows.

    Raises HeadlightError for a file or folder that is not there or holds no sentences.
    """
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            return _table_of_folder(path, most)
        return table(path.read_bytes(), kind_of(path.name), most)
    except OSError as error:
        raise HeadlightError(f"{path} cannot be read: {error.strerror or error}.") from None


def _table_of_folder(folder: Path, most: int | None) -> Table:
    files = sorted(file for file in folder.iterdir() if kind_of(file.name) in KINDS)
    if not files:
        inside = sorted(each.name for each in folder.iterdir() if each.is_dir())
        hint = f" Name one of the folders in it: {', '.join(inside[:9])}." if inside else ""
        raise HeadlightError(f"The folder {folder} holds no file of sentences: {', '.join(KINDS)}.{hint}")
    found, left = [], most
    for file in files:
        found.append(table(file.read_bytes(), kind_of(file.name), left))
        left = None if left is None else left - max(map(len, found[-1].values()), default=0)
        if left is not None and left <= 0:
            break
    names = [name for name in found[0] if all(name in own for own in found)]
    if not names:
        raise HeadlightError(f"The files of {folder} have no column in common: read them one by one.")
    return {name: [value for own in found for value in own[name]] for name in names}


def kind_of(name: str) -> str:
    """What kind of file a name says: "csv"."""
    return Path(name).suffix.lower().removeprefix(".")


def table(data: bytes, kind: str, most: int | None = None) -> Table:
    """The columns of a file, as texts; of at most so many rows. HeadlightError for a file that is none of `KINDS`."""
    if kind in ("parquet", "arrow"):
        return _columnar(data, kind, most)
    if kind not in KINDS:
        raise HeadlightError(f"A file of sentences ends with one of {', '.join(KINDS)}.")
    lines = data.decode("utf-8-sig", "replace").splitlines()
    try:
        if kind == "txt":
            return {LINES: lines[:most]}
        return _columns(_json_rows(lines) if kind == "jsonl" else _csv_rows(data, kind), most)
    except (csv.Error, ValueError, RecursionError) as error:
        raise HeadlightError(f"This is no {kind.upper()} file: {str(error) or 'it is too deep'}.") from None


def _csv_rows(data: bytes, kind: str) -> Iterator[Mapping[str, object]]:
    text = data.decode("utf-8-sig", "replace")
    header = text[: text.find("\n")]
    between = "\t" if kind == "tsv" else max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=between)
    names = next(rows, [])
    if len(names) > MOST_COLUMNS:
        raise ValueError(f"it has more than {MOST_COLUMNS} columns")
    for row in rows:
        yield dict(zip(names, [*row, *[""] * (len(names) - len(row))], strict=False))


def _json_rows(lines: Iterable[str]) -> Iterator[Mapping[str, object]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            raise ValueError(f"line {number} is no JSON") from None
        yield row if isinstance(row, dict) else {LINES: row}


def _columns(rows: Iterable[Mapping[str, object]], most: int | None) -> Table:
    found: dict[str, list[str]] = {}
    n = 0
    for n, row in enumerate(islice(rows, most), 1):
        for name, value in row.items():
            if name not in found and len(found) == MOST_COLUMNS:
                raise ValueError(f"it has more than {MOST_COLUMNS} columns")
            column = found.setdefault(str(name), [])
            column += [""] * (n - 1 - len(column))
            column.append(_said(value))
    return {name: [*column, *[""] * (n - len(column))] for name, column in found.items()}


def _said(value: object) -> str:
    """A value as text; a list, such as one of labels, with blanks between its items."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _columnar(data: bytes, kind: str, most: int | None) -> Table:
    """A Parquet file, or a stream of Arrow tables such as the library `datasets` saves."""
    from attn_core.study.files import tables

    pa = tables()
    source = pa.BufferReader(data)
    try:
        found = pa.parquet.read_table(source) if kind == "parquet" else pa.ipc.open_stream(source).read_all()
    except (pa.ArrowException, OSError) as error:
        raise HeadlightError(f"This is no {kind.capitalize()} file: {error}") from None
    if len(found.column_names) > MOST_COLUMNS:
        raise HeadlightError(f"This is no {kind.capitalize()} file of sentences: more than {MOST_COLUMNS} columns.")
    named = _label_names(found.schema.metadata or {})
    found = found.slice(0, most)
    return {name: as_texts(found[name].to_pylist(), named.get(name, ())) for name in found.column_names}


def _label_names(metadata: Mapping[bytes, bytes]) -> dict[str, Sequence[str]]:
    """By column: what its numbers stand for, as the library `datasets` writes it beside them."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: own["names"] for name, own in features.items() if own.get("_type") == "ClassLabel"}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def as_texts(values: Iterable[object], names: Sequence[str] = ()) -> list[str]:
    """The values of a column as texts; of numbers that stand for `names`, those."""
    return [names[v] if isinstance(v, int) and 0 <= v < len(names) else _said(v) for v in values]


def sentences(found: Table, columns: Columns = BY_NAME) -> list[Sentence]:
    """The rows of a table as sentences; HeadlightError names a column that is not there."""
    if not found:
        raise HeadlightError("This file holds no sentence.")
    unknown = [name for name in columns if name and name not in found]
    if unknown:
        raise HeadlightError(f"There is no column {unknown[0]!r}; there are {', '.join(found)}.")
    texts = found[columns.text or next((name for name in USUAL if name in found), next(iter(found)))]
    rows = [Sentence(text) for text in texts]
    if columns.target:
        rows = [Sentence((str(own.text), target)) for own, target in zip(rows, found[columns.target], strict=True)]
    if columns.group:
        rows = [own._replace(group=group) for own, group in zip(rows, found[columns.group], strict=True)]
    if columns.labels:
        rows = [own._replace(labels=tuple(said.split())) for own, said in zip(rows, found[columns.labels], strict=True)]
    return rows
