"""One head, every number exact: a heatmap whose axes say who asks and who answers."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal
from urllib.parse import quote

import numpy as np

from attn_core.figures import colours, labels
from attn_core.figures.charts.spec import ChartSpec, validated
from attn_core.figures.colour_bars import ColourBar, signed_bar, weight_bar
from attn_core.figures.colours import Scale, Theme
from attn_core.figures.labels import MONO
from attn_core.text.numbers import percents, signed

Kind = Literal["weights", "signed"]
QueriesIn = Literal["rows", "columns"]

LETTER = 7.3  # pixels of a letter of an axis' labels
ROW = 27  # pixels of a row, as long as the sentence is short
TALLEST = 560  # pixels of all rows together
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
    query_positions: Sequence[int] | None = None,
    key_positions: Sequence[int] | None = None,
    query_special: Sequence[bool] | None = None,
    key_special: Sequence[bool] | None = None,
    measure: str | None = None,
    clickable: bool = False,
    legend: bool = True,
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
    cells = picture.cells() | _colours(numbers, kind, scale, zmax, theme, legend, measure)
    chart = ChartSpec(theme, height=0)
    chart.add("heatmap", **cells)
    if clickable and numbers.size <= CLICKABLE:
        chart.add("scatter", **picture.markers())
    if hidden.any():
        chart.lay_out(images=[_hatch(roles["masked"])])
    key_dim = query_special if key_labels is None else key_special
    chosen = () if selected_query is None else (selected_query,)
    asks = _axis(query_labels, "query (asks)", roles["query"], roles, query_special, chosen)
    answers = _axis(keys, "key (answers)", roles["key"], roles, key_dim, marked_keys)
    _lay_out(chart, *((asks, answers) if picture.turned else (answers, asks)), title, legend)
    if selected_query is not None:
        _frame(chart, selected_query, len(keys), roles["query"], turned=picture.turned)
    return chart


heatmap = validated(heatmap_spec)  # a real `go.Figure`, for notebooks and files


def clicked(selection: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """The (query, key) that was clicked, from what `st.plotly_chart(…, on_select=…)` gave; None if nothing was."""
    points = (selection or {}).get("selection", {}).get("points", [])
    if not points:
        return None
    query, key = points[0]["customdata"][:2]
    return int(query), int(key)


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


def _colours(
    numbers: np.ndarray, kind: Kind, scale: Scale, zmax: float | None, theme: Theme, legend: bool, measure: str | None
) -> dict[str, Any]:
    if kind == "signed":
        top = zmax or float(np.nanmax(np.abs(numbers), initial=0)) or 1.0
        bar, colourscale = signed_bar(measure or "value", top), colours.diverging(theme)
    else:
        bar, colourscale = weight_bar(zmax or 1.0), colours.sequential(theme, scale)
    ends = {"zmin": bar.low, "zmax": bar.high, "colorscale": colourscale}
    return {**ends, "showscale": legend, "colorbar": _bar(bar, scale)}


def _bar(bar: ColourBar, scale: Scale) -> dict[str, Any]:
    """The legend of the colours, below the cells."""
    place = {"orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yanchor": "top", "ypad": 12, "xpad": 0}
    size = {"thickness": 8, "len": 0.8, "outlinewidth": 0, "tickangle": 0, "tickfont": {"size": 10.5}}
    words = {"tickvals": [at for at, _ in bar.ticks], "ticktext": [text for _, text in bar.ticks]}
    title = {"text": labels.phrase(bar.titles[scale]), "side": "bottom", "font": {"size": 11}}
    return {**place, **size, **words, "title": title}


def _hatch(colour: str) -> dict[str, Any]:
    """A hatched backdrop: it shows wherever there is no cell, and masked is the only place where there is none."""
    lines = f'<path d="M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4" stroke="{colour}" stroke-width="1.1"/>'
    pattern = f'<pattern id="h" width="8" height="8" patternUnits="userSpaceOnUse">{lines}</pattern>'
    size = 'xmlns="http://www.w3.org/2000/svg" width="420" height="420"'
    svg = f'<svg {size}><defs>{pattern}</defs><rect width="420" height="420" fill="url(#h)"/></svg>'
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "sizex": 1, "sizey": 1}
    return {"source": f"data:image/svg+xml,{quote(svg)}", **place, "sizing": "fill", "layer": "below"}


def _axis(
    tokens: Sequence[str],
    name: str,
    colour: str,
    roles: Mapping[str, str],
    special: Sequence[bool] | None,
    chosen: Sequence[int],
) -> dict[str, Any]:
    """One side: at most 24 labels, special tokens dimmed, chosen ones in their role's colour, an explicit range."""
    at, words = labels.ticks(tokens)
    shades = [colour if i in chosen else roles["soft"] if special is not None and special[i] else None for i in at]
    shown = [
        word if shade is None else f'<span style="color:{shade}">{word}</span>'
        for word, shade in zip(words, shades, strict=True)
    ]
    return {
        "type": "category",
        "range": [-0.5, len(tokens) - 0.5],
        # Plotly's hover would take a tick's short text for the cell's full name if the two met exactly.
        "tickvals": [i + len(tokens) / 5_000 for i in at],
        "ticktext": shown,
        "title": {"text": name, "font": {"size": 12, "color": colour}},
        "tickfont": {"family": MONO, "size": 12 if len(at) <= 16 else 10.5, "color": roles["ink"]},
        "ticks": "",
        "ticklabelstandoff": 4,
        "showgrid": False,
        "zeroline": False,
        "automargin": False,
    }


def _lay_out(chart: ChartSpec, across: dict[str, Any], down: dict[str, Any], title: str | None, legend: bool) -> None:
    last = down["range"][1]
    cells = min(TALLEST, max(2, round(last + 0.5)) * ROW)
    wide, long = (LETTER * max(map(_length, axis["ticktext"]), default=0) for axis in (down, across))
    # Labels across lean by 56°: they are 0.83 of their length high and 0.56 of it wide.
    margin = {
        "l": 38 + wide,
        "r": 20 + 0.4 * long,
        "t": 40 + 0.83 * long + (30 if title else 0),
        "b": 62 if legend else 8,
    }
    chart.lay_out(
        xaxis=across | {"side": "top", "tickangle": -56, "title": across["title"] | {"standoff": 8 + 0.83 * long}},
        yaxis=down | {"range": [last, -0.5], "title": down["title"] | {"standoff": 14 + wide}},
        height=cells + margin["t"] + margin["b"],
        margin=margin,
        hoverdistance=80,  # so that the nearest marker is found from a cell's corner
        hovermode="closest",
        dragmode=False,
        showlegend=False,
    )
    if title is not None:
        chart.lay_out(title={"text": labels.escape(title), "font": {"size": 14}, "x": 0, "y": 0.99})


def _length(word: str) -> int:
    return len(html.unescape(re.sub(r"<[^>]*>", "", word)))


def _frame(chart: ChartSpec, query: int, n_keys: int, colour: str, *, turned: bool) -> None:
    """A frame around one query: its weights sum to 1."""
    along, across = (-0.5, n_keys - 0.5), (query - 0.5, query + 0.5)
    x, y = (across, along) if turned else (along, across)
    line = {"color": colour, "width": 2}
    chart.add_shape(type="rect", x0=x[0], x1=x[1], y0=y[0], y1=y[1], line=line, fillcolor="rgba(0,0,0,0)")
