"""The large pictures of the parameter page: the model as boxes, the lesson's table, shares side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Self

import pandas as pd
import streamlit as st

from attn_core.figures import scripts
from attn_core.figures.canvas.boxes import boxes
from attn_core.figures.charts import parameters
from attn_core.parameters import costs
from attn_core.parameters.shape import shape_of
from attn_core.parameters.table import ParameterTable
from attn_core.parameters.tree import shares
from attn_core.text.numbers import byte_size, percent, signed_count
from attn_core.views.snippets import parameters as snippets
from ui import words
from ui.drawing import canvas, controls, gallery, widgets
from ui.drawing.component import component
from ui.drawing.events import Header, Sizes
from ui.parameters.counts import BARS, ModelCounts, effective
from ui.parameters.sentences import read_aloud, shares_aloud, way
from ui.shell.folds import fold

_boxes = component("boxes", scripts.module("boxes"))
WORDS = words.beside(__file__)
LINES = {
    "embedding": ("Embedding", "e"),
    "key": ("Key", "k"),
    "query": ("Query", "q"),
    "value": ("Value (down)", "v"),
    "output": ("Output (value up)", "d"),
    "fused": ("Query, key, value", "a"),
    "up": ("MLP up", ""),
    "gate": ("MLP gate", ""),
    "down": ("MLP down", ""),
    "mlp": ("MLP", ""),
    "unembedding": ("Unembedding", "e"),
}


@dataclass(frozen=True)
class Entered:
    """The box that was gone into, by its path."""

    inside: str

    @staticmethod
    def sizes(header: Header) -> Sizes:
        return {}

    @classmethod
    def of(cls, sent: object, sizes: Sizes) -> Self | None:
        inside = sent.get("inside") if isinstance(sent, Mapping) else None
        return cls(inside) if isinstance(inside, str) else None


def whole_model(counts: ModelCounts) -> None:
    """The model as boxes; the block that is entered opens into its heads."""
    nodes = counts.boxes
    packet = boxes(
        [node.parent for node in nodes],
        [node.label for node in nodes],
        [node.count for node in nodes],
        [node.role for node in nodes],
        alt=WORDS.text("boxes.alt", title=counts.table.title),
    )

    def enter(entered: Entered) -> None:
        st.session_state["inside"] = entered.inside

    entered = {"inside": counts.page.state["inside"]}
    says = WORDS.text("boxes.caption", title=counts.table.title, how=way(counts))
    canvas.mount(
        _boxes, packet, "boxes", "entered", Entered, enter, entered, picture="The whole model, to scale", says=says
    )
    st.html(parameters.legend(shares(counts.table, lesson=counts.lesson), counts.theme))
    alt = WORDS.text("boxes.parts_alt")
    fold(
        "The numbers: parameters by part",
        "numbers_parts",
        lambda: widgets.table(_grouped(counts), hide_index=True, alt=alt),
    )


def offer_pictures(counts: ModelCounts) -> None:
    """The page's end: its pictures, and the line of Python that counts the same."""
    state = counts.page.state
    lines = snippets.parameters(state["preset"], effective(state) if counts.is_own else None)
    counts.page.offer_pictures(counts.table.title, sentences=[], model=state["preset"], lines=lines)


def _grouped(counts: ModelCounts) -> pd.DataFrame:
    """Part → block → model, in the way of counting that is on."""
    rows: dict[tuple[str, str, str], list[int]] = {}
    parts = counts.table.rows
    for row in parts:
        for piece in row.pieces if not row.tied_to else ():
            name = row.kind if row.kind in ("bias", "norm") else parameters.NAMES.get(piece.role, piece.role)
            found = rows.setdefault((row.place, row.sublayer or row.part, name), [0, 1, 0])
            found[0], found[1] = found[0] + piece.size.n, max(found[1], row.times)
            found[2] += piece.size.n * row.times
    total = counts.table.total
    table = [(*names, each, times, all_, 100 * all_ / total) for names, (each, times, all_) in rows.items()]
    columns = ["where", "sub-layer", "what", "in one block", "blocks", "in the model", "share in %"]
    return pd.DataFrame(table, columns=columns).round({"share in %": 2})


def lesson_table(counts: ModelCounts) -> None:
    """The lesson's eight lines with their products, and what its count leaves out."""
    table = counts.table
    most = max(line.count for line in table.lesson)
    rows = "".join(_line(line.role, line.formula, line.count, most) for line in table.lesson)
    added = "".join(_sum(what, signed_count(count)) for what, count in table.left_out)
    body = rows + _sum(WORDS.text("lesson.counted"), f"{table.lesson_total:,}", counts.lesson)
    more = added + _sum(WORDS.text("lesson.stored"), f"{table.total:,}", not counts.lesson)
    more += _sum(WORDS.text("lesson.embeddings"), f"{table.embeddings:,}")
    more += _sum(WORDS.text("lesson.without"), f"{table.without_embeddings:,}")
    st.html(f'<table class="hl-count-table"><tbody>{body}{more}</tbody></table>')
    if said := read_aloud(counts):
        widgets.reading(said)


def _line(role: str, formula: str, count: int, most: int) -> str:
    (name, colour), what = LINES[role], WORDS.text("lesson.lines", role)
    bar = f'<i class="{colour}" style="width:{100 * count / most:.2f}%"></i>'
    product = f'<span class="product">{escape(formula)}</span>'
    return (
        f'<tr><th scope="row"><b class="hl-{colour}">{name}</b><small>{escape(what)}</small></th>'
        f"<td><strong>{count:,}</strong>{product}<span class='track'>{bar}</span></td></tr>"
    )


def _sum(what: str, count: str, on: bool | None = None) -> str:
    kind = "more" if on is None else "sum on" if on else "sum"
    return f'<tr class="{kind}"><th scope="row">{escape(what)}</th><td><strong>{count}</strong></td></tr>'


def side_by_side(counts: ModelCounts) -> None:
    """Stacked bars of the shares of one to four models, and their numbers as a table."""
    tables = [counts.table, *counts.others]
    parts = [shares(table, lesson=counts.lesson) for table in tables]
    as_share = counts.page.state["bars"] == "share"
    drawn = {"models": [table.title for table in tables], "parts": parts, "as_share": as_share}
    figure = parameters.share_bars(**drawn, theme=counts.theme)
    names = ", ".join(table.title for table in tables)
    alt = WORDS.text("shares.alt", names=names)
    says = WORDS.text("shares.caption", counts.page.state["bars"], names=names, how=way(counts))
    gallery.show(figure, key="share_bars", alt=alt)
    gallery.register("Shares", partial(parameters.named_bars, **drawn, theme="light"), says)
    st.html(parameters.legend({role for part in parts for role in part}, counts.theme))
    controls.switch(BARS)
    widgets.reading("<br>".join(map(shares_aloud, (table.title for table in tables), parts)))

    def numbers() -> None:
        frame = pd.DataFrame({f"{i + 1} · {x.title}": _column(counts, x) for i, x in enumerate(tables)})
        whole, alt = frame.fillna("–").reset_index(names=""), WORDS.text("shares.table", names=names)
        widgets.table(whole, hide_index=True, height="content", alt=alt)

    several = len(tables) > 1
    key = f"numbers_shares_{'several' if several else 'one'}"
    fold("The numbers: model beside model" if several else "The numbers: the model", key, numbers, expanded=several)


def _column(counts: ModelCounts, table: ParameterTable) -> dict[str, str]:
    """One model of the comparison, as people read it."""
    total, attention = counts.total(table), counts.attention(table)
    said = {
        "parameters": f"{total:,}",
        "attention": f"{attention:,}",
        "attention's share": percent(attention / total),
        "stored, without embeddings": f"{table.without_embeddings:,}",
        "stored weights in float16": byte_size(costs.weight_bytes(table, "float16").value),
    }
    if table.source != "formula":
        return said
    shape = shape_of(table.config)
    cache = costs.cache_bytes(shape, 1)
    said |= {
        "d_model": f"{shape.d_model:,}",
        "blocks": f"{shape.n_layers} + {shape.n_decoder_layers}" if shape.n_decoder_layers else f"{shape.n_layers}",
        "heads × d_head": f"{shape.n_heads} × {shape.d_head}",
        "groups of keys and values": f"{shape.n_groups}",
        "d_ff": f"{shape.d_ff:,}",
        "vocabulary": f"{shape.vocabulary:,}",
        "context": f"{shape.context:,}",
        "cache for one token, float16": byte_size(cache[0].value) if cache else "none",
    }
    return said
