"""The pair's comparison for all heads at once: which changed most, or which are like this one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.figures.canvas import heads as tiles
from attn_core.figures.charts.distances import distances
from attn_core.heads import compare
from ui.compare_heads import specs as panel_specs
from ui.compare_heads.panels import Side, Sides
from ui.drawing import canvas, gallery, widgets
from ui.server import shared

SLOW = 2.0  # seconds; what takes longer is asked for first


@dataclass(frozen=True)
class AllHeads:
    """One number a head, [layer, head], 0 to 1, with what it says and which panels a click sets.

    `changed`: how much every head differs between the two panels. Otherwise how far every head of the second panel's
    model is from the first panel's head.
    """

    values: Any
    changed: bool
    itself: tuple[int, int] | None = None  # this very head, which is not its own neighbour

    @property
    def ranked(self) -> pd.DataFrame:
        """All heads, the most changed or the nearest first."""
        n_layers, n_heads = self.values.shape
        layer, head = np.divmod(np.arange(n_layers * n_heads), n_heads)
        table = pd.DataFrame({"layer": layer, "head": head, "distance": self.values.ravel()})
        if self.itself is not None:
            table = table[(table.layer != self.itself[0]) | (table["head"] != self.itself[1])]
        return table.sort_values("distance", ascending=not self.changed, kind="stable", ignore_index=True)


def of(shown: Sides) -> AllHeads | None:
    """Compare the pair in all heads; None where the sentences share no word."""
    x, y = (shown.sides[i] for i in shown.pair)
    if not len(shown.rows):
        return None
    same_place = x.spec.model == y.spec.model and (x.spec.text, x.spec.baseline) != (y.spec.text, y.spec.baseline)
    key = ("all heads", x.spec, y.spec, x.viewed.reads, y.viewed.reads)
    values = shared.memoize(
        x.viewed.trace,
        key,
        lambda: _changes(shown) if same_place else _from_this_head(shown),
        size=lambda v: v.nbytes,
    )
    one_model = x.spec.model == y.spec.model and x.spec.shows != "mean"
    return AllHeads(values, same_place, itself=(x.layer, x.spec.head) if one_model and not same_place else None)


def _moved(shown: Sides, i: int, layer: int) -> Any:
    """All heads of a panel's layer on the rows that the pair shares, [head, row, place]."""
    return shown.on_axes(i, shown.sides[i].patterns(layer))[:, shown.rows]


def _changes(shown: Sides) -> Any:
    x, y = shown.pair
    layers = range(shown.sides[x].viewed.n_layers)
    return np.stack([compare.change(_moved(shown, x, layer), _moved(shown, y, layer)) for layer in layers])


def _from_this_head(shown: Sides) -> Any:
    x, y = shown.pair
    this = shown.cells[x][shown.rows]
    layers = range(shown.sides[y].viewed.n_layers)
    return np.stack([compare.change(this[None], _moved(shown, y, layer)) for layer in layers])


def card(shown: Sides, found: AllHeads) -> None:
    """The map and the list; a click sets the panels."""
    x, y = (shown.sides[i] for i in shown.pair)
    if found.changed:
        title = f"How much every head changed between {x.letter} and {y.letter}"
        hint = "Mean Jensen–Shannon distance over the words that both have. Click a head to see it in both panels."
    else:
        title = f"Heads like {x.letter}'s {x.spec.says}"
        hint = f"Distance of every head of {y.letter}'s model from it. Click a head to put it into panel {y.letter}."
    widgets.heading(title, hint)
    values = found.values if found.changed else 1 - found.values  # deep is what one looks for
    name = "distance: 0 equal, 1 nothing in common" if found.changed else "nearness: 1 equal, 0 nothing in common"
    canvas.overview(
        tiles.pack_values(values, [[f"{v:.2f}" for v in row] for row in values], name=name),
        key="all_heads",
        picture="All heads",
        says=f"{title}: {name}",
        selected=(y.layer, y.spec.head),
        on_open=lambda tile: _set(shown, found, tile.layer, tile.head),
    )


def _set(shown: Sides, found: AllHeads, layer: int, head: int) -> None:
    """Callback: the panels of the pair, or only the second, look at another head."""
    which = shown.pair if found.changed else shown.pair[1:]
    pair, query = st.session_state["pair"], st.session_state["query"]
    panel_specs.edit(lambda panels: panel_specs.with_head(panels, which, layer, head))
    st.session_state.update(pair=pair, query=query)


def listing(shown: Sides, found: AllHeads) -> None:
    """The ranking as rows; choosing one does what its square does."""
    ranked = found.ranked

    def opened() -> None:
        rows = st.session_state["ranked_heads"]["selection"]["rows"]
        if rows:
            _set(shown, found, int(ranked.layer[rows[0]]), int(ranked["head"][rows[0]]))

    column = "distance" if found.changed else "nearness"
    table = pd.DataFrame({"head": [f"{r.layer}.{r.head}" for r in ranked.itertuples()]})
    table[column] = ranked.distance if found.changed else 1 - ranked.distance
    st.dataframe(
        table,
        key="ranked_heads",
        hide_index=True,
        height=320,
        on_select=opened,
        selection_mode="single-row",
        column_config={column: st.column_config.ProgressColumn(column, format="%.3f", min_value=0, max_value=1)},
        alt="All heads, the most changed or the nearest first.",
    )


def everything_against_everything(shown: Sides) -> None:
    """All heads of one model against all of the other: at once where it is quick, else on request."""
    x, y = (shown.sides[i] for i in shown.pair)
    n_query, n_key = len(shown.rows), len(shown.axes[0][1])
    n_x, n_y = (side.viewed.n_layers * side.viewed.n_heads for side in (x, y))
    seconds = compare.seconds_needed(n_x, n_y, n_query, n_key)
    key = (x.spec, y.spec, x.viewed.reads, y.viewed.reads)
    known = st.session_state.setdefault("matrices", {})
    with st.expander(f"Every head of {x.letter} against every head of {y.letter}", expanded=key in known):
        cost = f"{n_x} × {n_y} pairs, about {'a second' if seconds < SLOW else f'{seconds:.0f} seconds'}."
        st.html(f'<div class="hl-hint">{cost} Deep squares are pairs that look at the same words.</div>')
        if key not in known and not st.button("Compare all pairs", key="all_pairs"):
            return
        if key not in known:
            known.clear()  # one at a time: a matrix can be large
            known[key] = _matrix(shown)
        _draw_matrix(shown, known[key], x, y)


def _matrix(shown: Sides) -> Any:
    x, y = shown.pair
    bar = st.progress(0.0, text="Comparing")

    def progress(share: float) -> None:
        bar.progress(share, text="Comparing")

    found = compare.distance_matrix(_every_head(shown, x), _every_head(shown, y), progress=progress)
    bar.empty()
    return found


def _every_head(shown: Sides, i: int) -> Any:
    """All heads of a panel's model on the pair's rows, [head, row, place]."""
    return np.concatenate([_moved(shown, i, layer) for layer in range(shown.sides[i].viewed.n_layers)])


def _draw_matrix(shown: Sides, matrix: Any, x: Side, y: Side) -> None:
    rows, columns = (_names(side) for side in (x, y))
    axes = (f"{x.letter} ({escape(x.model)})", f"{y.letter} ({escape(y.model)})")
    canvas.follow_theme()
    figure = partial(distances, matrix, rows, columns, axes=axes)
    alt = "Distances of all heads of one panel from all of the other."
    says = f"Jensen–Shannon distance of every head of {x.letter} from every head of {y.letter}"
    gallery.plot("Every head against every head", figure, key="matrix", alt=alt, says=says)
    nearest = _nearest(matrix, rows, columns, itself=x.spec.model == y.spec.model)
    st.dataframe(nearest, hide_index=True, height=282, alt="For every head the nearest one of the other panel.")


def _names(side: Side) -> list[str]:
    return [f"{layer}.{head}" for layer in range(side.viewed.n_layers) for head in range(side.viewed.n_heads)]


def _nearest(matrix: Any, rows: list[str], columns: list[str], itself: bool) -> pd.DataFrame:
    """For every head of the first panel the nearest of the second; a head is not its own neighbour."""
    matrix = matrix.copy()
    if itself:
        np.fill_diagonal(matrix, np.inf)
    best = matrix.argmin(axis=1)
    table = pd.DataFrame(
        {"head": rows, "nearest": [columns[i] for i in best], "distance": matrix[np.arange(len(rows)), best].round(3)}
    )
    return table.sort_values("distance", kind="stable")


def lead(shown: Sides, found: AllHeads | None) -> str:
    """What the comparison says, as HTML."""
    x, y = (shown.sides[i] for i in shown.pair)
    if found is None or shown.difference is None:
        return "These two sentences have no word in common: compare two that differ in a word or two."
    if shown.difference.overall == 0 and not found.changed:
        return f"{x.letter} and {y.letter} are the same: give one of them another head, sentence or model."
    apart, top, last = shown.difference.overall, found.ranked.iloc[0], found.ranked.iloc[-1]
    if found.changed and x.spec.baseline != y.spec.baseline:
        return _against_baseline(x, y, top, last)
    if found.changed:
        these = f"{x.spec.says} and {y.spec.says} are {apart:.2f} apart"
        if x.spec.says == y.spec.says:
            these = f"{x.spec.says} changes by {apart:.2f}"
        return f"{_words_that_differ(shown)} head {_name(top)} changes most (distance {top.distance:.2f}); {these}."
    where = shown.labels(shown.pair[0])[0][int(shown.rows[shown.difference.most_changed])] or ""
    names = [side.spec.says for side in (x, y)]
    if x.spec.model != y.spec.model:
        names = [f"{escape(side.model)}'s {side.spec.says}" for side in (x, y)]
    both = f"{names[0][0].upper()}{names[0][1:]} and {names[1]}"
    return f"{both} are {apart:.2f} apart, most when {widgets.query(where)} asks."


def _name(row: Any) -> str:
    return f"{row.layer:.0f}.{row['head']:.0f}"


def _against_baseline(x: Side, y: Side, most: Any, least: Any) -> str:
    """What is left of heads when words or weights are taken away."""
    baselines = {x.spec.baseline, y.spec.baseline}
    if "shuffled" in baselines:
        return (
            f"When the words are shuffled, head {_name(least)} stays most like itself (distance {least.distance:.2f}), "
            f"so it looks at positions; head {_name(most)} changes most ({most.distance:.2f})."
        )
    return (
        f"Random weights draw head {_name(least)} best (distance {least.distance:.2f}); head {_name(most)} is "
        f"furthest from chance ({most.distance:.2f})."
    )


def _words_that_differ(shown: Sides) -> str:
    """ "When are becomes is,": the first word that one sentence has and the other has not."""
    x, y = shown.pair
    for a, b in zip(shown.labels(x)[0], shown.labels(y)[0], strict=True):
        if a != b and a is not None and b is not None:
            return f"When {widgets.query(a)} becomes {widgets.query(b)},"
        if a != b:
            return f"With {widgets.query(b or '')} added," if a is None else f"Without {widgets.query(a)},"
    return "Between these sentences"
