"""The score that the page's link names, in parts, and what follows from them. No Streamlit.

asked.parts                            # computed once for all visitors, kept within a budget of bytes
asked.heads                            # the heads that wrote most of it, and from which word
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_core.circuits import explanation
from attn_core.circuits.explanation import GroupedParts
from attn_core.circuits.score_parts import carried_to_score
from attn_core.errors import HeadlightError
from attn_core.heads.salience import keys_by_weight
from attn_core.traces.parts import Against, ScoreParts, ValueParts, Writer
from attn_core.views.snippets import circuits as snippets
from ui.drawing.markup import token_name
from ui.server import passes, shared
from ui.why_there.trail import SIDES, Step, Trail, share_left, step_share, writer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from attn_core.heads.sink import Bools
    from attn_core.traces.trace import Trace
    from ui.page import Page
    from ui.server.handles import TraceHandle
    from ui.stream import StreamView

MOST_HEADS = 4  # that are offered
MOST_REMOVED = 3  # heads that are taken out, and as many other writers


class HeadPart(NamedTuple):
    """A head that wrote the query or the key: what that adds to the score, and the word from which most of it came."""

    writer: Writer
    side: str  # "q" or "k"
    part: float
    source: int


@dataclass(frozen=True)
class AskedScore:
    """One score of a head: the page's query, the key that it is asked about, and what it is compared with."""

    page: Page
    viewed: StreamView

    @property
    def trace(self) -> TraceHandle:
        return self.viewed.trace

    @property
    def stream(self) -> str:
        return self.viewed.reader.name

    @property
    def query(self) -> int:
        return self.viewed.query

    @property
    def _may_look(self) -> Bools:
        return self.viewed.reader.may_look(self.viewed.layer)[self.query]

    @cached_property
    def keys(self) -> list[int]:
        """The keys that the query may look at."""
        return [int(key) for key in np.flatnonzero(self._may_look)]

    @cached_property
    def _ranked(self) -> list[int]:
        """The keys by weight, but a sink and the word itself last."""
        row, may_look = self.viewed.reader.pattern_row(self.viewed.layer, self.viewed.head, self.query), self._may_look
        return keys_by_weight(row, may_look, self.viewed.sink, None if self.stream == "cross" else self.query)

    @cached_property
    def key(self) -> int:
        """The chosen key, or else the other word with the largest weight that is no sink."""
        chosen = self.page.state["key"]
        return int(chosen) if chosen in self.keys else self._ranked[0]

    @cached_property
    def other(self) -> int | None:
        """The key that it is compared with, where there is another one."""
        chosen = self.page.state["other"]
        rest = [key for key in self._ranked if key != self.key]
        return int(chosen) if chosen in rest else (rest[0] if rest else None)

    @property
    def against(self) -> Against:
        compared = self.page.state["compared"]
        return {"mean": "mean", "zero": None}.get(compared, self.other if self.other is not None else "mean")

    @cached_property
    def parts(self) -> ScoreParts:
        return self._parts_of(self.here, self.against)

    def _parts_of(self, step: Step, against: Against) -> ScoreParts:
        return shared.memoize(self.trace, _parts_of, *step[1:5], against, step.stream)

    @property
    def _cell(self) -> tuple[int, int, int, int]:
        return self.viewed.layer, self.viewed.head, self.query, self.key

    @cached_property
    def groups(self) -> list[str]:
        """The groups of writers, in the order of the stream."""
        writers = [*self.parts.query_writers, *self.parts.key_writers]
        return list(dict.fromkeys(explanation.group_of(writer) for writer in writers))

    @cached_property
    def grouped(self) -> GroupedParts:
        """The parts by layer, one of them opened where the link says so."""
        chosen = self.page.state["opened"]
        return explanation.grouped(self.parts, self.groups[chosen - 1 : chosen] if chosen else [])

    @cached_property
    def heads(self) -> list[HeadPart]:
        """The heads that wrote most of the query or of the key, the largest first."""
        return shared.memoize(self.trace, _heads_of, self.parts)

    @property
    def here(self) -> Step:
        """This score as a step; its side is not yet chosen."""
        return Step(self.stream, *self._cell, "q")

    @cached_property
    def trail(self) -> Trail:
        """The way of clicks that led here; empty where it does not fit what is shown."""
        return self.page.state["trail"] if self.left is not None else ()

    @cached_property
    def left(self) -> float | None:
        """How much of the first score is left; None without a way, or where its steps do not fit."""
        said: Trail = self.page.state["trail"]
        if not said:
            return None
        try:
            return share_left(said, self.here, self._share)
        except (HeadlightError, IndexError, ValueError, ZeroDivisionError):
            return None

    def left_at(self, at: int) -> float:
        """How much of the first score was left at a step of the way."""
        return share_left(self.trail[:at], self.trail[at], self._share)

    def _share(self, step: Step, following: Step) -> float:
        return shared.memoize(self.trace, step_share, self._parts_of(step, self.before), step, following)

    @property
    def before(self) -> Against:
        """What the scores on the way are compared with: another key of theirs is not known."""
        return None if self.against is None else "mean"

    @cached_property
    def brought(self) -> ValueParts | None:
        """What the head brings from the key, by who wrote it; None where the head was switched off."""
        return shared.memoize(self.trace, _values_of, *self._cell, self.stream)

    @cached_property
    def brought_share(self) -> np.ndarray | None:
        """What each writer of it adds to the score before, as a share of that; None where there is none before."""
        if not self.trail or self.brought is None:
            return None
        last = self.trail[-1]
        parts, writer = self._parts_of(last, self.before), writer_of(self.here)
        carried = shared.memoize(
            self.trace, carried_to_score, parts, SIDES[last.side], writer, self.brought.vectors
        )  # [writer]
        return carried / parts.score

    def word(self, side: str) -> str:
        """The query ("q") or the key ("k") as it is read, plain text."""
        tokens, place = (self.viewed.queries, self.query) if side == "q" else (self.viewed.keys, self.key)
        return token_name(tokens.labels, place)

    @cached_property
    def removed(self) -> list[tuple[Writer, float]]:
        """The heads and the other writers that add most, up to so many of each, with what the frozen split says."""
        left = {True: MOST_REMOVED, False: MOST_REMOVED}  # heads, others
        found = []
        for writer, adds in explanation.effects(self.parts):
            is_head = writer.kind == "head"
            if left[is_head]:
                left[is_head] -= 1
                found.append((writer, adds))
        return found

    def really(self, progress: Callable[[float], object]) -> list[float]:
        """The score with each of those really taken out, several from one more pass."""
        asked = self.viewed.model, self.parts, [writer for writer, _ in self.removed]
        with self.page.problems():
            return shared.memoize(self.trace, passes.scores_without, *asked, progress=progress)

    def offer_pictures(self) -> None:
        """The page's end: its pictures can be saved, with both words in every caption."""
        lines = snippets.score_parts(self.trace, self.stream, *self._cell, self.against)
        self.page.offer_pictures(f"head {self.viewed.name}", f"{self.word('q')} → {self.word('k')}", lines=lines)


def _parts_of(trace: Trace, layer: int, head: int, query: int, key: int, against: Against, stream: str) -> ScoreParts:
    return trace.score_parts(layer, head, query, key, against, stream=stream)


def _values_of(trace: Trace, layer: int, head: int, query: int, key: int, stream: str) -> ValueParts | None:
    return trace.value_parts(layer, head, query, key, stream=stream)


def _heads_of(trace: Trace, parts: ScoreParts) -> list[HeadPart]:
    """The heads that wrote most of a score's query or key."""
    found = [
        (abs(total), side, writer)
        for side, writers, axis in (("q", parts.query_writers, 1), ("k", parts.key_writers, 0))
        for writer, total in zip(writers, parts.matrix.sum(axis=axis), strict=True)
        if writer.kind == "head"
    ]
    ranked = sorted(found, key=lambda each: -each[0])[: MOST_HEADS + 2]
    heads = [part for _, side, writer in ranked if (part := _head(trace, parts, side, writer)) is not None]
    return sorted(heads, key=lambda part: -abs(part.part))[:MOST_HEADS]


def _head(trace: Trace, parts: ScoreParts, side: str, writer: Writer) -> HeadPart | None:
    """What a head wrote and from where; None for one that was switched off, which took it from no word."""
    try:
        taken = explanation.sources_of_writer(trace, parts, SIDES[side], writer)
    except HeadlightError:
        return None
    total = float(taken.sum())
    return HeadPart(writer, side, total, int((taken * np.sign(total)).argmax()))
