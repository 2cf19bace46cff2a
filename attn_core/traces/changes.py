"""What was done to a forward pass: heads switched off, patterns forced, tensors patched. A plain pass has no changes.

`trace.changes` is part of every trace, so that its repr, captions, files, link and lines of Python all say it: numbers
of a changed pass must never be taken for those of the model as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_core.places import Place

HeadName = tuple[str, int, int]  # (stream, layer, head)

IN_ITS_PLACE = {"zero": "nothing in its place", "mean": "its mean over the sentence in its place"}


@dataclass(frozen=True)
class ForcedPattern:
    """A pattern that was put in the place of a head's own: float32 [query, key], kept as bytes to be a value."""

    head: HeadName
    shape: tuple[int, ...]
    numbers: bytes  # float32, little-endian, row after row

    @classmethod
    def of(cls, head: HeadName, cells: Any) -> ForcedPattern:
        """The value of anything that numpy reads as a square of numbers, [query, key]."""
        return cls(head, *_as_bytes(cells))

    @property
    def cells(self) -> NDArray[np.float32]:
        """The pattern, [query, key]; a fresh array."""
        return _as_array(self.numbers, self.shape)

    def as_lists(self) -> Any:
        """The same as lists of the shortest numbers that are read back exactly."""
        return as_lists(self.cells)


def model_in_python(name: str, wrapped: bool, dtype: str = "float32") -> str:
    """The Python that gives a model again; one that was wrapped needs its owner's two objects, under these names.

    >>> model_in_python("minilm", wrapped=False), model_in_python("mine", wrapped=True)
    ("ac.load('minilm')", "ac.wrap(hf_model, tokenizer, name='mine')")
    """
    if wrapped:
        return f"ac.wrap(hf_model, tokenizer, name={name!r})"
    return f"ac.load({name!r})" if dtype == "float32" else f"ac.load({name!r}, dtype={dtype!r})"


@dataclass(frozen=True)
class Donor:
    """The pass that a patch was taken from: which model read what, and what had been changed in that pass."""

    model_name: str
    text: str
    target: str | None
    changes: Changes
    ids: tuple[int, ...] | None = None  # where it read token ids, and no text
    target_ids: tuple[int, ...] | None = None
    wrapped: bool = False  # a model of somebody's own, which no name loads
    second: int | None = None  # of a pair: where its second segment begins …
    second_text: str = ""  # … and its text
    dtype: str = "float32"  # in which its model computed

    def __str__(self) -> str:
        text = " + ".join(filter(None, (self.text, self.second_text)))
        return f"“{shorten(text, 60, placeholder=' …')}”" + (f" ({self.changes})" if self.changes else "")

    def as_python(self) -> str:
        """The call of `attn_core.trace` that makes it."""
        text: Any = self.text if self.ids is None else list(self.ids)
        if self.second is not None:
            text = (text, self.second_text) if self.ids is None else (text[: self.second], text[self.second :])
        target = "" if self.target is None else f", target={self._target!r}"
        model = model_in_python(self.model_name, self.wrapped, self.dtype)
        return f"ac.trace({model}, {text!r}{target}{self.changes.as_python()})"

    @property
    def _target(self) -> str | list[int] | None:
        return self.target if self.target_ids is None else list(self.target_ids)


@dataclass(frozen=True)
class Patch:
    """What was put at one place of a pass: numbers, or by a `rule` "zero" or the "mean" over the sentence.

    `numbers` are float32, little-endian, kept as bytes to be a value; those of a rule are empty. `donor` says which
    pass they are from; None: they were given as they are.
    """

    place: Place
    shape: tuple[int, ...] = ()
    numbers: bytes = b""
    rule: str | None = None
    donor: Donor | None = None

    @classmethod
    def of(cls, place: Place, put: Any, donor: Donor | None = None) -> Patch:
        """The value of anything that numpy reads as numbers, or of a rule's name."""
        if isinstance(put, str):
            if put not in IN_ITS_PLACE or place.kind == "pattern":
                words = "" if place.kind == "pattern" else ', "zero", "mean"'
                raise ValueError(f"{place.as_python()} takes a trace or an array{words}; got {put!r}")
            return cls(place, rule=put)
        shape, numbers = _as_bytes(put)
        if not np.isfinite(np.frombuffer(numbers, "<f4")).all():
            raise ValueError(f"what is put at {place.as_python()} has values that are no finite numbers")
        return cls(place, shape, numbers, donor=donor)

    @property
    def array(self) -> NDArray[np.float32]:
        """The numbers, [position, feature], or [feature] at one position; a fresh array."""
        return _as_array(self.numbers, self.shape)

    def as_python(self) -> str:
        """The entry of `patch=` that makes it."""
        if self.rule is not None:
            put = repr(self.rule)
        else:
            put = repr(as_lists(self.array)) if self.donor is None else self.donor.as_python()
        return f"{self.place.as_python()}: {put}"

    @property
    def source(self) -> str:
        """In words, what stands there now."""
        if self.rule is not None:
            return "replaced by zero" if self.rule == "zero" else "replaced by its mean over the sentence"
        return "as given" if self.donor is None else f"as in {self.donor}"


@dataclass(frozen=True)
class Changes:
    """What was changed in a pass; false where nothing was, and equal to another that changes the same.

    `without` names the heads that were switched off, `replacement` what stood in their place ("zero" or "mean"),
    `forced` holds the patterns that were put in the place of a head's own, `patches` all else that was put somewhere.

    >>> print(Changes(without=(("self", 0, 3), ("self", 1, 2))))
    without heads 0.3, 1.2 (nothing in its place)
    """

    without: tuple[HeadName, ...] = ()
    replacement: str = "zero"
    forced: tuple[ForcedPattern, ...] = ()
    patches: tuple[Patch, ...] = ()

    @classmethod
    def of(
        cls, without: Iterable[HeadName], replacement: str, edit: Mapping[HeadName, Any], patch: Iterable[Patch] = ()
    ) -> Changes:
        """The changes that the options of `attn_core.trace` ask for; what changes nothing is left out.

        A patch that switches a whole head off, or forces a whole pattern, is the same change as `without` or `edit`
        make. Raises ValueError where something is put twice at one place.
        """
        off, patterns = sorted(set(without)), {head: ForcedPattern.of(head, cells) for head, cells in edit.items()}
        replacement = replacement if off else "zero"
        patches = sorted(patch, key=lambda one: _order(one.place))
        _refuse_twice([one.place for one in patches], off, patterns)
        whole = [one for one in patches if one.place.kind == "head" and one.place.position is None and one.rule]
        if whole and not off:
            replacement = str(whole[0].rule)
        kept = []
        for one in patches:
            place = one.place
            if one in whole and one.rule == replacement:
                off.append(_head_of(place))
            elif place.kind == "pattern" and place.position is None:
                patterns[_head_of(place)] = ForcedPattern(_head_of(place), one.shape, one.numbers)
            else:
                kept.append(one)
        return cls(tuple(sorted(off)), replacement, tuple(patterns[head] for head in sorted(patterns)), tuple(kept))

    def __bool__(self) -> bool:
        return bool(self.without or self.forced or self.patches)

    def __str__(self) -> str:
        """In words, for captions; "" where nothing was changed."""
        parts = []
        if self.without:
            parts.append(f"without {_named(self.without)} ({IN_ITS_PLACE[self.replacement]})")
        if self.forced:
            parts.append(f"pattern forced in {_named([one.head for one in self.forced])}")
        sources = dict.fromkeys(one.source for one in self.patches)
        for source in sources:
            parts.append(f"{', '.join(str(one.place) for one in self.patches if one.source == source)} {source}")
        return ", ".join(parts)

    def as_python(self) -> str:
        """The arguments of `attn_core.trace` that make these changes, each with a comma before it; "" for none."""
        said = ""
        if self.without:
            said += f", without={[_key(head) for head in self.without]!r}, replacement={self.replacement!r}"
        if self.forced:
            edit = {_key(one.head): one.as_lists() for one in self.forced}
            said += f", edit={edit!r}"
        if self.patches:
            said += f", patch={{{', '.join(one.as_python() for one in self.patches)}}}"
        return said


# ---------------------------------------------------------------------------------------------------------- as numbers


def _as_bytes(numbers: Any) -> tuple[tuple[int, ...], bytes]:
    array = np.asarray(numbers, dtype="<f4")
    return array.shape, array.tobytes()


def _as_array(numbers: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.frombuffer(numbers, "<f4").reshape(shape).astype(np.float32)


def as_lists(array: NDArray[np.float32]) -> Any:
    """Nested lists of the shortest numbers that are read back exactly."""
    return float(str(array)) if array.ndim == 0 else [as_lists(row) for row in array]


# -------------------------------------------------------------------------------------------------------------- places


def _order(place: Place) -> tuple[Any, ...]:
    head, position = (-1 if n is None else n for n in (place.head, place.position))
    return place.layer, place.stream, place.kind, head, position


def _refuse_twice(places: Sequence[Place], off: Iterable[HeadName], forced: Iterable[HeadName]) -> None:
    """Raise ValueError where it would depend on an order what stands at a place in the end."""
    taken = {Place("head", *head) for head in off} | {Place("pattern", *head) for head in forced}
    for place in places:
        others = [other for other in places if other.tensor == place.tensor and other is not place]
        clash = any(None in (place.position, other.position) or other == place for other in others)
        if clash or place.tensor in taken:
            raise ValueError(f"something is put twice at {place.tensor}: name each place once")


def _head_of(place: Place) -> HeadName:
    if place.head is None:
        raise ValueError(f"{place.as_python()} is no place of a head")
    return place.stream, place.layer, place.head


def _key(head: HeadName) -> tuple[int, int] | HeadName:
    """How `attn_core.trace` is told of a head: a model with one stream needs no name for it."""
    return head[1:] if head[0] == "self" else head


def _named(heads: Sequence[HeadName]) -> str:
    names = [f"{layer}.{head}" if stream == "self" else f"{stream} {layer}.{head}" for stream, layer, head in heads]
    return f"head{'s' if len(names) > 1 else ''} {', '.join(names)}"
