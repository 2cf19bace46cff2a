"""Steps 3 and 4: scores, and their division by √d_k."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import streamlit as st

from attn_core.figures.html.bar_table import Column
from attn_core.figures.html.dot_product import dot_product
from attn_core.figures.html.histograms import Spread, histograms
from attn_core.figures.html.vector_arrows import Arrow, arrows
from attn_core.figures.paper import lines_and_boxes, spreads
from attn_core.residual import geometry
from attn_core.text.numbers import number, percent_or_masked, signed
from attn_core.traces.trace import Trace
from attn_core.walkthrough.spread import ScoreSpread, spreads_of
from ui import words
from ui.drawing import gallery, widgets
from ui.server import shared
from ui.step_by_step import layout
from ui.step_by_step.grids import bars_of, grid, marks_of
from ui.step_by_step.layout import paragraph
from ui.step_by_step.sentences_scores import Term, divides, products_of, row_without_scale, why_divide
from ui.step_by_step.subject import Array, StepSubject

WORDS = words.beside(__file__)


def scores(subject: StepSubject) -> None:
    """Step 3: every query meets every key."""
    n_q, n_k, k = len(subject.queries), len(subject.keys), subject.d_head
    raw = subject.stages.raw_scores.numpy()  # [query, key]
    formula: list[Term] = [("S", f"{n_q} × {n_k}"), "=", ("Q", f"{n_q} × {k}", "q"), "·"]
    formula.append(("K<sup>T</sup>", f"{k} × {n_k}", "k"))
    with widgets.card("step_3"):
        layout.step_header(3, WORDS.html("step_3.what", k=k, word=subject.query_html), formulas=[formula])
        left, right = st.columns([0.55, 0.45], gap="large")
        with left:
            alt = WORDS.text("step_3.alt")
            says = "{row} · {column} = {value}"
            grid(subject, raw, "step_3_grid", picture="3 · Scores", says=says, alt=alt, all_seen=True)
        with right:
            _one_score(subject)
        table = lambda: layout.by_pair(raw, subject.queries, subject.keys)  # noqa: E731
        layout.numbers_and_code(subject, 3, table, "raw_scores")


def _one_score(subject: StepSubject) -> None:
    """The chosen query and key number by number, and the angle between them."""
    q, k = subject.stages.turned_query[subject.query].numpy(), subject.stages.turned_key[subject.key].numpy()
    score = number(float((q * k).sum()), 4)
    paragraph(WORDS.html("step_3.score", word=subject.query_html, other=subject.key_html, score=score))
    names = subject.query_name(subject.query), subject.key_name(subject.key)
    st.html(dot_product(q, k, *names))
    gallery.register(
        "3 · One score", partial(lines_and_boxes.dot_product, q, k, *names), "Query, key and their products"
    )
    paragraph(products_of(q, k), soft=True)
    _as_arrows(q, k)


def _as_arrows(q: Array, k: Array) -> None:
    length_q, length_k, degrees = float(geometry.norm(q)), float(geometry.norm(k)), float(geometry.angle(q, k))
    if math.isnan(degrees):
        paragraph(WORDS.html("step_3.zero"), soft=True)
        return
    drawn = [Arrow(length_k, 0.0, "key", "key", "below"), Arrow(length_q, degrees, "query", "query")]
    gallery.register("3 · One score, as arrows", partial(lines_and_boxes.to_scale, drawn), "Query and key, to scale")
    st.html(arrows(drawn, WORDS.text("step_3.arrows_alt", query=length_q, key=length_k, degrees=degrees)))
    score, lengths = number(float(q @ k)), {"query": number(length_q), "key": number(length_k)}
    paragraph(
        WORDS.html("step_3.arrows", degrees=degrees, query=lengths["query"], key=lengths["key"], score=score), soft=True
    )


def scale(subject: StepSubject) -> None:
    """Step 4: divide, so that the size of the head does not decide how sharp the softmax is."""
    shifted = subject.stages.shifted.numpy()  # [query, key]
    with widgets.card("step_4"):
        layout.step_header(4, *why_divide(subject), formulas=[_division(subject)] if divides(subject) else [])
        names, columns, marks = before_and_after(subject)
        gallery.bars("4 · Before and after the scale", names, columns, head="key", marks=marks)
        if subject.is_real:
            _why_the_root(subject)
        table = lambda: layout.by_pair(shifted, subject.queries, subject.keys)  # noqa: E731
        layout.numbers_and_code(subject, 4, table, "scaled", "shifted")


def _why_the_root(subject: StepSubject) -> None:
    """Histograms of scores of real vectors of more and more numbers, as they are and divided by the root."""
    assert subject.trace is not None
    found = shared.memoize(subject.trace, _spreads, subject.stream)
    if len(found) < 2 or not found[-1].spread:
        return
    few, many = found[0], found[-1]
    divided = [float(x.divided.std()) for x in found]
    said = WORDS.html(
        "step_4.root",
        few=few.d, many=many.d, times=number(many.d / few.d), root=number(math.sqrt(many.d / few.d)),
        spread=number(many.spread / few.spread), least=number(min(divided)), largest=number(max(divided)),
    )  # fmt: skip
    paragraph(said)
    limit = 3 * many.spread
    columns = [
        Spread(WORDS.text("step_4.before"), [x.scores for x in found], [number(x.spread) for x in found], limit),
        Spread(
            WORDS.text("step_4.after"),
            [x.divided for x in found],
            [number(x) for x in divided],
            3 * max(divided),
            "key",
        ),
    ]
    labels, name = [str(x.d) for x in found], "4 · How scores spread"
    st.html(histograms(labels, columns, "d"))
    gallery.register(name, partial(spreads.histograms, labels, columns, "d"), WORDS.text("step_4.histograms"))
    paragraph(WORDS.html("step_4.drawn"), soft=True)


def _spreads(trace: Trace, stream: str) -> list[ScoreSpread]:
    return spreads_of(trace.stream(stream))


def _division(subject: StepSubject) -> list[Term]:
    factor, k = subject.inputs.scale_factor(), subject.d_head
    under = f"√{k} = {number(1 / factor)}" if math.isclose(factor, k**-0.5) else number(1 / factor)
    return [("scaled", f"{len(subject.queries)} × {len(subject.keys)}"), "=", "S", "÷", under]


def before_and_after(subject: StepSubject) -> tuple[list[str], list[Column], dict[int, tuple[str, str]]]:
    """The chosen row before and after, and what a softmax would make of both: names, columns, roles of the rows."""
    w, row = subject.stages, subject.query
    seen = w.may_look[row].numpy()
    sharp, true = np.where(seen, row_without_scale(subject), np.nan), np.where(seen, w.pattern[row].numpy(), np.nan)
    raw, after = w.raw_scores[row].numpy(), w.shifted[row].numpy()
    order = bars_of(subject, true)
    longest, share = float(np.abs(raw).max()), float(np.nanmax([np.nanmax(sharp), np.nanmax(true)]))
    undivided = Column(
        "share it would get undivided", sharp[order], list(map(percent_or_masked, sharp[order])), "weight", share
    )
    columns = [
        Column("score", raw[order], list(map(number, raw[order])), "plain", longest),
        Column("after this step", after[order], list(map(number, after[order])), "plain", longest),
        *([undivided] if divides(subject) or subject.inputs.scaled_before != 1 else []),
        Column("share it gets", true[order], list(map(percent_or_masked, true[order])), "weight", share),
    ]
    if subject.inputs.position_bias is not None:
        added = subject.inputs.position_bias[row].numpy()[order]
        columns.insert(1, Column("its place adds", added, [signed(float(x)) for x in added], "plain", longest))
    return [subject.key_name(i) for i in order], columns, marks_of(subject, order)
