"""Steps 5 and 6: the mask and the softmax, and a guess between them."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

from attn_core import masks
from attn_core.figures.canvas.matrix import pack_cells
from attn_core.figures.html.bar_table import Column
from attn_core.text.numbers import percent
from ui.drawing import gallery, widgets
from ui.drawing.cells import cells
from ui.step_by_step import layout
from ui.step_by_step.grids import as_share, bars_of, grid, marks_of
from ui.step_by_step.layout import number, paragraph
from ui.step_by_step.subject import StepSubject

MOST_BEGINNINGS = 6
MASKS = {"own": "this head", "causal": "a causal mask, for comparison"}


def mask(subject: StepSubject) -> None:
    """Step 5: who may look at whom."""
    masked, n = subject.stages.masked.numpy(), f"{len(subject.queries)} × {len(subject.keys)}"
    open_ = bool(subject.stages.may_look.all())
    terms: list[layout.Term] = [("masked", n), "=", ("scaled", n), "or", "−∞"]
    with widgets.card("step_5"):
        layout.step_header(5, *_what_is_masked(subject, open_), formulas=[] if open_ else [terms])
        if open_:
            _open_and_causal(subject)
        else:
            left, right = st.columns([0.55, 0.45], gap="large")
            with left:
                alt = "Scores after the mask: query rows, key columns, masked cells hatched"
                says_, name = "{row} · {column}: {value} after the mask", "5 · Scores after the mask"
                grid(subject, masked, "step_5_grid", picture=name, says_=says_, alt=alt)
            with right:
                _why_mask(subject)
        layout.numbers_and_code(subject, 5, lambda: layout.by_pair(masked, subject.queries, subject.keys), "masked")


def _what_is_masked(subject: StepSubject, open_: bool) -> list[str]:
    if open_ and subject.crosses:
        return [
            "There is <b>no mask</b> here: a word may look at every word of the other text. Scores stay as they are."
        ]
    if open_:
        why = "It learnt by filling gaps in sentences, so looking ahead is no cheating."
        if subject.stream == "encoder":
            why = "It reads a sentence that is all there already, so looking ahead is no cheating."
        return [
            "There is <b>no mask</b> here: every word may look at every other, ahead as well as back, and scores "
            "stay as "
            f"they are. {why} A model that learns to predict the next word must not see it: there, each word looks at "
            "itself and back only. Under “Break it” you can put such a mask on this head."
        ]
    allowed = subject.stages.may_look.numpy()
    seen = int(allowed[subject.query].sum())
    who = "This model predicts" if subject.is_real else "The toy is made as if it were to predict"
    said = (
        f"{who} the next word, so no word may look ahead: {subject.query_html} sees {seen} of {allowed.shape[1]} "
        "words. The other scores are set to −∞ <i>before</i> the softmax, which turns −∞ into exactly 0 and lets the "
        "rest "
        "of the row sum to 1. Striking shares out afterwards would leave the row short."
    )
    if np.tril(~allowed).any():
        said += " This layer also forgets: words too far back are masked as well."
    return [said]


def _open_and_causal(subject: StepSubject) -> None:
    """This model's mask beside the one that it does not have, both small."""
    if subject.crosses:
        return
    allowed = subject.stages.may_look.numpy()[subject.q_window, subject.k_window]
    causal = masks.causal(*allowed.shape).numpy()
    left, right, _ = st.columns([0.3, 0.3, 0.4], gap="medium")
    for place, name, seen in ((left, "own", allowed), (right, "causal", causal)):
        with place:
            paragraph(f"<b>{MASKS[name]}</b>")
            packet = pack_cells(
                np.where(seen, 1.0, np.nan),
                subject.query_side(),
                subject.key_side(slanted=True),
                kind="positive",
                says="{row} may look at {column}.",
                alt=f"Who may look at whom, {MASKS[name]}: query rows, key columns",
                chosen=(subject.place_in(subject.query, subject.q_window), None),
                square=True,
                largest=14,
                legend=False,
            )
            cells(packet, key=f"step_5_{name}", picture=f"5 · Mask, {MASKS[name]}")


def _why_mask(subject: StepSubject) -> None:
    paragraph(
        "<b>Why training wants it.</b> One sentence then holds many exercises at once. Each beginning is one, with "
        "the next "
        "word as its answer, and no word can peek:"
    )
    start = subject.q_window.start
    names = [
        escape(subject.query_name(start + i)) for i in range(min(len(subject.queries) - start, MOST_BEGINNINGS + 1))
    ]
    rows = [f"{' '.join(names[: i + 1])} → <b>{names[i + 1]}</b>" for i in range(len(names) - 1)]
    paragraph("<br>".join(f'<span class="hl-tok">{row}</span>' for row in rows), soft=True)


def guess(subject: StepSubject, chosen: int | None) -> None:
    """Between mask and softmax: a prediction, for those who like to make one."""
    options = [int(i) for i in np.flatnonzero(subject.stages.may_look[subject.query].numpy())]
    with widgets.card("guess", f"Before you look: which word will {subject.query_html} look at most?"):
        left, right = st.columns([0.34, 0.66], gap="medium", vertical_alignment="center")
        with left:
            st.selectbox(
                "Your guess",
                options,
                format_func=lambda i: f"{i} {subject.key_name(i)}",
                key="guess",
                placeholder="Guess a word, or just read on",
                label_visibility="collapsed",
                index=None,
            )
        with right:
            paragraph(
                _verdict(subject, chosen) if chosen in options else "The truth is one step further down, either way."
            )


def _verdict(subject: StepSubject, chosen: int) -> str:
    row = subject.stages.pattern[subject.query].numpy()
    rank, own = int((row > row[chosen]).sum()) + 1, widgets.key(subject.key_name(chosen))
    if rank == 1:
        return f"You said {own}, and so it is: {percent(float(row[chosen]))}, more than any other."
    best = int(row.argmax())
    return (
        f"You said {own}: with {percent(float(row[chosen]))} it takes place {rank} of {len(row)}. Most goes to "
        f"{widgets.key(subject.key_name(best))}, {percent(float(row[best]))}."
    )


def pattern(subject: StepSubject, turned: bool, guessed: int | None) -> None:
    """Step 6: scores become shares."""
    row, whole, n = subject.stages.pattern[subject.query].numpy(), subject.stages.pattern.numpy(), len(subject.queries)
    with widgets.card("step_6"):
        layout.step_header(
            6,
            "Raise e to the power of each score, and divide by the sum of the row. Large scores win, nothing is "
            "negative, "
            "and every row adds up to 1: scores have become <b>shares</b>. This grid is the head’s <b>attention "
            f"pattern</b>. Its row for {subject.query_html} reads: to update {subject.query_html}, take "
            f"{percent(float(row[subject.key]))} "
            f"from {subject.key_html}.",
            aside=_both_ways(subject, turned),
            formulas=[
                [("A", f"{n} × {len(subject.keys)}"), "=", "softmax(", ("masked", ""), ")", "each row"],
                ["e<sup>score</sup>", "÷", "Σ e<sup>score</sup>"],
            ],
        )
        left, right = st.columns([0.55, 0.45], gap="large")
        with left:
            grid(
                subject,
                whole,
                "step_6_grid",
                picture="6 · Pattern",
                says_=f"To update {{row}}, {subject.head_name} takes {{value}} from {{column}}.",
                alt="The attention pattern: query rows, key columns, every row sums to 1",
                kind="weights",
                turned=turned,
            )
            ways = {"rows": "queries in rows (papers)", "columns": "in columns (the lesson)"}
            widgets.switch("Queries in", ways, "queries")
        with right:
            _row_as_bars(subject, row, guessed)
        layout.numbers_and_code(subject, 6, lambda: layout.by_pair(whole, subject.queries, subject.keys), "pattern")


def _both_ways(subject: StepSubject, turned: bool) -> str:
    query, key = subject.query_html, subject.key_html
    said = f"Papers say: {query} attends to {key}. The lesson says: {key} attends to {query}."
    return f"{said} Both mean this one number." + (" Here, as in the lesson, each column sums to 1." if turned else "")


def _row_as_bars(subject: StepSubject, row: np.ndarray, guessed: int | None) -> None:
    shares = np.where(subject.stages.may_look[subject.query].numpy(), row, np.nan)
    order = bars_of(subject, shares)
    marks = marks_of(subject, order)
    if guessed in order:
        at = order.index(guessed)
        marks[at] = (marks.get(at, ("", ""))[0], "your guess")
    column = Column(
        f"share for {subject.query_name(subject.query)}", shares[order], [as_share(x) for x in shares[order]]
    )
    names = [subject.key_name(i) for i in order]
    gallery.bars("6 · Shares of one row", names, [column], head="key", marks=marks)
    rest = percent(float(row.sum() - row[order].sum()))
    more = f" The other {len(row) - len(order)} words get {rest} together." if len(order) < len(row) else ""
    paragraph(f"{_worked(subject, row)}The row sums to {number(float(row.sum()), 6)}.{more}", soft=True)


def _worked(subject: StepSubject, row: np.ndarray) -> str:
    """The chosen cell's share, worked out."""
    masked = subject.stages.masked[subject.query].numpy()
    top, here = float(masked.max()), float(masked[subject.key])
    if not np.isfinite(here):
        return ""
    power, total = f"{number(here)} − {number(top)}", number(float(np.exp(masked - top).sum()))
    return (
        f"For {subject.key_html}: e<sup>{power}</sup> ÷ {total} = {number(float(row[subject.key]))}. (The row’s "
        f"largest "
        "score "
        "is taken off first: it cancels out, and keeps e from growing too large.) "
    )
