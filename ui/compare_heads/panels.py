"""Panels that are compared: what each shows, and the axes that they share. No Streamlit and no cache.

panels = reading.read(page, specs)
panels.cells[0]                       # panel A's pattern on the shared axes, [place, place]
panels.difference                     # what differs between the chosen pair
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attn_core.heads import alignment, compare
from attn_core.heads.salience import most_salient_query
from attn_core.models.catalogue import entry_of
from attn_core.views.compared_checks import ShownPanel, compared_check
from ui.compare_heads.specs import PanelSpec
from ui.server.cache import while_drawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attn_core.heads.measures import Bools, Floats
    from attn_core.text.tokens import Tokens
    from attn_core.traces.parity import Parity
    from attn_core.views.derived_checks import DerivedCheck
    from ui.stream import StreamView


@dataclass(frozen=True)
class Panel:
    """One panel: what it shows, and the stream that it shows it of.

    `patterns_of(layer)` is [head, query, key]: the model's own patterns, or their mean over shuffled words; `check`
    says how far the passes behind them are from the model's own numbers.
    """

    letter: str
    spec: PanelSpec
    viewed: StreamView
    patterns_of: Callable[[int], Floats] = field(compare=False)  # these two follow from the others
    check: Callable[[], Parity] = field(compare=False)

    @property
    def model(self) -> str:
        """The model's title, for reading."""
        return entry_of(self.spec.model).title

    @property
    def layer(self) -> int:
        return min(self.spec.layer, self.viewed.n_layers - 1)

    @property
    def pattern(self) -> Floats:
        """What the panel draws, [query, key] over tokens."""
        every = self.patterns_of(self.layer)
        return every.mean(axis=0) if self.spec.shows == "mean" else every[self.spec.head]

    @property
    def names(self) -> list[str]:
        """All heads of its model's stream, "0.0" and on."""
        return [f"{layer}.{head}" for layer in range(self.viewed.n_layers) for head in range(self.viewed.n_heads)]


@dataclass(frozen=True)
class PanelSet:
    """All panels, and the axes that they share: tokens, or whole words (`by_words`) where tokenizers differ.

    `pair` are the two panels whose difference is told; `query` is the followed position in panel A.
    """

    panels: list[Panel]
    by_words: bool
    pair: tuple[int, int]
    query: int | None

    @property
    def paired(self) -> tuple[Panel, Panel]:
        x, y = self.pair
        return self.panels[x], self.panels[y]

    @cached_property
    def axes(self) -> list[tuple[alignment.Places, alignment.Places]]:
        """(places of queries, places of keys) of every panel."""
        queries = alignment.align_all([self._names(panel.viewed.queries) for panel in self.panels])
        keys = alignment.align_all([self._names(panel.viewed.keys) for panel in self.panels])
        return list(zip(queries, keys, strict=True))

    def _names(self, tokens: Tokens) -> list[str]:
        return alignment.said_words(tokens) if self.by_words else tokens.labels

    def labels(self, i: int) -> tuple[list[str | None], list[str | None]]:
        """What a panel's queries and keys are called at every place; None for a gap."""
        viewed = self.panels[i].viewed
        queries, keys = (
            [None if place is None else names[place] for place in places]
            for names, places in zip((self._names(viewed.queries), self._names(viewed.keys)), self.axes[i], strict=True)
        )
        return queries, keys

    def special(self, i: int, axis: int) -> list[bool]:
        """Which places of a panel hold special tokens, of its queries (0) or keys (1); none between whole words."""
        viewed = self.panels[i].viewed
        special = (viewed.queries, viewed.keys)[axis].special
        return [p is not None and not self.by_words and special[p] for p in self.axes[i][axis]]

    def pair_labels(self) -> tuple[list[str | None], list[str | None]]:
        """What the pair calls queries and keys, "are/is" where they differ; None where one has no such word."""
        x, y = (self.labels(i) for i in self.pair)
        queries, keys = ([both(a, b) for a, b in zip(of_x, of_y, strict=True)] for of_x, of_y in zip(x, y, strict=True))
        return queries, keys

    def on_axes(self, i: int, patterns: Floats) -> Floats:
        """A panel's patterns [..., query, key] on the shared axes, [..., place, place]."""
        viewed = self.panels[i].viewed
        if self.by_words:
            patterns = alignment.between_said_words(patterns, viewed.queries, viewed.keys)
        return alignment.on_axes(patterns, *self.axes[i])

    def heads_on_axes(self, i: int, layer: int) -> Floats:
        """All heads of a panel's layer on the rows that the pair shares, [head, row, place]."""
        return self.on_axes(i, self.panels[i].patterns_of(layer))[:, self.rows]

    def may_look(self, i: int) -> Bools:
        """Which cells of a panel exist and are not masked, [place, place]."""
        panel = self.panels[i]
        cells = panel.viewed.reader.may_look(panel.layer)
        if self.by_words:
            cells = alignment.may_look_between_said_words(cells, panel.viewed.queries, panel.viewed.keys)
        return alignment.on_axes(cells, *self.axes[i])

    def position(self, i: int, place: int) -> int | None:
        """The token of a panel that asks at a place: of a word, its last piece."""
        index = self.axes[i][0][place]
        tokens = self.panels[i].viewed.queries
        if index is None or not self.by_words:
            return index
        word = [w for w in dict.fromkeys(tokens.words) if w is not None][index]
        return max(p for p, w in enumerate(tokens.words) if w == word)

    def second(self, i: int) -> int | None:
        """The first place of a panel's second sentence; None where it reads one alone."""
        begins = self.panels[i].viewed.queries.second
        if begins is None:
            return None
        places = range(len(self.axes[i][0]))
        return next((at for at in places if (token := self.position(i, at)) is not None and token >= begins), None)

    @while_drawn
    def cells(self) -> list[Floats]:
        """Every panel's pattern on the shared axes, [place, place]."""
        return [self.on_axes(i, panel.pattern) for i, panel in enumerate(self.panels)]

    @property
    def apart(self) -> Floats:
        """The pair's difference, the first minus the second, [place, place]."""
        x, y = self.pair
        return self.cells[x] - self.cells[y]

    @cached_property
    def rows(self) -> NDArray[np.int_]:
        """The places at which both panels of the pair have a query."""
        x, y = self.pair
        return alignment.paired(self.axes[x][0], self.axes[y][0])

    @cached_property
    def difference(self) -> compare.Difference | None:
        """What differs between the pair, over the rows that both have; None where they share no word."""
        x, y = self.pair
        if not len(self.rows):
            return None
        return compare.difference(self.cells[x][self.rows], self.cells[y][self.rows], self.both_may_look)

    @property
    def both_may_look(self) -> Bools:
        """Where both of the pair may look, [row, place]."""
        x, y = self.pair
        return (self.may_look(x) & self.may_look(y))[self.rows]

    def check(self) -> DerivedCheck:
        """The panels on their axes and what differs between the pair, each computed another way."""
        first = [*self.pair, *(i for i in range(len(self.panels)) if i not in self.pair)]
        shown = [
            ShownPanel(self.cells[i], self.panels[i].pattern, own.queries, own.keys, self.axes[i])
            for i, own in ((i, self.panels[i].viewed) for i in first)
        ]
        rows = self.rows.tolist()
        return compared_check(shown, self.apart, self.difference, rows, self.both_may_look, self.by_words)

    @cached_property
    def place(self) -> int:
        """The place of panel A's followed word; of the most salient one where the panels have no such place."""
        index = self.query
        if index is not None and self.by_words:
            index = self.panels[0].viewed.queries.words[index]
        places = self.axes[0][0]
        return self.salient_place if index is None or index not in places else places.index(index)

    @cached_property
    def salient_place(self) -> int:
        """The place whose largest weight on another word differs most between the pair."""
        if self.difference is None:
            return 0
        x, y = self.pair
        apart = np.abs(self.apart)  # [place, place]
        left_out = [place not in self.rows or special for place, special in enumerate(self.special(x, 0))]
        keys = self.special(x, 1) if self.panels[x].viewed.reader.name == "cross" else None
        return most_salient_query(apart, left_out, keys)


def both(a: str | None, b: str | None) -> str | None:
    """What two panels call one place, "are/is"; None where one of them has no such word."""
    if a is None or b is None:
        return None
    return a if a.lower() == b.lower() else f"{a}/{b}"
