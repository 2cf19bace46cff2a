"""Search by painted cells: what every head puts there above its baseline, as numbers and as a sentence. No Streamlit.

found = score(stream, ((4, 2), (4, 3)), sink, strict=True)
headline(stream, cells, ranking(found))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from attn_core.figures.canvas.heads import pack_values
from attn_core.figures.canvas.panels import pack_panels
from attn_core.heads import search
from attn_core.heads.measures import Bools
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, signed
from attn_core.text.tokens import Tokens
from ui import words
from ui.drawing import markup
from ui.drawing.head_panel import head_panel
from ui.param import pairs

if TYPE_CHECKING:
    from attn_core.traces.stream import StreamTrace

WORDS = words.beside(__file__)
Cell = tuple[int, int]  # (query, key)
Cells = tuple[Cell, ...]
MOST = 40  # cells in a link


def parse_cells(raw: str) -> Cells:
    """ "4-3_4-2" → ((4, 3), (4, 2)). ValueError says what is wrong."""
    return pairs(raw, "-", MOST, WORDS.text("search.bad_cells"))


def in_sentence(cells: Cells, n_query: int, n_key: int) -> Cells:
    """The cells that a sentence of this length has."""
    return tuple((query, key) for query, key in cells if query < n_query and key < n_key)


def toggled(cells: Cells, cell: Cell) -> Cells:
    """Paint a cell, or wipe it; of too many the oldest go."""
    return tuple(other for other in cells if other != cell) if cell in cells else (*cells, cell)[-MOST:]


def score(stream: StreamTrace, cells: Cells, sink: Bools, *, strict: bool) -> search.Found:
    """Every head's weight on the cells and its baseline there, [layer, head] each.

    `strict`: the baseline is at least what the key gets from other words.
    """
    mask = search.painted_cells(cells, len(stream.tokens), len(stream.key_tokens))
    layers = [
        search.find(stream.patterns(layer), mask, stream.may_look(layer), sink, above_key_mean=strict)
        for layer in range(stream.n_layers)
    ]
    return search.Found(np.stack([f.weight for f in layers]), np.stack([f.baseline for f in layers]))


def ranking(found: search.Found) -> pd.DataFrame:
    """All heads, the best first: layer, head, weight, baseline, above."""
    n_layers, n_heads = found.score.shape
    layer, head = np.divmod(np.arange(n_layers * n_heads), n_heads)
    columns = {"layer": layer, "head": head, "weight": found.weight.ravel()}
    table = pd.DataFrame({**columns, "baseline": found.baseline.ravel(), "above": found.score.ravel()})
    return table.sort_values("above", ascending=False, kind="stable", ignore_index=True)


def headline(stream: StreamTrace, cells: Cells, ranked: pd.DataFrame | None) -> Markup:
    """The finding, as HTML."""
    if ranked is None:
        return WORDS.html("search.lead.nothing_painted")
    queries = named(stream.tokens, [query for query, _ in cells], markup.query)
    keys = named(stream.key_tokens, [key for _, key in cells], markup.key)
    best = ranked.iloc[0]
    if not best.above > 0:
        return WORDS.html("search.lead.nobody", queries=queries, keys=keys)
    return WORDS.html(
        "search.lead.best",
        queries=queries,
        keys=keys,
        head=f"{best.layer:.0f}.{best['head']:.0f}",
        weight=percent(best.weight),
        baseline=percent(best.baseline),
    )


def named(tokens: Tokens, positions: Sequence[int], role: Callable[[str], Markup]) -> Markup:
    """Up to three words by position, and how many more there are, as HTML."""
    places = sorted(set(positions))
    names = [role(visible(tokens.labels[place])) for place in places[:3]]
    match names:
        case [first]:
            return WORDS.html("search.words.one", first=first)
        case [first, second]:
            return WORDS.html("search.words.two", first=first, second=second)
        case [first, second, third] if len(places) == 3:
            return WORDS.html("search.words.three", first=first, second=second, third=third)
        case [first, second, third]:
            return WORDS.html("search.words.many", first=first, second=second, third=third, more=len(places) - 3)
        case _:
            raise ValueError("at least one position is needed")


def baseline_text(stream: StreamTrace, sink_name: str) -> Markup:
    """What the baseline is in this stream, as HTML; `sink_name` is "[CLS] [SEP]", or "" where there is no sink."""
    if stream.name == "cross":
        if sink_name:
            return WORDS.html("search.baseline.two_sentences.sink", sink=sink_name)
        return WORDS.html("search.baseline.two_sentences.plain")
    if sink_name:
        return WORDS.html("search.baseline.one_sentence.sink", sink=sink_name)
    return WORDS.html("search.baseline.one_sentence.plain")


def pattern_packet(stream: StreamTrace, layer: int, head: int) -> bytes:
    """One head's pattern, to paint on."""
    return pack_panels([head_panel(stream, layer, head)], paint=True)


def score_packet(found: search.Found) -> bytes:
    """Layers × heads by weight above baseline, in points."""
    texts = [[signed(round(100 * s, 0 if abs(s) >= 0.0995 else 1)) for s in row] for row in found.score]
    return pack_values(found.score, texts, name=WORDS.text("search.heads.name"), signed=True)
