"""Step 2: vectors become queries and keys."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attn_core.figures.html.rotary_dials import clocks
from attn_core.text.numbers import signed
from ui.drawing import widgets
from ui.step_by_step import layout, toy
from ui.step_by_step.layout import Term, number, paragraph
from ui.step_by_step.subject import StepSubject
from ui.step_by_step.vectors import stack, strips


def queries_and_keys(subject: StepSubject) -> None:
    """From E to what every word asks and offers."""
    w, k = subject.stages, subject.d_head
    with widgets.card("step_2"):
        layout.step_header(2, _what_they_are(subject), aside=_an_interpretation(subject), formulas=_formulas(subject))
        if subject.toy is not None:
            toy.editors(subject, "w_q", "w_k")
        left, right = st.columns(2, gap="medium")
        with left:
            paragraph(f'<b class="hl-q">Queries</b>, {k} numbers each')
            strips(subject, w.query.numpy(), "query", "step_2_q", picture="2 · Queries")
        with right:
            paragraph(f'<b class="hl-k">Keys</b>, {k} numbers each')
            strips(subject, w.key.numpy(), "key", "step_2_k", of_keys=True, picture="2 · Keys")
        if subject.inputs.weights is not None:
            _one_number(subject)
        if subject.inputs.rotation is not None:
            _rotation(subject)
        layout.numbers_and_code(
            subject, 2, lambda: layout.by_dimension(w.query.numpy(), subject.queries), "query", "key", "turn"
        )


def _what_they_are(subject: StepSubject) -> str:
    d, k = subject.d_model, subject.d_head
    if subject.toy is not None:
        return (
            'The matrix W<sub>Q</sub> turns a word’s six numbers into its <b class="hl-q">query</b> of two, '
            "W<sub>K</sub> "
            'into its <b class="hl-k">key</b>. Here W<sub>Q</sub> reads only <i>noun</i>, and W<sub>K</sub> only '
            "<i>adjective</i> and <i>place</i>: so nouns ask, and adjectives answer, the nearer the louder."
        )
    if subject.inputs.weights is None:
        return (
            'Every word gets a <b class="hl-q">query</b>, what it looks for, and a <b class="hl-k">key</b>, what it '
            "offers: "
            f"{k} numbers each. This model does more on the way than multiply by a matrix (it normalises them too), so "
            "they are shown as they were captured inside the model, just before they meet."
        )
    first, source = "", "its vector"
    if has_norm_first(subject):
        first, source = "This block first brings E to one scale; call the result x. ", "x"
    other = " The keys are those of the other text." if subject.crosses else ""
    return (
        f"{first}Multiplied by the matrix W<sub>Q</sub>, {source} becomes {subject.query_html}’s <b "
        f"class='hl-q'>query</b>: "
        f"{k} "
        f"numbers instead of {d:,}. The matrix W<sub>K</sub> makes every word’s <b class='hl-k'>key</b>, in the same "
        "small "
        f"space, so that queries and keys can be compared.{other} Both matrices were learnt, and are the same for "
        "every "
        "word."
    )


def has_norm_first(subject: StepSubject) -> bool:
    """Whether W_Q receives something else than E itself."""
    return subject.is_real and not np.allclose(subject.inputs.x.numpy(), subject.embedding, atol=1e-5)


def _an_interpretation(subject: StepSubject) -> str:
    size = " In GPT-3 the step is from 12,288 numbers to 128." if subject.is_real else ""
    return (
        f"An interpretation, no more: a query is often read as a question ({subject.query_html}: “any "
        f"adjectives before "
        "me?”), a "
        f"key as an offer ({subject.key_html}: “I am one”). The model itself has only the numbers below.{size}"
    )


def _formulas(subject: StepSubject) -> list[list[Term]]:
    d, k, w = subject.d_model, subject.d_head, subject.inputs.weights
    if w is None:
        return []
    x = "x" if has_norm_first(subject) else "E"
    sides = (
        ("Q", "q", len(subject.queries), w.b_q, x),
        ("K", "k", len(subject.keys), w.b_k, "M" if subject.crosses else x),
    )
    formulas = []
    for name, role, n, bias, source in sides:
        end: list[Term] = ["+", (f"b<sub>{name}</sub>", f"{k}", role)] if bias is not None else []
        matrix = (f"W<sub>{name}</sub>", f"{d} × {k}", role)
        formulas.append([(name, f"{n} × {k}", role), "=", (source, f"{n} × {d}"), "·", matrix, *end])
    return formulas


def _one_number(subject: StepSubject) -> None:
    """One number of the chosen query, worked out: the largest products, the rest together, the bias."""
    w, d = subject.inputs.weights, subject.d_model
    assert w is not None
    query = subject.stages.query[subject.query].numpy()
    left, right = st.columns([0.24, 0.76], vertical_alignment="bottom")
    with left:
        which = st.selectbox(
            "One number of the query, worked out",
            range(subject.d_head),
            index=int(np.abs(query).argmax()),
            format_func=lambda i: f"number {i}",
            key=f"worked_{subject.d_head}_{subject.query}",
        )
    x, column = subject.inputs.x[subject.query].numpy(), w.w_q[:, which].numpy()
    products = x * column
    top = np.argsort(-np.abs(products), kind="stable")[: 6 if d <= 6 else 5]
    terms = [(_name(subject, i), f"{number(x[i])} × {number(column[i])} = {signed(products[i])}") for i in top]
    if d > len(top):
        terms.append((f"the other {d - len(top)}", signed(float(products.sum() - products[top].sum()))))
    if w.b_q is not None:
        terms.append(("bias", signed(float(w.b_q[which]))))
    with right:
        layout.worked(terms, f"together {signed(float(query[which]))}", "q")


def _name(subject: StepSubject, i: int) -> str:
    return subject.meanings[i] if subject.meanings else f"no. {i}"


def _rotation(subject: StepSubject) -> None:
    """Rotary positions: the chosen query before and after, and its first pairs as clock hands."""
    w, rotation, i = subject.stages, subject.inputs.rotation, subject.query
    assert rotation is not None
    paragraph(
        f"<b>Now the place comes in.</b> Two numbers of a query make a point, and each of "
        f"{subject.query_html}’s points is "
        "turned "
        f"about the middle by {i} times the pair’s own angle, since it stands at place {i}. Keys are turned "
        "likewise, so "
        "a score depends on how far apart two words are, and lengths stay as they were."
    )
    rows = [("query", w.query[i].numpy()), ("turned", w.turned_query[i].numpy())]
    stack(rows, "step_2_turn", "The query before and after the rotation", picture="2 · Before and after the rotation")
    before = np.stack([w.query[i][rotation.first].numpy(), w.query[i][rotation.second].numpy()], axis=1)
    st.html(clocks(before, rotation.angles[i].numpy()))
