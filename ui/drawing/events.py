"""What a picture's or a table's JavaScript tells, checked before it is used: anybody can send anything in its place.

A click comes as JSON. Its fields have names, and values within the picture that was drawn; what is otherwise was not
sent by our picture, or belongs to an earlier one, and is no event at all.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

Event = dict[str, Any]  # a whole number, a word, or None
Header = Mapping[str, Any]  # a packet's, as JSON
Side = Literal["query", "key"]
Sizes = Mapping[str, int]  # the few whole numbers of a packet's header that bound a click; kept until it comes
LATEST_CLICK = 2**53  # what JavaScript counts exactly


@dataclass(frozen=True)
class Due:
    """What a field of an event may be; `optional`: or nothing."""

    values: Container[object]
    optional: bool = False


def read(sent: object, due: Mapping[str, Due]) -> Event | None:
    """The fields of an event, None where they are not as they are due.

    >>> due = {"row": Due(range(3)), "column": Due(range(2), optional=True)}
    >>> read({"row": 2, "column": None}, due)
    {'row': 2, 'column': None}
    >>> read({"row": 3}, due), read({"row": "2"}, due), read({"row": True}, due), read({"row": 1, "more": 1}, due)
    (None, None, None, None)
    >>> read({"click": "1"}, {"click": Due(range(2**53))})  # at once
    """
    if not isinstance(sent, Mapping) or set(sent) - set(due):
        return None
    found: Event = {}
    for name, field in due.items():
        value = sent.get(name)
        if not (field.optional if value is None else _is_one(value, field.values)):
            return None
        found[name] = value
    return found


def _is_one(value: object, values: Container[object]) -> bool:
    """Whether a whole number or a text, and no bool, which would pass for 0 or 1, is one of `values`.

    A range counts through all its numbers to find a text, and some here are as long as a browser counts.
    """
    kinds = (int,) if isinstance(values, range) else (int, str)
    return type(value) in kinds and value in values


def chosen_row(table: object, n_rows: int) -> int | None:
    """The row that was chosen in a table, None where none was, or none of its.

    >>> chosen_row({"selection": {"rows": [2]}}, 3), chosen_row({"selection": {"rows": [10**9]}}, 3)
    (2, None)
    """
    rows = _selection(table, "rows")
    found = read({"row": rows[0]}, {"row": Due(range(n_rows))}) if rows else None
    return None if found is None else found["row"]


def chosen_points(chart: object, n_points: int) -> list[int]:
    """The places of the points that were chosen in a chart, each once and in order."""
    due = Due(range(n_points))
    places = (point.get("point_index") for point in _selection(chart, "points") if isinstance(point, Mapping))
    return sorted({place for place in places if isinstance(place, int) and read({"at": place}, {"at": due})})


def _selection(sent: object, what: str) -> list[object]:
    """What a selection says of rows or points; nothing where it is none."""
    selection = sent.get("selection") if isinstance(sent, Mapping) else None
    found = selection.get(what) if isinstance(selection, Mapping) else None
    return found if isinstance(found, list) else []


class Answer(Protocol):
    """What a click on a picture says: made of what came, where that fits the picture's sizes."""

    @staticmethod
    def sizes(header: Header) -> Sizes: ...

    @classmethod
    def of(cls, sent: object, sizes: Sizes) -> Self | None: ...


@dataclass(frozen=True)
class Opened:
    """What was clicked in the overview; `query` and `key` are None when the keyboard chose or the view has no cells.

    In a pooled overview they are the first query and key of the clicked cell. `click` numbers the clicks of a page that
    paints them at once; its answer carries the number back.
    """

    layer: int
    head: int
    query: int | None
    key: int | None
    click: int | None = None

    @staticmethod
    def sizes(header: Header) -> Sizes:
        return {name: header.get(name, 0) for name in ("layers", "heads", "queries", "keys")}

    @classmethod
    def of(cls, sent: object, sizes: Sizes) -> Self | None:
        due = {
            "layer": Due(range(sizes["layers"])),
            "head": Due(range(sizes["heads"])),
            "query": Due(range(sizes["queries"]), optional=True),
            "key": Due(range(sizes["keys"]), optional=True),
            "click": Due(range(LATEST_CLICK), optional=True),
        }
        fields = read(sent, due)
        return None if fields is None else cls(**fields)


@dataclass(frozen=True)
class Pin:
    """A word that was clicked, or None twice when it was let go."""

    side: Side | None
    position: int | None

    @staticmethod
    def sizes(header: Header) -> Sizes:
        return {name: len(side["labels"]) for name, side in zip(header["roles"], header["sides"], strict=True)}

    @classmethod
    def of(cls, sent: object, sizes: Sizes) -> Self | None:
        side = sent.get("side") if isinstance(sent, Mapping) else None
        words = range(sizes.get(side, 0) if isinstance(side, str) else 0)
        let_go = side is None
        due = {"side": Due(tuple(sizes), optional=let_go), "position": Due(words, optional=let_go)}
        fields = read(sent, due)
        return None if fields is None else cls(**fields)


@dataclass(frozen=True)
class ChosenCell:
    """A cell of panels that was clicked, in places of the shared axes."""

    panel: int
    query: int
    key: int

    @staticmethod
    def sizes(header: Header) -> Sizes:
        return {"panel": len(header["panels"]), "query": header["queries"], "key": header["keys"]}

    @classmethod
    def of(cls, sent: object, sizes: Sizes) -> Self | None:
        fields = read(sent, {name: Due(range(size)) for name, size in sizes.items()})
        return None if fields is None else cls(**fields)
