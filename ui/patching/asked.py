"""What the link of the page Patching asks for, and what is computed of it, once for everybody. No Streamlit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from attn_core.circuits.patching.activation import patching
from attn_core.circuits.patching.answers import LogitDifference
from attn_core.circuits.patching.contrast import Contrast, contrast
from attn_core.circuits.patching.cost import seconds_a_row
from attn_core.circuits.patching.path import path_patching
from attn_core.errors import HeadlightError
from ui import words
from ui.server import passes

if TYPE_CHECKING:
    import pandas as pd

    from attn_core import Model
    from attn_core.traces.trace import Trace
    from ui.server.handles import ModelHandle

WORDS = words.beside(__file__)
MOST_PAIRS = 8
LETTERS = 4000  # of all further pairs together
Words = tuple[str, str]
Target = tuple[int, ...]
Pair = tuple[str, str, Words | None, Target | None]  # A, B, their words, and what both read of a translator
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Asked:
    """Two sentences, what is measured of them, and further pairs of the kind; a value, so a key of what is kept."""

    first: str
    second: str
    answer: Words | None = None
    position: int | None = None  # of B, where an encoder's vector is compared
    target: Target | None = None  # what both passes of a translator read
    stream: str = "self"
    direction: str = "denoising"
    more: tuple[Pair, ...] = ()

    @property
    def read(self) -> list[int] | None:
        """The target as `attn_core.trace` takes it."""
        return None if self.target is None else list(self.target)

    @property
    def n_pairs(self) -> int:
        """How many pairs every number is the mean over."""
        return 1 + len(self.more)

    @property
    def measured(self) -> dict[str, object]:
        """The arguments of `attn_core.patching` that say what d is, for lines of Python."""
        return {"position": self.position, "target": self.read, "direction": self.direction}


class Answers(NamedTuple):
    """d of both sentences, the two words if it is made of words, and why there is no effect, or ""."""

    d_a: float
    d_b: float
    words: Words | None
    alike: str


def parse_more(raw: str, worded: bool = True) -> tuple[Pair, ...]:
    """Further pairs, one a line, "A | B" or, where they are `worded`, "A | B | A's word | B's word".

    HeadlightError says which line is none.
    """
    if len(raw) > LETTERS:
        raise HeadlightError(WORDS.text("more.too_long", letters=LETTERS))
    found = []
    for number, line in enumerate(raw.splitlines(), start=1):
        parts = [part.strip() for part in line.split("|")]
        if parts == [""]:
            continue
        if len(parts) not in ((2, 4) if worded else (2,)) or not all(parts):
            said = WORDS.text("more.no_pair", "worded" if worded else "plain", line=number)
            raise HeadlightError(said)
        found.append((parts[0], parts[1], (parts[2], parts[3]) if len(parts) == 4 else None, None))
    if len(found) > MOST_PAIRS:
        raise HeadlightError(WORDS.text("more.too_many", most=MOST_PAIRS))
    return tuple(found)


def answers(model: Model, handle: ModelHandle, asked: Asked) -> Answers:
    """What the two sentences answer."""
    found: Contrast = contrast(
        model,
        asked.first,
        asked.second,
        asked.answer,
        asked.position,
        target=asked.read,
        direction=asked.direction,
        run=partial(_run, handle),
    )
    named = found.answer.names if isinstance(found.answer, LogitDifference) else None
    return Answers(found.d_a, found.d_b, named, found.alike)


def of_heads(model: Model, handle: ModelHandle, asked: Asked, part: str, progress: Progress) -> pd.DataFrame:
    """The effect of every head, at all positions at once."""
    return _patched(model, handle, asked, progress, part)


def of_words(model: Model, handle: ModelHandle, asked: Asked, tensor: str, progress: Progress) -> pd.DataFrame:
    """The effect of a whole layer's tensor at every word."""
    return _patched(model, handle, asked, progress, tensor)


def of_heads_by_word(model: Model, handle: ModelHandle, asked: Asked, part: str, progress: Progress) -> pd.DataFrame:
    """The effect of every head at every word."""
    return _patched(model, handle, asked, progress, part, by_position=True)


def of_head(
    model: Model, handle: ModelHandle, asked: Asked, part: str, layer: int, head: int, progress: Progress
) -> pd.DataFrame:
    """The effect of one head at every word."""
    return _patched(model, handle, asked, progress, part, (layer, head), by_position=True)


def of_paths(
    model: Model, handle: ModelHandle, asked: Asked, head: tuple[int, int], through: str, mlps: bool, progress: Progress
) -> pd.DataFrame:
    """The effect of every earlier head by its direct path into one head's query, key or value."""
    return path_patching(
        model,
        *_sentences(asked),
        None,
        head,
        through,
        _words(asked),
        position=asked.position,
        target=_targets(asked),
        direction=asked.direction,
        stream=asked.stream,
        freeze_mlps=not mlps,
        progress=progress,
        run=partial(_run, handle),
        turn=partial(_turn, handle),
    )


def _patched(
    model: Model,
    handle: ModelHandle,
    asked: Asked,
    progress: Progress,
    at: str,
    head: tuple[int, int] | None = None,
    by_position: bool | None = None,
) -> pd.DataFrame:
    """`attn_core.patching` at every place of a kind, or of one head."""
    return patching(
        model,
        *_sentences(asked),
        _words(asked),
        position=asked.position,
        target=_targets(asked),
        at=at,
        stream=asked.stream,
        by_position=by_position,
        layer=None if head is None else head[0],
        head=None if head is None else head[1],
        direction=asked.direction,
        progress=progress,
        run=partial(_run, handle),
        turn=partial(_turn, handle),
    )


def _sentences(asked: Asked) -> tuple[Any, Any]:
    """A and B; with further pairs the As and the Bs, so that their mean is given."""
    if not asked.more:
        return asked.first, asked.second
    return [asked.first, *(pair[0] for pair in asked.more)], [asked.second, *(pair[1] for pair in asked.more)]


def _words(asked: Asked) -> Any:
    """The two words of A and B, or those of each pair."""
    return [asked.answer, *(pair[2] for pair in asked.more)] if asked.more else asked.answer


def _targets(asked: Asked) -> Any:
    """What both sentences are measured by in a translator, or what each pair is."""
    if not asked.more or asked.target is None:
        return asked.read
    return [list(target or ()) for target in (asked.target, *(pair[3] for pair in asked.more))]


def seconds_of_a_row(base: Trace, handle: ModelHandle, kind: str, stream: str) -> float:
    """How long each row of a batch of patched passes takes, tried in its turn."""
    with _turn(handle):
        return seconds_a_row(handle.value(), base, kind, stream)


def _run(handle: ModelHandle, _: Model, text: str | list[int], **options: object) -> Trace:
    """A pass through the shared cache, in its turn among those of other visitors."""
    return passes.trace(handle, text, **options).value()


def _turn(handle: ModelHandle) -> AbstractContextManager[None]:
    return passes.in_turn(handle)
