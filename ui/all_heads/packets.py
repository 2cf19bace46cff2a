"""What the pictures and the table of All heads hold: packets for the canvas, and the chosen row. No Streamlit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attn_core.figures.canvas.heads import pack_patterns, pack_values
from attn_core.figures.canvas.links import pack_links
from attn_core.figures.canvas.matrix import OpenedHead, Side, pack_cells
from attn_core.heads import measures
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from attn_core.text.pairs import SEGMENTS, second_of
from ui import words
from ui.all_heads.head import ArrangedHead, sink_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from attn_core.figures.colours import Scale
    from attn_core.heads.sink import Floats
    from attn_core.traces.reader import TraceReader
    from attn_core.views.arrangement import Arrangement

WORDS = words.beside(__file__)


def every_pattern(trace: TraceReader, arrangement: Arrangement) -> bytes:
    """Every head's pattern, arranged alike."""
    layers = range(trace.n_layers)
    name = sink_name(trace, arrangement)
    notes: list[list[str]] = []

    def arranged() -> Iterator[Floats]:
        """One layer at a time, each computed once: for its tiles and for its notes."""
        for layer in layers:
            patterns = trace.patterns(layer)
            notes.append(_on_sink(patterns, arrangement, name))
            yield arrangement.pattern(patterns)

    return pack_patterns(
        arranged(),
        trace.n_layers,
        arrangement.labels,
        None if arrangement.columns is None else arrangement.keys.labels,
        query_positions=arrangement.positions,
        key_positions=arrangement.keys.positions,
        may_look=[arrangement.may_look(trace.may_look(layer)) for layer in layers],
        notes=notes,
        second=second_of(arrangement, arrangement.keys),
    )


def _on_sink(patterns: Floats, arrangement: Arrangement, name: str) -> list[str]:
    """How much of each head rests on the sink: "8.5 % on [CLS] [SEP]"."""
    shares = measures.share_on(patterns, arrangement.keys.sink).mean(axis=-1)  # [head, query] → [head]
    return [WORDS.text("overview.sink", share=percent(float(s)), sink=name) if name else "" for s in shares]


def every_size(trace: TraceReader) -> bytes:
    """How much each head adds: the size of its ΔE, mean over the sentence's own tokens."""
    ordinary = [not special for special in trace.tokens.special]
    sizes = np.stack([trace.delta_e_sizes(layer)[:, ordinary].mean(axis=-1) for layer in range(trace.n_layers)])
    texts = [[f"{size:.2f}" for size in row] for row in sizes]  # [layer][head]
    return pack_values(sizes, texts, name=WORDS.text("overview.sizes"))


def opened_head(head: ArrangedHead, scale: Scale) -> bytes:
    """The opened head, or mean, as a matrix: every number exact."""
    turned = head.queries_in == "columns"
    own, keys = head.arrangement, head.arrangement.keys
    labels, answers = ([visible(label) for label in side.labels] for side in (own, keys))
    asks = Side(labels, "query", "query", own.special, slanted=turned, positions=own.positions)
    return pack_cells(
        np.where(head.may_look, head.pattern, np.nan),
        asks,
        Side(answers, "key", "key", keys.special, slanted=not turned, positions=keys.positions),
        kind="weights",
        limit=1.0,
        scale=scale,
        square=True,
        turned=turned,
        choose=True,
        chosen=(head.row, None),
        says=WORDS.text("head.cell", row="{row}", column="{column}", head="{head}", value="{value}"),
        alt=WORDS.text("head.heatmap_alt", title=head.title, n=len(labels)),
        hint=WORDS.text("head.cell_hint"),
        opened=OpenedHead(
            layer_head=(head.layer, head.head) if head.is_one else None,
            title=head.title,
            name=head.name,
            title_of=WORDS.text("head.titles.one", layer="{layer}", head="{head}"),
            explains=_explains(head),
        ),
        segments=head.segments,
        joins=True,
    )


def _explains(head: ArrangedHead) -> str:
    """How to read the picture; {row} and {column} stand for the roles, which are coloured where it is drawn."""
    how = WORDS.text("head.hint", head.queries_in, query="{row}", key="{column}")
    hidden = WORDS.text("head.hidden", sink=head.sink_name) if head.arrangement.hides_sink else ""
    phrases = WORDS.text("spans.hint", phrases=head.phrases) if head.phrases else ""
    return " ".join(each for each in (how, head.shared_key(), hidden, phrases) if each)


def links(head: ArrangedHead) -> bytes:
    """One head, or a mean, as lines between words."""
    return pack_links(
        head.pattern[None],
        head.arrangement.labels,
        None if head.arrangement.columns is None else head.arrangement.keys.labels,
        heads=[head.short_name],
        may_look=head.may_look,
        query_positions=head.arrangement.positions,
        query_special=head.arrangement.special,
        query_words=head.arrangement.words,
        key_positions=head.arrangement.keys.positions,
        key_special=head.arrangement.keys.special,
        key_words=head.arrangement.keys.words,
        of=(head.layer, head.head) if head.is_one else None,
    )


def _positions(head: ArrangedHead) -> dict[str, list[int]]:
    """Where each key stands, and where phrases are among them also where each ends."""
    last = {"last": [place[-1] for place in head.arrangement.keys.places]} if head.arrangement.spans else {}
    return {"position": head.key_positions, **last}


def row_table(head: ArrangedHead) -> pd.DataFrame:
    """The chosen row, the strongest first; a masked key has no number."""
    import pandas as pd

    row, may_look, pair = head.pattern[head.row], head.may_look[head.row], head.segments
    weights = [float(weight) if may else None for weight, may in zip(row, may_look, strict=True)]
    table = pd.DataFrame(
        {
            **_positions(head),
            "key": [visible(label) for label in head.arrangement.keys.labels],
            **({} if pair is None else {"segment": [SEGMENTS[i >= pair.column] for i in range(len(row))]}),
            "weight": weights,
            "share": [None if weight is None else 100 * weight for weight in weights],
        }
    )
    return table.sort_values("weight", ascending=False, kind="stable")
