"""Steps 1 and 2: words become vectors, vectors become queries and keys; and the strips that vectors are drawn as."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from attn_core.attention import embed
from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.figures.html.rotary_dials import clocks
from attn_core.residual.input_parts import InputParts
from ui import words
from ui.drawing import canvas, widgets
from ui.shell.folds import folded
from ui.step_by_step import layout
from ui.step_by_step.layout import paragraph
from ui.step_by_step.pocket import editors
from ui.step_by_step.reading import pick
from ui.step_by_step.sentences_scores import (
    how_e_is_made,
    one_query_number,
    query_and_key_formulas,
    reading_of_queries,
    sum_of_parts,
    what_e_knows,
    what_queries_and_keys_are,
)
from ui.step_by_step.subject import StepSubject

WORDS = words.beside(__file__)


def vectors(subject: StepSubject) -> None:
    """Step 1: from the model's tables to E."""
    with widgets.card("step_1"):
        layout.step_header(1, how_e_is_made(subject), aside=what_e_knows(subject), formulas=[sum_of_parts(subject)])
        if subject.toy is not None:
            editors.editors(subject, "tokens", "places")
        own = [("E", subject.embedding[subject.query])]
        if not subject.meanings:
            paragraph(WORDS.html("step_1.own", word=subject.query_html, d=subject.d_model))
            stack(own, "step_1_own", f"E of {subject.query_name(subject.query)}", picture="1 · E of the word")
        if subject.is_real and subject.parts is not None:
            parts = folded(WORDS.text("step_1.fold"), "parts_1", ":material/add:")
            if parts.open:
                with parts:
                    paragraph(WORDS.html("step_1.made", word=subject.query_html))
                    _made_of(subject.parts, subject.query, subject.segment)
        with layout.all_words(1, "E of every word") as is_open:
            if is_open:
                paragraph(WORDS.html("step_1.e", d=subject.d_model))
                names, picture = subject.meanings, "1 · E of every word"
                strips(subject, subject.embedding, "embedding", "step_1_e", names=names, picture=picture)
        table = lambda: layout.by_dimension(subject.embedding, subject.queries, subject.meanings)  # noqa: E731
        layout.numbers_and_code(subject, 1, table, made_by=[embed])


def _made_of(parts: InputParts, i: int, segment: str) -> None:
    """The chosen word's vectors, from the table to E, as strips under each other; E has a scale of its own."""
    rows = [
        ("token", parts.factor * parts.token[i]),
        (f"+ place {i}", parts.position),
        (f"+ segment {segment}".strip(), parts.segment),
    ]
    added = [(name, (part if part.dim() == 1 else part[i]).numpy()) for name, part in rows if part is not None]
    if len(added) > 1:
        added.append(("= sum", parts.summed[i].numpy()))
    stack(added, "step_1_parts", WORDS.text("step_1.parts_alt"), picture="1 · How E is made")
    if parts.steps:
        paragraph(WORDS.html("step_1.then", steps=" and ".join(name for name, _ in parts.steps)), soft=True)
        names = [*(name for name, _ in parts.steps[:-1]), "= E"]
        results = [result[i].numpy() for _, result in parts.steps]
        named = list(zip(names, results, strict=True))
        stack(named, "step_1_then", "What is done to the sum", picture="1 · What is done to the sum")


def stack(
    rows: Sequence[tuple[str, np.ndarray]], key: str, alt: str, *, picture: str, limit: float | None = None
) -> None:
    """Named vectors under each other, on one scale; `picture` is the name under Save."""
    numbers = np.stack([row for _, row in rows])
    packet = pack_cells(
        numbers,
        Side([name for name, _ in rows]),
        Side(),
        says=WORDS.text("vector_cell.numbered"),
        alt=alt,
        limit=limit or most(numbers),
        row_height=20,
    )
    canvas.cells(packet, key=key, picture=picture)


def most(numbers: np.ndarray) -> float:
    """Where the colours end: one number in a hundred may lie beyond, or a single outlier would pale all others."""
    largest = float(np.abs(numbers).max())
    return largest if numbers.size < 400 else float(np.quantile(np.abs(numbers), 0.99)) or largest


def strips(
    subject: StepSubject,
    numbers: np.ndarray,
    role: str,
    key: str,
    *,
    picture: str,
    of_keys: bool = False,
    names: Sequence[str] = (),
) -> None:
    """One strip a word; a click follows it. `picture` is the name under Save."""
    side = subject.key_side(role, "word") if of_keys else subject.query_side(role, "word")
    window = subject.k_window if of_keys else subject.q_window
    packet = pack_cells(
        numbers[window],
        side,
        Side(names),
        says=WORDS.text("vector_cell", "named" if names else "numbered"),
        alt=WORDS.text("vector_strips.alt", n=len(side.labels), d=numbers.shape[1]),
        chosen=(subject.place_in(subject.key if of_keys else subject.query, window), None),
        limit=most(numbers),
        row_height=26 if numbers.shape[1] <= 12 else 18,
        tallest=430,
        choose=True,
    )
    picked = lambda row, _: pick(subject, key=row) if of_keys else pick(subject, query=row)  # noqa: E731
    canvas.cells(packet, key=key, picture=picture, on_choose=picked)


def queries_and_keys(subject: StepSubject) -> None:
    """Step 2: from E to what every word asks and offers."""
    w, k = subject.stages, subject.d_head
    with widgets.card("step_2"):
        what, aside = what_queries_and_keys_are(subject), reading_of_queries(subject)
        layout.step_header(2, what, aside=aside, formulas=query_and_key_formulas(subject))
        if subject.toy is not None:
            editors.editors(subject, "w_q", "w_k")
        _one_of_each(subject)
        with layout.all_words(2, "queries and keys of every word") as is_open:
            if is_open:
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


def _one_of_each(subject: StepSubject) -> None:
    """The followed word's query, and the chosen key."""
    w, names = subject.stages, (subject.query_name(subject.query), subject.key_name(subject.key))
    rows = [(names[0], w.query[subject.query].numpy()), (names[1], w.key[subject.key].numpy())]
    paragraph(WORDS.html("step_2.both", word=subject.query_html, other=subject.key_html, k=subject.d_head))
    says = WORDS.text("step_2.both_alt", query=names[0], key=names[1])
    stack(rows, "step_2_both", says, picture="2 · One query and one key")


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
    stack(rows, "step_2_turn", WORDS.text("step_2.turned_alt"), picture="2 · Before and after the rotation")
    before = np.stack([w.query[i][rotation.first].numpy(), w.query[i][rotation.second].numpy()], axis=1)
    st.html(clocks(before, rotation.angles[i].numpy()))
