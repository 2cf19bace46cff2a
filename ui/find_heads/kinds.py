"""What kind of head is each: the map of kinds, any two measures as a scatter, the numbers, and the definitions."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from attn_core.figures.canvas import heads as tiles
from attn_core.figures.charts.scatter import scatter
from attn_core.heads import kinds, rules, samples
from attn_core.heads.kinds import COLUMNS
from attn_core.text.numbers import percent
from attn_core.views import snippets as recipes
from ui.drawing import canvas, gallery, widgets
from ui.link import choice
from ui.page import go
from ui.server import passes, shared
from ui.stream import StreamView, open_head

PARAMS = [choice("x", tuple(COLUMNS), "distance"), choice("y", tuple(COLUMNS), "entropy")]
SLOW = 2.0  # seconds; what takes longer is announced


def table(viewed: StreamView) -> pd.DataFrame:
    """All heads of this model's stream, classified: shown on its way, then kept for whoever opens the model."""
    return shared.memoize(
        viewed.model, ("classify_heads", viewed.stream), lambda: _classify(viewed), size=lambda t: 200_000
    )


def _classify(viewed: StreamView) -> pd.DataFrame:
    place = st.empty()
    begun = time.monotonic()
    n_passes = kinds.passes(viewed.model)

    def progress(share: float) -> None:
        left = (time.monotonic() - begun) * (1 - share) / share
        wait = f", about {left:.0f} s more" if left > SLOW else ""
        place.progress(share, text=f"Reading {n_passes} texts with this model{wait}")

    def run(model: Any, text: Any, **options: Any) -> Any:
        return passes.run_uncached(model, text, **options)

    with viewed.page.problems():
        found = kinds.classify_heads(viewed.model, stream=viewed.stream, run=run, progress=progress)
    place.empty()
    return found


def page(viewed: StreamView) -> str:
    """Everything below the headline; gives the headline."""
    with st.container(gap=None):
        canvas.follow_theme()
        found = table(viewed)
    left, right = st.columns([54, 46], gap="medium")
    with left, widgets.card("kinds", "The kind of every head", _cost(found)):
        kind_map(viewed, found)
        go(
            "all_heads",
            f"→ See head {viewed.layer}.{viewed.head} in this sentence",
            layer=viewed.layer,
            head=viewed.head,
        )
        definitions()
    with (
        right,
        widgets.card(
            "scatter",
            "All heads by two measures",
            "One point is one head; deeper colour, deeper layer. Draw a box to select.",
        ),
    ):
        chosen = compare_measures(found)
    with widgets.card("numbers", "The numbers", _selection(found, chosen)):
        numbers(found.iloc[chosen] if chosen else found)
    return lead(found)


def lead(found: pd.DataFrame) -> str:
    """How many heads follow a simple rule, and which rule most; as HTML."""
    named = found.kind[found.kind != rules.NO_PATTERN]
    if named.empty:
        return f"None of these {len(found)} heads follows one of the simple rules."
    common = named.value_counts()
    kind = rules.KINDS[common.index[0]]
    where = found[found.kind == kind.name].sort_values(f"{kind.name} lift", ascending=False)
    best = where.iloc[0]
    many = (
        f"{common.iloc[0]} of them {kind.meaning.replace('looks', 'look')}"
        if common.iloc[0] > 1
        else f"one {kind.meaning}"
    )
    return (
        f"{len(named)} of {len(found)} heads follow a simple rule; {many}, "
        f"head {best.layer:.0f}.{best['head']:.0f} the most."
    )


def lines(viewed: StreamView) -> str:
    """The lines of Python that give the same table."""
    return recipes.classify_heads(viewed.page.model_name, viewed.stream)


def _cost(found: pd.DataFrame) -> str:
    about = found.attrs
    seeds = ", ".join(map(str, about["seeds"]))
    return (
        f"Counted on {about['sentences']} sentences and {about['samples']} lists of {about['length']} random words, "
        f"each said {samples.REPEATS} times (seeds {seeds}), with the sink left out."
    )


def kind_map(viewed: StreamView, found: pd.DataFrame) -> None:
    """Layers × heads by kind; a click opens a head in the front room's sense: it is the chosen one everywhere."""
    titles = found.kind.map(rules.kind_title)
    shape = (viewed.n_layers, -1)
    meanings = {kind.title: kind.meaning for kind in rules.KINDS.values()}
    packet = tiles.pack_kinds(
        titles.to_numpy().reshape(shape).tolist(),
        meanings,
        notes=found.apply(_note, axis=1).to_numpy().reshape(shape).tolist(),
    )
    canvas.overview(
        packet,
        key="kinds",
        picture="The kind of every head",
        says=f"The kind of every head. {_cost(found).rstrip('.')}",
        selected=(viewed.layer, viewed.head),
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )


def _note(row: pd.Series) -> str:
    """The rule that a head follows best, whether or not it is enough for a name."""
    lifts = {name: row[f"{name} lift"] for name in rules.KINDS if row[f"{name} lift"] == row[f"{name} lift"]}
    best = max(lifts, key=lambda name: lifts[name], default=None)
    rests = f"{percent(row.sink)} on the sink"
    if best is None:
        return rests
    return f"{rules.KINDS[best].title}: {percent(row[best])}, by chance {percent(row[f'{best} chance'])}; {rests}"


def compare_measures(found: pd.DataFrame) -> list[int]:
    """The scatter and its two axes; gives the rows that a box selects."""
    there = [name for name in COLUMNS if found[name].notna().any()]
    for axis, instead in (("x", "sink"), ("y", "entropy")):  # a decoder has no next token, two sentences no distance
        if st.session_state[axis] not in there:
            st.session_state[axis] = instead
    with st.container(horizontal=True, gap="small"):
        for axis, label in (("x", "Across"), ("y", "Up")):
            st.selectbox(label, there, format_func=lambda name: COLUMNS[name].axis, key=axis, width=220)
    across, up = COLUMNS[st.session_state["x"]], COLUMNS[st.session_state["y"]]
    names = [f"{row.layer}.{row.head}" for row in found.itertuples()]
    titles = ["" if kind == rules.NO_PATTERN else rules.KINDS[kind].title for kind in found.kind]
    figure = partial(
        scatter,
        found[across.name].to_numpy(),
        found[up.name].to_numpy(),
        found.layer.tolist(),
        names,
        axes=(across.axis, up.axis),
        notes=titles,
    )
    event = gallery.plot(
        "All heads by two measures",
        figure,
        key="scatter",
        says=f"All heads, {across.axis} across, {up.axis} up; deeper colour, deeper layer",
        on_select="rerun",
        selection_mode=("box", "lasso", "points"),
        alt=f"All heads: {across.axis} across, {up.axis} up. The numbers are in the table below.",
    )
    return sorted({point["point_index"] for point in event["selection"]["points"]})


def _selection(found: pd.DataFrame, chosen: list[int]) -> str:
    return (
        f"{len(chosen)} of {len(found)} heads, selected in the picture."
        if chosen
        else "All heads; a column's title sorts."
    )


def numbers(found: pd.DataFrame) -> None:
    """Every measure of every head as a table."""
    shown = pd.DataFrame({"head": [f"{row.layer}.{row.head}" for row in found.itertuples()]})
    shown["kind"] = found.kind.map(rules.kind_title).to_numpy()
    for measure in COLUMNS.values():
        shown[measure.title] = measure.factor * found[measure.name].to_numpy()
    st.dataframe(
        shown.dropna(axis=1, how="all"),
        hide_index=True,
        height=min(420, 38 + 35 * len(shown)),
        column_config={measure.title: widgets.measure_column(measure) for measure in COLUMNS.values()},
        alt="Every head with its kind and its measures.",
    )


def definitions() -> None:
    """What each name means, from when on it is given, and who described it."""
    with st.expander("How a kind is told, and where it comes from"):
        st.html(
            '<div class="hl-hint">A head gets a name when the share of its weight that follows the rule, outside the '
            "sink, lies far enough above chance: 0 is even attention over the same words, 1 is nothing but the rule. "
            "Of heads with random weights at most one in twenty gets a name.</div>"
        )
        rows = [(kind.title, kind.meaning, kind.threshold, kind.source) for kind in rules.KINDS.values()]
        st.dataframe(
            pd.DataFrame(rows, columns=["kind", "what it does", "named from", "source"]),
            hide_index=True,
            column_config={"named from": st.column_config.NumberColumn(format="%.1f above chance")},
        )
