"""Paint what you look for: cells on a pattern, and all heads ranked by what they put there above their baseline."""

from __future__ import annotations

import functools
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from attn_core.figures.canvas import heads as tiles
from attn_core.figures.canvas.panels import Panel, pack_panels
from attn_core.heads import search
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, signed
from attn_core.views import snippets as recipes
from ui.drawing import canvas, panels, widgets
from ui.link import Param, choice
from ui.stream import StreamView, open_head, writing

Cells = tuple[tuple[int, int], ...]
MOST = 40  # cells in a link


def _parse(raw: str, earlier: Any) -> Cells:
    """ "4-3_4-2" → ((4, 3), (4, 2)): query–key pairs."""
    pairs = [pair.split("-") for pair in raw.split("_") if pair]
    if len(pairs) > MOST or any(len(p) != 2 or not all(n.isascii() and n.isdigit() for n in p) for p in pairs):
        raise ValueError("it must be cells like 4-3_4-2, each a query and a key")
    return tuple(dict.fromkeys((int(q), int(k)) for q, k in pairs))


def _first_cells(earlier: Any) -> Cells:
    from ui.page import STARTER

    return ((4, 2), (4, 3)) if (earlier["model"], earlier.get("text")) == ("minilm", STARTER) else ()


BASELINES = {"distance": "above its baseline", "key": "and above what this word gets anyway"}
PARAMS = [
    choice("habit", tuple(BASELINES)),
    Param("cells", _first_cells, _parse, lambda cells: "_".join(f"{q}-{k}" for q, k in cells)),
]


def painted(viewed: StreamView) -> Cells:
    """The painted cells that this sentence has; cells of another sentence are wiped."""
    here = (
        viewed.page.model_name,
        viewed.page.text,
        viewed.stream,
        viewed.page.state.get("target"),
    )
    before = st.session_state.get("painted_in", here)
    st.session_state["painted_in"] = here
    if before != here:
        st.session_state["cells"] = _first_cells(viewed.page.state)
        st.rerun()
    cells = st.session_state["cells"]
    n_query, n_key = len(viewed.queries), len(viewed.keys)
    return tuple((q, k) for q, k in cells if q < n_query and k < n_key)


def found(viewed: StreamView, cells: Cells) -> search.Found:
    """Every head's weight on the cells and its baseline there, [layer, head] each."""
    mask = search.painted_cells(cells, len(viewed.queries), len(viewed.keys))
    strict = st.session_state["habit"] == "key"
    layers = [
        search.find(viewed.patterns(layer), mask, viewed.may_look(layer), viewed.sink, above_key_mean=strict)
        for layer in range(viewed.n_layers)
    ]
    return search.Found(np.stack([f.weight for f in layers]), np.stack([f.baseline for f in layers]))


def ranking(result: search.Found) -> pd.DataFrame:
    """All heads, the best first: layer, head, weight, baseline, above."""
    n_layers, n_heads = result.score.shape
    layer, head = np.divmod(np.arange(n_layers * n_heads), n_heads)
    table = pd.DataFrame(
        {
            "layer": layer,
            "head": head,
            "weight": result.weight.ravel(),
            "baseline": result.baseline.ravel(),
            "above": result.score.ravel(),
        }
    )
    return table.sort_values("above", ascending=False, kind="stable", ignore_index=True)


def lead(viewed: StreamView, cells: Cells, ranked: pd.DataFrame | None) -> str:
    """The finding as HTML."""
    if ranked is None:
        return "Paint what you look for: which head looks from here to there?"
    best = ranked.iloc[0]
    asks = sorted({q for q, _ in cells})
    answers = sorted({k for _, k in cells})
    way = f"From {_words(viewed.queries, asks, widgets.query)} to {_words(viewed.keys, answers, widgets.key)}:"
    if not best.above > 0:
        return f"{way} no head puts more there than its baseline."
    return (
        f"{way} head {best.layer:.0f}.{best['head']:.0f} stands out most, {escape(percent(best.weight))} where its "
        f"baseline is {escape(percent(best.baseline))}."
    )


def _words(tokens: Any, places: list[int], role: Any) -> str:
    shown = [role(visible(tokens.labels[i])) for i in places[:3]]
    return " and ".join(shown) + (f" and {len(places) - 3} more" if len(places) > 3 else "")


def toggle(cell: tuple[int, int]) -> None:
    """Callback: paint a cell, or wipe it."""
    cells = st.session_state["cells"]
    st.session_state["cells"] = tuple(c for c in cells if c != cell) if cell in cells else (*cells, cell)[-MOST:]


def board(viewed: StreamView, cells: Cells) -> None:
    """The opened head's pattern, to paint on."""
    layer, head = viewed.layer, viewed.head
    pattern = np.where(viewed.may_look(layer), viewed.pattern(layer, head), np.nan)
    panel = Panel(
        title=f"Layer {layer} · head {head}",
        says=f"head {layer}.{head}",
        cells=pattern,
        query_labels=viewed.queries.labels,
        key_labels=viewed.keys.labels,
        query_special=viewed.queries.special,
        key_special=viewed.keys.special,
    )
    panels.panels(
        pack_panels([panel], paint=True),
        key="board",
        picture="What is looked for",
        says=f"Pattern of head {layer}.{head}; framed: the cells that are looked for",
        painted=cells,
        on_choose=lambda chosen: toggle((chosen.query, chosen.key)),
    )


def lines(viewed: StreamView) -> str:
    """The lines of Python that give the same ranking; "" where nothing is painted."""
    cells, strict = painted(viewed), st.session_state["habit"] == "key"
    return recipes.search(viewed.trace, cells, viewed.stream, strict) if cells else ""


def word_pickers(viewed: StreamView, cells: Cells) -> None:
    """The same by words, for keyboards and fingers; labels are shown as text, whatever was typed."""

    def name(tokens: Any, i: int) -> str:
        return f"{visible(tokens.labels[i])} ({i})"

    def pick(label: str, tokens: Any, at: int) -> int:
        places = range(len(tokens))
        return st.selectbox(label, places, index=at, format_func=functools.partial(name, tokens), width=150)

    first = next((i for i, special in enumerate(viewed.keys.special) if not special), 0)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="bottom"):
        asks = pick("From (query)", viewed.queries, viewed.query)
        answers = pick("to (key)", viewed.keys, first)
        st.button("Paint", on_click=toggle, args=((asks, answers),), key="paint")
        if cells:
            st.button("Wipe all", on_click=lambda: st.session_state.update(cells=()), key="wipe")


def score_map(viewed: StreamView, result: search.Found) -> None:
    """Layers × heads, coloured by how far above baseline; a click opens a head."""
    texts = [[signed(round(100 * s, 0 if abs(s) >= 0.0995 else 1)) for s in row] for row in result.score]
    packet = tiles.pack_values(result.score, texts, name="weight above baseline, in points", signed=True)
    canvas.overview(
        packet,
        key="found",
        picture="Every head, above its baseline",
        says="Layers × heads: weight on the cells that are looked for, in points above the head's baseline",
        selected=(viewed.layer, viewed.head),
        on_open=lambda tile: open_head(tile.layer, tile.head),
    )


def listing(ranked: pd.DataFrame, key: str = "ranked") -> None:
    """The heads as rows; choosing one opens it."""

    def opened() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            open_head(int(ranked.layer[rows[0]]), int(ranked["head"][rows[0]]))

    shown = pd.DataFrame({"head": [f"{r.layer}.{r.head}" for r in ranked.itertuples()]})
    for column in ("weight", "baseline", "above"):
        shown[column] = 100 * ranked[column]
    points = {c: st.column_config.NumberColumn(format="%.1f %%") for c in ("weight", "baseline")}
    points["above"] = st.column_config.NumberColumn("above baseline", format="%+.1f points")
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height=282,
        column_config=points,
        on_select=opened,
        selection_mode="single-row",
        alt="All heads, ranked by their weight on the painted cells above their baseline.",
    )


def page(viewed: StreamView) -> str:
    """Everything below the headline; gives the headline."""
    cells = painted(viewed)
    result = found(viewed, cells) if cells else None
    ranked = None if result is None else ranking(result)
    left, right = st.columns([46, 54], gap="medium")
    with left, widgets.card("board", "What you look for", _how(viewed)):
        board(viewed, cells)
        word_pickers(viewed, cells)
    with right, widgets.card("found", "Every head, by what it puts there above its baseline", _baseline_hint(viewed)):
        if result is None or ranked is None:
            st.html(
                '<div class="hl-note">Nothing is painted yet: click a cell of the pattern, or choose two words.</div>'
            )
        else:
            widgets.switch("Against", BASELINES, "habit")
            score_map(viewed, result)
            listing(ranked)
    return lead(viewed, cells, ranked)


def _baseline_hint(viewed: StreamView) -> str:
    rests = f", or on {escape(viewed.sink_name)} from other words" if viewed.sink_name else ""
    if viewed.stream == "cross":
        return (
            "The baseline is what a head puts, on average, on the word that stands as far ahead or behind in the other "
            f"sentence{rests}. So a head that only follows the order of the words does not win by default."
        )
    return (
        f"The baseline is what a head puts, on average, at the same distance elsewhere in this sentence{rests}. So a "
        "head that always looks one word back does not win by default."
    )


def _how(viewed: StreamView) -> str:
    ask, answer = '<b class="hl-q">query</b>', '<b class="hl-k">key</b>'
    return f"Rows ask ({ask}), columns answer ({answer}). The picture is the opened head; paint on it." + writing(
        viewed
    )
