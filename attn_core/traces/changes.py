"""What was done to a forward pass: heads switched off, patterns forced. A plain pass has no changes.

`trace.changes` is part of every trace, so that its repr, captions, files, link and lines of Python all say it: numbers
of a changed pass must never be taken for those of the model as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HeadName = tuple[str, int, int]  # (stream, layer, head)

IN_ITS_PLACE = {"zero": "nothing in its place", "mean": "its mean over the sentence in its place"}


@dataclass(frozen=True)
class ForcedPattern:
    """A pattern that was put in the place of a head's own: float32 [query, key], kept as bytes to be a value."""

    head: HeadName
    shape: tuple[int, int]
    numbers: bytes  # float32, little-endian, row after row

    @classmethod
    def of(cls, head: HeadName, cells: Any) -> ForcedPattern:
        """The value of anything that numpy reads as a square of numbers, [query, key]."""
        square = np.asarray(cells, dtype="<f4")
        n_query, n_key = square.shape
        return cls(head, (n_query, n_key), square.tobytes())

    @property
    def cells(self) -> NDArray[np.float32]:
        """The pattern, [query, key]; a fresh array."""
        return np.frombuffer(self.numbers, "<f4").reshape(self.shape).astype(np.float32)

    def as_lists(self) -> list[list[float]]:
        """The same as lists of the shortest numbers that are read back exactly."""
        return [[float(str(weight)) for weight in row] for row in self.cells]


@dataclass(frozen=True)
class Changes:
    """What was changed in a pass; false where nothing was, and equal to another that changes the same.

    `without` names the heads that were switched off, `replacement` what stood in their place ("zero" or "mean"), and
    `forced` holds the patterns that were put in the place of a head's own.

    >>> print(Changes(without=(("self", 0, 3), ("self", 1, 2))))
    without heads 0.3, 1.2 (nothing in its place)
    """

    without: tuple[HeadName, ...] = ()
    replacement: str = "zero"
    forced: tuple[ForcedPattern, ...] = ()

    @classmethod
    def of(cls, without: Iterable[HeadName], replacement: str, edit: Mapping[HeadName, Any]) -> Changes:
        """The changes that the options of `attn_core.trace` ask for; what changes nothing is left out."""
        off = tuple(sorted(set(without)))
        forced = tuple(ForcedPattern.of(head, edit[head]) for head in sorted(edit))
        return cls(off, replacement if off else "zero", forced)

    def __bool__(self) -> bool:
        return bool(self.without or self.forced)

    def __str__(self) -> str:
        """In words, for captions; "" where nothing was changed."""
        parts = []
        if self.without:
            parts.append(f"without {_named(self.without)} ({IN_ITS_PLACE[self.replacement]})")
        if self.forced:
            parts.append(f"pattern forced in {_named([one.head for one in self.forced])}")
        return ", ".join(parts)

    def as_python(self) -> str:
        """The arguments of `attn_core.trace` that make these changes, each with a comma before it; "" for none."""
        said = ""
        if self.without:
            said += f", without={[_key(head) for head in self.without]!r}, replacement={self.replacement!r}"
        if self.forced:
            edit = {_key(one.head): one.as_lists() for one in self.forced}
            said += f", edit={edit!r}"
        return said

    def as_json(self) -> dict[str, Any]:
        """The same for a file: "without" [[stream, layer, head]], "replacement", "forced" [{"head", "pattern"}]."""
        return {
            "without": [list(head) for head in self.without],
            "replacement": self.replacement,
            "forced": [{"head": list(one.head), "pattern": one.as_lists()} for one in self.forced],
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Changes:
        """What `as_json` wrote. Raises KeyError, TypeError or ValueError where it is something else."""
        if said["replacement"] not in IN_ITS_PLACE:
            raise ValueError("no replacement of that name")
        edit = {_read_head(one["head"]): one["pattern"] for one in said["forced"]}
        return cls.of([_read_head(head) for head in said["without"]], said["replacement"], edit)


def _read_head(said: Sequence[Any]) -> HeadName:
    stream, layer, head = said
    if not (isinstance(stream, str) and type(layer) is int and type(head) is int):
        raise TypeError("no name of a head")
    return stream, layer, head


def _key(head: HeadName) -> tuple[int, int] | HeadName:
    """How `attn_core.trace` is told of a head: a model with one stream needs no name for it."""
    return head[1:] if head[0] == "self" else head


def _named(heads: Sequence[HeadName]) -> str:
    names = [f"{layer}.{head}" if stream == "self" else f"{stream} {layer}.{head}" for stream, layer, head in heads]
    return f"head{'s' if len(names) > 1 else ''} {', '.join(names)}"
