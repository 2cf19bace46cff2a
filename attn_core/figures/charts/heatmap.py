"""One head, every number exact: a heatmap whose axes say who asks and who answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from attn_core.figures import colours, labels
from attn_core.figures.charts.heatmap_layout import Kind, axis, colours_of, frame, hatch, lay_out_axes, part
from attn_core.figures.charts.spec import ChartSpec, validated
from attn_core.figures.colours import Scale, Theme
from attn_core.text.numbers import percents, signed
from attn_core.text.pairs import Segments

QueriesIn = Literal["rows", "columns"]

CLICKABLE = 1_600  # cells up to which each carries an invisible marker: only markers can be clicked


def heatmap_spec(
    weights: np.ndarray,
    query_labels: Sequence[str],
    key_labels: Sequence[str] | None = None,
    *,
    head: str = "",
    title: str | None = None,
    kind: Kind = "weights",
    scale: Scale = "sqrt",
    zmax: float | None = None,
    masked: np.ndarray | None = None,
    queries_in: QueriesIn = "rows",
    selected_query: int | None = None,
    marked_keys: Sequence[int] = (),
    query_positions: Sequence[int | str] | None = None,
    key_positions: Sequence[int | str] | None = None,
    query_special: Sequence[bool] | None = None,
    key_special: Sequence[bool] | None = None,
    measure: str | None = None,
    clickable: bool = False,
    legend: bool = True,
    segments: Segments | None = None,
    theme: Theme = "light",
) -> ChartSpec:
    """A head's pattern, scores, ΔE or difference, [query, key], as a Plotly figure.

    weights: [query, key]. `kind="weights"` means numbers in [0, 1], shown in percent on [0, zmax or 1];
        `kind="signed"` any numbers, on [−zmax, zmax] (default: the largest size that occurs), 0 in the middle.
        Panels that are compared need the same `zmax`.
    query_labels, key_labels: what people read, one a token; the keys' default to the queries'. `*_positions` are said
        instead of 0, 1, … where tokens are left out or merged, `*_special` dims special tokens.
    head: "0.3", for the hover sentence. `measure` names signed numbers there ("score", "difference").
    scale: colours by the weight or by its square root. The numbers in the figure are the same.
    masked: bool [query, key], True where a query may not look; a number that is not finite counts as masked too.
        Hatched, never drawn as 0.
    queries_in: "rows", as papers have it, or "columns", as the lesson has it. The picture turns, no number changes.
    selected_query: gets a frame; `marked_keys` are the words its sentence names.
    segments: of a pair, its two segments: a line between them, across and down.
    clickable: let cells be chosen; read the answer with `clicked`. Only up to 1,600 cells.

    A cell's `z` is the number itself. Raises ValueError if the shapes do not fit.
    """
    keys = query_labels if key_labels is None else key_labels
    if weights.shape != (len(query_labels), len(keys)):
        raise ValueError(f"{weights.shape} numbers do not fit {len(query_labels)} queries and {len(keys)} keys")
    hidden = ~np.isfinite(weights) | (False if masked is None else np.asarray(masked, bool))
    numbers = np.where(hidden, np.nan, weights).astype(np.float32)
    picture = _Picture(
        numbers=numbers,
        words=_words(numbers, hidden, kind),
        queries=labels.places(query_labels, query_positions, "query"),
        keys=labels.places(keys, query_positions if key_labels is None else key_positions, "key"),
        turned=queries_in == "columns",
        sentence=_sentence(head, kind, measure),
    )
    roles = colours.roles(theme)
    cells = picture.cells() | colours_of(numbers, kind, scale, zmax, theme, legend, measure)
    chart = ChartSpec(theme, height=0)
    chart.add("heatmap", **cells)
    if clickable and numbers.size <= CLICKABLE:
        chart.add("scatter", **picture.markers())
    if hidden.any():
        chart.lay_out(images=[hatch(roles["masked"])])
    key_dim = query_special if key_labels is None else key_special
    chosen = () if selected_query is None else (selected_query,)
    asks = axis(query_labels, "query (asks)", roles["query"], roles, query_special, chosen)
    answers = axis(keys, "key (answers)", roles["key"], roles, key_dim, marked_keys)
    lay_out_axes(chart, *((asks, answers) if picture.turned else (answers, asks)), title, legend)
    if segments is not None:
        part(chart, segments, weights.shape, roles["ink"], turned=picture.turned)
    if selected_query is not None:
        frame(chart, selected_query, len(keys), roles["query"], turned=picture.turned)
    return chart


heatmap = validated(heatmap_spec)  # a real `go.Figure`, for notebooks and files


def clicked(selection: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """The (query, key) that was clicked, from what `st.plotly_chart(…, on_select=…)` gave; None if nothing was."""
    try:
        query, key = (selection or {})["selection"]["points"][0]["customdata"][:2]
        return int(query), int(key)
    except (LookupError, TypeError, ValueError, OverflowError):  # a browser may tell anything
        return None


@dataclass(frozen=True)
class _Picture:
    """The numbers and words of one heatmap, and which way it is turned."""

    numbers: np.ndarray  # [query, key], NaN where masked
    words: np.ndarray  # [query, key], str
    queries: list[str]  # unique and escaped, "creature (query 4)": Plotly's categories, so that hover can name them
    keys: list[str]
    turned: bool  # queries in columns
    sentence: str  # with {query}, {word} and {key}

    def cells(self) -> dict[str, Any]:
        """Plotly's heatmap, without its colours."""
        gap = 1 if max(self.numbers.shape) <= 64 else 0
        return {
            "z": self.numbers.T if self.turned else self.numbers,
            "x": self.queries if self.turned else self.keys,
            "y": self.keys if self.turned else self.queries,
            "text": self.words.T if self.turned else self.words,
            "hovertemplate": self._hover("%{text}"),
            "xgap": gap,
            "ygap": gap,
        }

    def markers(self) -> dict[str, Any]:
        """One invisible marker a cell: a heatmap's own cells cannot be clicked in Streamlit."""
        places = list(product(range(len(self.queries)), range(len(self.keys))))
        asks, answers = [self.queries[q] for q, _ in places], [self.keys[k] for _, k in places]
        unseen = {"marker": {"opacity": 0}}
        return {
            "x": asks if self.turned else answers,
            "y": answers if self.turned else asks,
            "mode": "markers",
            "marker": {"symbol": "square", "size": 6, "opacity": 0},
            "selected": unseen,
            "unselected": unseen,
            "customdata": [[q, k, self.words[q][k]] for q, k in places],
            "hovertemplate": self._hover("%{customdata[2]}"),
            "showlegend": False,
        }

    def _hover(self, word: str) -> str:
        query, key = ("%{x}", "%{y}") if self.turned else ("%{y}", "%{x}")
        sentence = self.sentence.format(query=f"<b>{query}</b>", key=f"<b>{key}</b>", word=word)
        return f"{sentence}<extra></extra>"


def _words(numbers: np.ndarray, hidden: np.ndarray, kind: Kind) -> np.ndarray:
    if kind == "weights":
        words = percents(numbers)
    else:
        words = np.array([[signed(float(n)) for n in row] for row in numbers], dtype=object)
    words[hidden] = "nothing (masked)" if kind == "weights" else "masked"
    return words


def _sentence(head: str, kind: Kind, measure: str | None) -> str:
    name = f"head {labels.escape(head)}" if head else "this head"
    if kind == "weights":
        return f"To update {{query}},<br>{name} takes {{word}} from {{key}}"
    return f"From {{query}} to {{key}}:<br>{labels.escape(measure or 'value')} {{word}}"
