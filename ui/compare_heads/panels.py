"""Panels that are compared: what each shows, and the axes that they share."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

from attn_core.heads import alignment, baselines, compare
from attn_core.models.catalogue import entry_of
from ui import stream
from ui.compare_heads.specs import LETTERS, Spec
from ui.drawing import widgets
from ui.server import shared
from ui.shell import known_words
from ui.stream import StreamView

if TYPE_CHECKING:
    from ui.page import Page

SHUFFLES = 8


@dataclass(frozen=True)
class Side:
    """One panel: what it shows, and the trace that it shows it of."""

    letter: str
    spec: Spec
    viewed: StreamView

    @property
    def model(self) -> str:
        """The model's title, for reading."""
        return entry_of(self.spec.model).title

    @property
    def layer(self) -> int:
        return min(self.spec.layer, self.viewed.n_layers - 1)

    def patterns(self, layer: int) -> Any:
        """[head, query, key] of a layer: the model's own, or their mean over shuffled words."""
        if self.spec.shows != "shuffled":
            return self.viewed.reader.patterns(layer)
        what = ("shuffled", self.viewed.stream)
        return shared.memoize(self.viewed.trace, what, self._shuffled, size=_bytes)[layer]

    def _shuffled(self) -> list[Any]:
        """The mean patterns over several orders of the words, one array a layer."""
        traces = (self.viewed.shuffled(seed).trace for seed in range(SHUFFLES))
        return baselines.mean_patterns(traces, stream=self.viewed.stream)

    @property
    def pattern(self) -> Any:
        """What the panel draws, [query, key] over tokens."""
        every = self.patterns(self.layer)
        return every.mean(axis=0) if self.spec.shows == "mean" else every[self.spec.head]


def _bytes(layers: list[Any]) -> int:
    return sum(patterns.nbytes for patterns in layers)


@dataclass(frozen=True)
class Sides:
    """All panels, and the axes that they share: tokens, or whole words where tokenizers differ."""

    page: Page
    sides: list[Side]

    @cached_property
    def by_words(self) -> bool:
        first = self.sides[0].viewed.model
        return not all(_same_tokenizer(first, side.viewed.model) for side in self.sides)

    @cached_property
    def axes(self) -> list[tuple[alignment.Places, alignment.Places]]:
        """(places of queries, places of keys) of every panel."""
        queries = alignment.align_all([self._names(side.viewed.queries) for side in self.sides])
        keys = alignment.align_all([self._names(side.viewed.keys) for side in self.sides])
        return list(zip(queries, keys, strict=True))

    def _names(self, tokens: Any) -> list[str]:
        return alignment.said_words(tokens) if self.by_words else tokens.labels

    def labels(self, i: int) -> tuple[list[str | None], list[str | None]]:
        """What a panel's queries and keys are called at every place; None for a gap."""
        viewed = self.sides[i].viewed
        queries, keys = (
            [None if place is None else names[place] for place in places]
            for names, places in zip((self._names(viewed.queries), self._names(viewed.keys)), self.axes[i], strict=True)
        )
        return queries, keys

    def on_axes(self, i: int, patterns: Any) -> Any:
        """A panel's patterns [..., query, key] on the shared axes."""
        viewed = self.sides[i].viewed
        if self.by_words:
            patterns = alignment.between_said_words(patterns, viewed.queries, viewed.keys)
        return alignment.on_axes(patterns, *self.axes[i])

    def may_look(self, i: int) -> Any:
        """Which cells of a panel exist and are not masked."""
        side = self.sides[i]
        cells = side.viewed.reader.may_look(side.layer)
        if self.by_words:
            cells = alignment.may_look_between_said_words(cells, side.viewed.queries, side.viewed.keys)
        return alignment.on_axes(cells, *self.axes[i])

    def position(self, i: int, place: int) -> int | None:
        """The token of a panel that asks at a place: of a word, its last piece."""
        index = self.axes[i][0][place]
        tokens = self.sides[i].viewed.queries
        if index is None or not self.by_words:
            return index
        word = [w for w in dict.fromkeys(tokens.words) if w is not None][index]
        return max(p for p, w in enumerate(tokens.words) if w == word)

    @cached_property
    def cells(self) -> list[Any]:
        """Every panel's pattern on the shared axes, [place, place]."""
        return [self.on_axes(i, side.pattern) for i, side in enumerate(self.sides)]

    @cached_property
    def pair(self) -> tuple[int, int]:
        """The two panels whose difference is told."""
        x, y = self.page.state["pair"]
        return LETTERS.index(x), LETTERS.index(y)

    @cached_property
    def rows(self) -> Any:
        """The places at which both panels of the pair have a query."""
        x, y = self.pair
        return alignment.paired(self.axes[x][0], self.axes[y][0])

    @cached_property
    def difference(self) -> compare.Difference | None:
        """What differs between the pair, over the rows that both have; None where they share no word."""
        x, y = self.pair
        if not len(self.rows):
            return None
        seen = (self.may_look(x) & self.may_look(y))[self.rows]
        return compare.difference(self.cells[x][self.rows], self.cells[y][self.rows], seen)

    @cached_property
    def place(self) -> int:
        """The chosen query's place: panel A's word, or else the one that differs most."""
        chosen = self.page.state["query"]
        places = range(len(self.axes[0][0]))
        found = next((p for p in places if chosen is not None and self.position(0, p) == chosen), None)
        if found is not None:
            return found
        return int(self.rows[self.difference.most_changed]) if self.difference else 0


def _same_tokenizer(a: Any, b: Any) -> bool:
    return a.tokenizer is b.tokenizer or a.tokenizer.get_vocab() == b.tokenizer.get_vocab()


def read(page: Page, specs: Sequence[Spec]) -> Sides:
    """Run every panel's model over its sentence."""
    sides = []
    for letter, spec in zip(LETTERS, specs, strict=False):
        real = page.model(spec.model)
        model = _with_random_weights(page, real) if spec.shows == "random" else real
        text = None if letter == "a" else spec.text
        sides.append(Side(letter.upper(), spec, stream.of(page, text, model, writer=real)))
    with page.remarks:
        _remark(sides)
    return Sides(page, sides)


def _remark(sides: Sequence[Side]) -> None:
    """What to know about the sentences that are not at the top: where one was cut, which words are new to a model."""
    told = {(sides[0].spec.model, sides[0].spec.text)}
    for side in sides[1:]:
        read, viewed = (side.spec.model, side.spec.text), side.viewed
        if read in told:
            continue
        told.add(read)
        tokens = viewed.trace.tokens if viewed.stream is None else viewed.trace.tokens_of("encoder")[0]
        if tokens.is_cut:
            widgets.note(
                f"Panel {side.letter}: its sentence was cut after {tokens.cut_after}, which is the limit. "
                f"{tokens.left_out}"
            )
        known_words.explain_marks(side.spec.model, tokens.labels)


def _with_random_weights(page: Page, model: Any) -> Any:
    with page.problems():
        return shared.get_or_compute((model.name, "random weights"), functools.partial(baselines.random_weights, model))


def rule(shown: Sides) -> str:
    """How the axes were made, as HTML."""
    ask, answer = '<b class="hl-q">query</b>', '<b class="hl-k">key</b>'
    text = f"Rows ask ({ask}), columns answer ({answer}); one scale and the same axes in all."
    if shown.by_words:
        text += (
            " The tokenizers differ, so these are whole words: what a word receives is summed over its pieces, what it "
            "asks is their mean, special tokens are left out and the rest renormalised."
        )
    return f"{text} {stream.row_names(shown.sides[0].viewed)}"


def about(shown: Sides) -> str:
    """How many panels of how many models, as HTML."""
    names = dict.fromkeys(side.model for side in shown.sides)
    return f"{len(shown.sides)} panels, {' and '.join(map(escape, names))}."
