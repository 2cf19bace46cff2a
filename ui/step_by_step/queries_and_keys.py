"""Step 2: vectors become queries and keys."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attn_core.figures.html.rotary_dials import clocks
from ui import words
from ui.drawing import widgets
from ui.step_by_step import layout, toy
from ui.step_by_step.layout import paragraph
from ui.step_by_step.sentences_scores import (
    one_query_number,
    query_and_key_formulas,
    reading_of_queries,
    what_queries_and_keys_are,
)
from ui.step_by_step.subject import StepSubject
from ui.step_by_step.vectors import stack, strips

WORDS = words.beside(__file__)


def queries_and_keys(subject: StepSubject) -> None:
    """From E to what every word asks and offers."""
    w, k = subject.stages, subject.d_head
    with widgets.card("step_2"):
        what, aside = what_queries_and_keys_are(subject), reading_of_queries(subject)
        layout.step_header(2, what, aside=aside, formulas=query_and_key_formulas(subject))
        if subject.toy is not None:
            toy.editors(subject, "w_q", "w_k")
        left, right = st.columns(2, gap="medium")
        with left:
            paragraph(WORDS.html("step_2.queries", k=k))
            strips(subject, w.query.numpy(), "query", "step_2_q", picture="2 · Queries")
        with right:
            paragraph(WORDS.html("step_2.keys", k=k))
            strips(subject, w.key.numpy(), "key", "step_2_k", of_keys=True, picture="2 · Keys")
        if subject.inputs.weights is not None:
            _one_number(subject)
        if subject.inputs.rotation is not None:
            _rotation(subject)
        table = lambda: layout.by_dimension(w.query.numpy(), subject.queries)  # noqa: E731
        layout.numbers_and_code(subject, 2, table, "query", "key", "apply_rotary")


def _one_number(subject: StepSubject) -> None:
    """One number of the chosen query, worked out; the visitor chooses which."""
    left, right = st.columns([0.24, 0.76], vertical_alignment="bottom")
    with left:
        which = st.selectbox(
            "One number of the query, worked out",
            range(subject.d_head),
            index=int(np.abs(subject.stages.query[subject.query].numpy()).argmax()),
            format_func=lambda i: f"number {i}",
            key=f"worked_{subject.d_head}_{subject.query}",
        )
    with right:
        layout.worked(*one_query_number(subject, which), "q")


def _rotation(subject: StepSubject) -> None:
    """Rotary positions: the chosen query before and after, and its first pairs as arrows on dials."""
    w, rotation, i = subject.stages, subject.inputs.rotation, subject.query
    assert rotation is not None
    paragraph(WORDS.html("step_2.turned", word=subject.query_html, place=i))
    rows = [("query", w.query[i].numpy()), ("turned", w.turned_query[i].numpy())]
    stack(rows, "step_2_turn", "The query before and after the rotation", picture="2 · Before and after the rotation")
    before = np.stack([w.query[i][rotation.first].numpy(), w.query[i][rotation.second].numpy()], axis=1)
    st.html(clocks(before, rotation.angles[i].numpy()))
