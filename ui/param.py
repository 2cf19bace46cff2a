"""A page's parameters, each declared once: its name, values and default, its label, and where a value shows.

TILES = choice("tiles", {"pattern": "pattern", "delta": "ΔE size"}, label="Tiles")
open_page("all_heads", params=[TILES, …])     # the link is read, checked and written by it
controls.switch(TILES)                        # the widget, with the parameter's label, values and words
page.state["tiles"]                           # its value
go("all_heads", "The sizes", TILES.set("delta"))   # a link with it, checked where it is built
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

AUTO = "auto"  # how an optional parameter says "choose for me"

Earlier = Mapping[str, Any]  # the values of the parameters before this one
Parse = Callable[[str, Earlier], object]


Limit = float | Callable[[Earlier], float]
Options = Sequence[str] | Mapping[str, str]


@dataclass(frozen=True)
class Param:
    """One thing that a link can say. `parse(raw, earlier)` gives its value or raises ValueError with the reason.

    What its widget (`ui.drawing.controls`) shows: `label` and `help` are plain text, `options` gives the values of a
    switch their own words, `low` and `high` are a number's ends, both included. `in_caption`: whether a saved
    picture's caption says a value that is not the default. `travels`: the value goes along to other pages that have
    the parameter. A link that says the parameter `part_of` and not this one means the default of this one. `nearest`
    gives what is closest to a value that a model or a page does not have; else the default is.
    """

    name: str
    default: object
    parse: Parse
    show: Callable[[Any], str] = str
    label: str = ""
    help: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    low: float = 0
    high: Limit = 0
    in_caption: bool = True
    travels: bool = False
    nearest: Callable[[object, Earlier], object] | None = None
    part_of: str = ""

    def default_for(self, earlier: Earlier) -> object:
        return self.default(earlier) if callable(self.default) else self.default

    def set(self, value: object) -> tuple[str, str]:
        """This parameter with a value, as a link says it; ValueError where it has no such value."""
        shown = self.show(value)
        self.parse(shown, {})
        return self.name, shown

    def clamped(self, value: object, earlier: Earlier) -> object:
        """The value, or what comes closest to it among those that there are now."""
        try:
            return self.parse(self.show(value), earlier)
        except ValueError:
            return self.nearest(value, earlier) if self.nearest else self.default_for(earlier)


class Declared(TypedDict, total=False):
    """What the makers below pass on to `Param`."""

    label: str
    help: str | None
    in_caption: bool
    travels: bool
    part_of: str


def whole(
    name: str, low: int = 0, high: Limit = 0, default: object = None, optional: bool = False, **more: Unpack[Declared]
) -> Param:
    """A whole number from `low` to `high`, both included; `high` and `default` may be functions of the parameters
    before it. The default is `low`, or with `optional` None, written "auto": the page chooses.
    """

    def top(earlier: Earlier) -> int:
        return int(high(earlier) if callable(high) else high)

    def parse(raw: str, earlier: Earlier) -> int | None:
        if optional and raw == AUTO:
            return None
        most = top(earlier)
        if not raw.isascii() or not raw.isdigit() or len(raw) > 9 or not low <= int(raw) <= most:
            raise ValueError(f"it must be a whole number from {low:,} to {most:,}")
        return int(raw)

    def nearest(value: object, earlier: Earlier) -> object:
        if optional or not isinstance(value, int):
            return fallback(earlier) if callable(fallback) else fallback
        return min(max(value, low), top(earlier))

    fallback = low if default is None and not optional else default
    return Param(name, fallback, parse, as_written, low=low, high=high, nearest=nearest, **more)


def decimal(name: str, low: float, high: float, default: float, **more: Unpack[Declared]) -> Param:
    """A number from `low` to `high`, both included."""

    def parse(raw: str, earlier: Earlier) -> float:
        value = float(raw)
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError(f"it must be from {low} to {high}")
        return value

    return Param(name, default, parse, low=low, high=high, **more)


def choice(
    name: str, options: Options | Callable[[Earlier], Options], default: object = None, **more: Unpack[Declared]
) -> Param:
    """One of a few words; the first is the default. `options` may give each its words on screen, and may be a function
    of the parameters before it.
    """

    def offered(earlier: Earlier) -> Sequence[str]:
        return list(options(earlier) if callable(options) else options)

    def parse(raw: str, earlier: Earlier) -> str:
        if raw not in offered(earlier):
            raise ValueError(f"it must be one of {', '.join(offered(earlier))}")
        return raw

    words_of = options if isinstance(options, Mapping) else {}
    fallback = default if default is not None else lambda earlier: offered(earlier)[0]
    return Param(name, fallback, parse, options=words_of, **more)


def flag(name: str, default: bool | Callable[[Earlier], bool] = False, **more: Unpack[Declared]) -> Param:
    """Yes or no, written "1" or "0"."""

    def parse(raw: str, earlier: Earlier) -> bool:
        if raw not in ("0", "1"):
            raise ValueError("it must be 1 or 0")
        return raw == "1"

    return Param(name, default, parse, as_written, **more)


def typed(name: str, default: str | Callable[[Earlier], str], **more: Unpack[Declared]) -> Param:
    """What somebody typed; anything is valid."""
    return Param(name, default, lambda raw, earlier: raw, **more)


def pairs(raw: str, joint: str, most: int, problem: str) -> tuple[tuple[int, int], ...]:
    """Pairs of whole numbers as a link writes them, each once: "4-3_4-2" → ((4, 3), (4, 2)), `joint` being "-".

    Raises ValueError with `problem` where there are more than `most`, or where something else stands in the link.
    """
    written = [pair.split(joint) for pair in raw.split("_") if pair]
    if len(written) > most or any(len(p) != 2 or not all(n.isascii() and n.isdigit() for n in p) for p in written):
        raise ValueError(problem)
    return tuple(dict.fromkeys((int(first), int(second)) for first, second in written))


def as_written(value: object) -> str:
    """A value as a link says it: "auto" for None, 1 or 0 for yes or no."""
    if value is None:
        return AUTO
    return str(int(value)) if isinstance(value, bool) else str(value)
