"""The numbers of a comparison: what differs between two panels, and what each panel is like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.heads import measures
from attn_core.heads.measures import Measure
from attn_core.heads.summary import summarise_head
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from ui.compare_heads.charts import both
from ui.compare_heads.panels import Side, Sides
from ui.drawing import widgets
from ui.shell import save


def numbers(shown: Sides) -> None:
    """What differs between the pair: overall, and by query."""
    found = shown.difference
    if found is None:
        widgets.note("These two sentences share no word, so there is nothing to lay side by side.")
        return
    first, second = (shown.sides[i].letter for i in shown.pair)
    r = "–" if found.correlation != found.correlation else f"{found.correlation:.2f}".replace("-", "−")
    widgets.strip(
        [
            (f"{found.overall:.2f}", f"distance of {first} and {second}: 0 equal, 1 apart"),
            (r, "correlation of their weights"),
            (_at(shown, int(shown.rows[found.most_changed])), "differs most as query"),
        ]
    )
    table = pd.DataFrame({"query": [_at(shown, int(place)) for place in shown.rows], "distance": found.rows})
    bar = st.column_config.ProgressColumn("Jensen–Shannon distance", format="%.3f", min_value=0, max_value=1)
    st.dataframe(
        table,
        hide_index=True,
        height=min(300, 38 + 35 * len(table)),
        column_config={"distance": bar},
        alt="How far the two rows of every query are apart.",
    )


def _at(shown: Sides, place: int) -> str:
    """A place's word in the pair, with its place: "are/is (6)"."""
    a, b = (shown.labels(i)[0][place] for i in shown.pair)
    return f"{visible(both(a, b) or a or b or '')} ({place})"


# Of the whole pattern: a panel may show a mean of heads, or a model's sentence without a sink.
PANEL_MEASURES = (
    Measure(
        "entropy",
        "entropy",
        "how widely it looks, the sink included: 0 bits is one token, 3 bits as wide as eight even ones",
        "bits",
        "Clark et al. 2019, section 3.3",
        lambda read: measures.entropy(read.pattern),
    ),
    measures.MEASURES["sink"],
)


def panel_measures(shown: Sides) -> None:
    """Each panel in numbers: how widely it looks and how much rests on the sink, over the whole sentence."""
    rows = [(side.letter, *_measured(side), side.viewed.sink_name or "none") for side in shown.sides]
    st.dataframe(
        pd.DataFrame(rows, columns=["panel", *(measure.title for measure in PANEL_MEASURES), "sink"]),
        hide_index=True,
        column_config={measure.title: widgets.measure_column(measure) for measure in PANEL_MEASURES},
        alt="Entropy and sink share of every panel.",
    )


def _measured(side: Side) -> list[float]:
    """The number of every measure as a table shows it: the mean over the queries that are words."""
    asks = ~np.array(side.viewed.queries.special)  # [query]
    if not asks.any():
        return [float("nan")] * len(PANEL_MEASURES)
    special = np.array(side.viewed.keys.special, dtype=bool)
    reading = measures.Reading(side.pattern[None, asks], side.viewed.sink, special, None)
    values = [measure.of(reading) for measure in PANEL_MEASURES if measure.of is not None]
    return [
        measure.factor * float("nan" if value is None else value.mean())
        for measure, value in zip(PANEL_MEASURES, values, strict=True)
    ]


def strips(shown: Sides) -> None:
    """Does this head matter to the chosen word? For every panel that shows one head of a model."""
    columns = st.columns(len(shown.sides), gap="medium")
    for i, (column, side) in enumerate(zip(columns, shown.sides, strict=True)):
        query = shown.position(i, shown.place)
        with column:
            if query is None:
                widgets.heading(f"{side.letter}: no such word here")
            else:
                word = widgets.query(visible(side.viewed.queries.labels[query]))
                widgets.heading(f"{side.letter}: {side.spec.says}, to {word}")
                _strip(side, query)


def _strip(side: Side, query: int) -> None:
    """The strip of a panel; a mean, or a head over shuffled words, cannot be switched off."""
    viewed = side.viewed
    if side.spec.shows in ("head", "random"):
        found = summarise_head(viewed.trace, viewed.run, side.layer, side.spec.head, query, stream=viewed.stream)
        widgets.strip(found.parts(), found.effect.says)
        return
    row = side.pattern[query]
    rests = [(percent(float(row[viewed.sink].sum())), f"on {viewed.sink_name}")] if viewed.sink_name else []
    widgets.strip([*rests, (f"{float(measures.entropy(row)):.1f} bits", "entropy")])


def offer(shown: Sides) -> None:
    """Let the visitor save each panel that is a head, or a mean, of one pass; and the numbers of all panels."""
    page, views = shown.page, {}
    for i, side in enumerate(shown.sides):
        mean = side.spec.shows == "mean" and side.viewed.stream is None
        if mean or side.spec.shows == "head":
            views[side.letter] = page.save_menu.view(
                side.viewed.trace,
                layer=side.layer,
                head=side.spec.head,
                stream=side.viewed.stream,
                mean="heads" if mean else "one",
                scale=page.state["scale"],
                query=shown.position(i, shown.place),
            )
    page.save_menu.add_views(views, save.Numbers("every panel, side by side", lambda: as_csv(shown)))


def offer_pictures(shown: Sides) -> None:
    """The page's end: its pictures, each panel told in the caption."""
    parts = [f"{side.letter}: {side.model}, {side.spec.says}" for side in shown.sides]
    texts = dict.fromkeys(shown.page.text if i == 0 else side.spec.text for i, side in enumerate(shown.sides))
    shown.page.offer_pictures(*parts, sentences=list(texts))


def as_csv(shown: Sides) -> str:
    """One line a cell of the shared axes; a panel that has no such cell, or masks it, has no weight there."""
    names = [shown.labels(i) for i in range(len(shown.sides))]
    asks, answers = ([_first(at) for at in zip(*side, strict=True)] for side in zip(*names, strict=True))
    rows: dict[str, list[object]] = {"query": [], "query_token": [], "key": [], "key_token": []}
    for q, k in np.ndindex(len(asks), len(answers)):
        for column, value in zip(rows, (q, asks[q], k, answers[k]), strict=True):
            rows[column].append(value)
    for i, side in enumerate(shown.sides):
        title = f"{side.letter}: {side.model}, {side.spec.says}"
        rows[title] = list(np.where(shown.may_look(i), shown.cells[i], np.nan).ravel())
    return pd.DataFrame(rows).to_csv(index=False)


def _first(names: Sequence[str | None]) -> str:
    """What a place is called in the first panel that has it."""
    return next((name for name in names if name is not None), "")


def row_table(shown: Sides) -> None:
    """The chosen query's row of every panel as numbers."""
    x, y = (shown.sides[i].letter for i in shown.pair)
    by_place = zip(*(shown.labels(i)[1] for i in range(len(shown.sides))), strict=True)
    names = [_first(at) for at in by_place]
    table = pd.DataFrame({"key": [f"{visible(name)} ({place})" for place, name in enumerate(names)]})
    for i, side in enumerate(shown.sides):
        table[side.letter] = 100 * np.where(shown.may_look(i), shown.cells[i], np.nan)[shown.place]
    table[f"{x} − {y}"] = table[x] - table[y]
    form = {column: st.column_config.NumberColumn(format="%.2f %%") for column in table.columns[1:]}
    height = min(320, 38 + 35 * len(table))
    st.dataframe(table, hide_index=True, height=height, column_config=form, alt="One row of every panel.")
