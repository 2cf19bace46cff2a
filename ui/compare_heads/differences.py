"""What a comparison says: every head's distance, the tables of numbers, and the headline. No Streamlit, no cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from attn_core.heads import compare
from attn_core.text.decoding import visible
from ui import words
from ui.compare_heads.panels import Panel, PanelSet, both
from ui.drawing import markup

if TYPE_CHECKING:
    from attn_core.heads.measures import Floats

WORDS = words.beside(__file__)


@dataclass(frozen=True)
class HeadDistances:
    """One number a head, [layer, head], 0 to 1.

    `changed`: how much every head differs between the two panels. Otherwise how far every head of the second panel's
    model is from the first panel's head; `itself` is then that very head, which is not its own neighbour.
    """

    values: Floats
    changed: bool
    itself: tuple[int, int] | None = None

    @property
    def ranked(self) -> pd.DataFrame:
        """All heads, the most changed or the nearest first: layer, head, distance."""
        n_layers, n_heads = self.values.shape
        layer, head = np.divmod(np.arange(n_layers * n_heads), n_heads)
        table = pd.DataFrame({"layer": layer, "head": head, "distance": self.values.ravel()})
        if self.itself is not None:
            table = table[(table.layer != self.itself[0]) | (table["head"] != self.itself[1])]
        return table.sort_values("distance", ascending=not self.changed, kind="stable", ignore_index=True)


def shows_change(panels: PanelSet) -> bool:
    """Whether the pair shows one model's heads before and after a change, so that a head is compared with itself."""
    x, y = (panel.spec for panel in panels.paired)
    return x.model == y.model and (x.sentence, x.baseline) != (y.sentence, y.baseline)


def distances(panels: PanelSet) -> Floats:
    """The distance of every head, [layer, head]: from itself in the other panel, or from the first panel's head."""
    x, y = panels.pair
    if shows_change(panels):
        layers = range(panels.panels[x].viewed.n_layers)
        return np.stack([compare.change(panels.heads_on_axes(x, i), panels.heads_on_axes(y, i)) for i in layers])
    this = panels.cells[x][panels.rows][None]  # [1, row, place], against [head, row, place]
    layers = range(panels.panels[y].viewed.n_layers)
    return np.stack([compare.change(this, panels.heads_on_axes(y, layer)) for layer in layers])


def the_very_head(panels: PanelSet) -> tuple[int, int] | None:
    """The first panel's head, where the second panel's model has it too."""
    x, y = panels.paired
    same = x.spec.model == y.spec.model and x.spec.shows != "mean" and not shows_change(panels)
    return (x.layer, x.spec.head) if same else None


def every_head(panels: PanelSet, i: int) -> Floats:
    """All heads of a panel's model on the pair's rows, [head, row, place]."""
    return np.concatenate([panels.heads_on_axes(i, layer) for layer in range(panels.panels[i].viewed.n_layers)])


def nearest(matrix: Floats, rows: Sequence[str], columns: Sequence[str], same_model: bool) -> pd.DataFrame:
    """For every head of the first panel the nearest of the second; a head is not its own neighbour."""
    matrix = matrix.copy()
    if same_model:
        np.fill_diagonal(matrix, np.inf)
    best = matrix.argmin(axis=1)  # [row]
    smallest = matrix[np.arange(len(rows)), best].round(3)
    table = pd.DataFrame({"head": rows, "nearest": [columns[i] for i in best], "distance": smallest})
    return table.sort_values("distance", kind="stable")


# --- Tables -----------------------------------------------------------------------------------------------------------


def word_at(panels: PanelSet, place: int) -> str:
    """A place's word in the pair, with its place: "are/is (6)"."""
    a, b = (panels.labels(i)[0][place] for i in panels.pair)
    return f"{visible(both(a, b) or a or b or '')} ({place})"


def row_table(panels: PanelSet) -> pd.DataFrame:
    """The chosen query's row of every panel in %, and the difference of the pair."""
    x, y = (panel.letter for panel in panels.paired)
    by_place = zip(*(panels.labels(i)[1] for i in range(len(panels.panels))), strict=True)
    table = pd.DataFrame({"key": [f"{visible(_first(at))} ({place})" for place, at in enumerate(by_place)]})
    for i, panel in enumerate(panels.panels):
        table[panel.letter] = 100 * np.where(panels.may_look(i), panels.cells[i], np.nan)[panels.place]
    table[f"{x} − {y}"] = table[x] - table[y]
    return table


def as_csv(panels: PanelSet) -> str:
    """One line a cell of the shared axes; a panel that has no such cell, or masks it, has no weight there."""
    labels = [panels.labels(i) for i in range(len(panels.panels))]
    queries, keys = ([_first(at) for at in zip(*axis, strict=True)] for axis in zip(*labels, strict=True))
    places = list(np.ndindex(len(queries), len(keys)))
    columns: dict[str, Sequence[object]] = {
        "query": [q for q, _ in places],
        "query_token": [queries[q] for q, _ in places],
        "key": [k for _, k in places],
        "key_token": [keys[k] for _, k in places],
    }
    for i, panel in enumerate(panels.panels):
        columns[in_words(panel)] = list(np.where(panels.may_look(i), panels.cells[i], np.nan).ravel())
    return pd.DataFrame(columns).to_csv(index=False)


def in_words(panel: Panel) -> str:
    """ "A: MiniLM, head 0.3"."""
    return f"{panel.letter}: {panel.model}, {panel.spec.says}"


def _first(names: Sequence[str | None]) -> str:
    """What a place is called in the first panel that has it."""
    return next((name for name in names if name is not None), "")


# --- The headline -----------------------------------------------------------------------------------------------------


def headline(panels: PanelSet, found: HeadDistances | None) -> Markup:
    """What the comparison says."""
    x, y = panels.paired
    if found is None or panels.difference is None:
        return WORDS.html("lead.no_common_word")
    if panels.difference.overall == 0 and not found.changed:
        return WORDS.html("lead.same", first=x.letter, second=y.letter)
    if found.changed and x.spec.baseline != y.spec.baseline:
        return _against_baseline("shuffled" in (x.spec.baseline, y.spec.baseline), found.ranked)
    apart = f"{panels.difference.overall:.2f}"
    if found.changed:
        return _changed(panels, found.ranked.iloc[0], apart)
    place = int(panels.rows[panels.difference.most_changed])
    word = markup.query(panels.labels(panels.pair[0])[0][place] or "")
    names = [panel.spec.says for panel in (x, y)]
    if x.spec.model != y.spec.model:
        names = [WORDS.text("lead.of_model", model=panel.model, who=panel.spec.says) for panel in (x, y)]
    first = f"{names[0][0].upper()}{names[0][1:]}"
    return WORDS.html("lead.apart", first=first, second=names[1], apart=apart, word=word)


def _name(row: pd.Series) -> str:
    return f"{row.layer:.0f}.{row['head']:.0f}"


def _against_baseline(shuffled: bool, ranked: pd.DataFrame) -> Markup:
    """What is left of heads when words or weights are taken away."""
    most, least = ranked.iloc[0], ranked.iloc[-1]
    small, large = f"{least.distance:.2f}", f"{most.distance:.2f}"
    if shuffled:
        return WORDS.html("lead.shuffled", least=_name(least), small=small, most=_name(most), large=large)
    return WORDS.html("lead.random", least=_name(least), small=small, most=_name(most), large=large)


def _changed(panels: PanelSet, top: pd.Series, apart: str) -> Markup:
    """What changed in the sentence, which head changes most with it, and how far the pair is apart."""
    x, y = (panel.spec.says for panel in panels.paired)
    how, word, other = _words_that_differ(panels)
    most, distance = _name(top), f"{top.distance:.2f}"
    if x == y:
        return WORDS.html(
            "lead.one_head", how, word=word, other=other, most=most, distance=distance, who=x, apart=apart
        )
    return WORDS.html(
        "lead.two_heads", how, word=word, other=other, most=most, distance=distance, who=x, whom=y, apart=apart
    )


def _words_that_differ(panels: PanelSet) -> tuple[str, Markup, Markup]:
    """The first word that one sentence has and the other has not: how it changed, and both words."""
    first, second = (panels.labels(i)[0] for i in panels.pair)
    for a, b in zip(first, second, strict=True):
        if a != b:
            how = "added" if a is None else "removed" if b is None else "replaced"
            return how, markup.query(a or ""), markup.query(b or "")
    return "same", Markup(), Markup()
