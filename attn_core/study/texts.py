"""Sentences from files: one a line of text, or a column of a CSV, JSONL or Parquet table; from a folder of such files.

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
KINDS = ("txt", "csv", "tsv", "jsonl", "parquet")
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
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if kind_of(file.name) in KINDS)
        if not files:
            raise HeadlightError(f"The folder {path} holds no file of sentences: {', '.join(KINDS)}.")
        return [own for file in files for own in read(file, columns)]
    try:
        return sentences(table(path.read_bytes(), kind_of(path.name)), columns)
    except OSError as error:
        raise HeadlightError(f"{path} cannot be read: {error.strerror}.") from None


def kind_of(name: str) -> str:
    """What kind of file a name says: "csv"."""
    return Path(name).suffix.lower().removeprefix(".")


def table(data: bytes, kind: str, most: int | None = None) -> Table:
    """The columns of a file, as texts; of at most so many rows. HeadlightError for a file that is none of `KINDS`."""
    if kind == "parquet":
        return _parquet(data)
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


def _parquet(data: bytes) -> Table:
    from attn_core.study.files import tables

    pa = tables()
    try:
        found = pa.parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise HeadlightError(f"This is no Parquet file: {error}") from None
    return {name: [_said(value) for value in found[name].to_pylist()] for name in found.column_names}


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
