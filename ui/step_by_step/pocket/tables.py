"""One step of the pocket-size head: every number written out, and one row times one column worked out with motion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from markupsafe import Markup

from attn_core.figures.html.number_table import Matrix, number_table, product
from attn_core.text.numbers import number
from attn_core.walkthrough.toy import MEANINGS
from ui import words
from ui.drawing import widgets
from ui.shell.badges import provenance
from ui.step_by_step.layout import TITLES
from ui.step_by_step.sentences_values import beginnings, read_off
from ui.step_by_step.subject import StepSubject

WORDS = words.beside(__file__)
HEAD_SPACE = ("0", "1")  # the two numbers of a query, key or value


def card(subject: StepSubject, step: int) -> None:
    """The step's name, what happens in it in the pocket-size head, and all its numbers."""
    text = Markup('<div class="hl-step"><i>{}</i><h2>{}</h2><p>{}{}</p></div>').format(
        step, Markup(TITLES[step - 1]), Markup(provenance("toy")), SAYS[step](subject)
    )
    with widgets.card("pocket"):
        st.html(Markup('<div class="hl-pocket">{}<div>{}</div></div>').format(text, TABLES[step](subject)))


# --- What is said ------------------------------------------------------------------------------------------------


def _says_vectors(subject: StepSubject) -> Markup:
    return WORDS.html("says.vectors", word=subject.query_html, place=subject.query)


def _says_queries(subject: StepSubject) -> Markup:
    return WORDS.html("says.queries")


def _says_scores(subject: StepSubject) -> Markup:
    score = number(float(subject.stages.raw_scores[subject.query, subject.key]))
    return WORDS.html("says.scores", word=subject.query_html, other=subject.key_html, score=score)


def _says_scale(subject: StepSubject) -> Markup:
    return WORDS.html("says.scale")


def _says_mask(subject: StepSubject) -> Markup:
    seen = int(subject.stages.may_look[subject.query].sum())
    return WORDS.html("says.mask", word=subject.query_html, seen=seen, n=len(subject.keys))


def _says_shares(subject: StepSubject) -> Markup:
    return WORDS.html("says.shares", word=subject.query_html)


def _says_values(subject: StepSubject) -> Markup:
    return WORDS.html("says.values", word=subject.query_html)


def _says_delta(subject: StepSubject) -> Markup:
    return words.together(WORDS.html("says.delta", word=subject.query_html), read_off(subject))


SAYS: dict[int, Callable[[StepSubject], Markup]] = {
    1: _says_vectors,
    2: _says_queries,
    3: _says_scores,
    4: _says_scale,
    5: _says_mask,
    6: _says_shares,
    7: _says_values,
    8: _says_delta,
}


# --- What is drawn -----------------------------------------------------------------------------------------------


def _e(subject: StepSubject) -> Matrix:
    return Matrix("E of every word", subject.embedding, subject.queries.labels, MEANINGS, row=subject.query)


def _vectors(subject: StepSubject) -> Markup:
    toy, i = subject.toy, subject.query
    assert toy is not None
    parts = np.stack([toy.tokens[i].numpy(), toy.places[i].numpy(), subject.embedding[i]])
    rows = ("meaning", f"+ place {i}", "= E")
    one = Matrix(f"How {subject.query_name(i)} is made", parts, rows, MEANINGS, row=2)
    return number_table(one) + number_table(_e(subject))


def _queries(subject: StepSubject) -> Markup:
    toy, w, words_ = subject.toy, subject.stages, subject.queries.labels
    assert toy is not None
    made = []
    for name, role, matrix, result, row in (
        ("Q", "query", toy.w_q, w.query, subject.query),
        ("K", "key", toy.w_k, w.key, subject.key),
    ):
        left = Matrix(WORDS.text("e"), subject.embedding, words_, row=row)
        column = int(np.abs(result[row].numpy()).argmax())
        right = Matrix(f"W_{name}", matrix.numpy(), MEANINGS, HEAD_SPACE, role, column=column)
        made.append(product(left, right, Matrix(name, result.numpy(), role=role, row=row)))
    return Markup("").join(made)


def _scores(subject: StepSubject) -> Markup:
    w, names = subject.stages, subject.queries.labels
    left = Matrix("Q", w.query.numpy(), names, HEAD_SPACE, "query", row=subject.query)
    right = Matrix("Kᵀ: the keys, standing", w.key.numpy().T, HEAD_SPACE, names, "key", column=subject.key)
    return product(left, right, Matrix("scores", w.raw_scores.numpy(), row=subject.query))


def _scale(subject: StepSubject) -> Markup:
    w, i = subject.stages, subject.query
    rows = np.stack([w.raw_scores[i].numpy(), w.scaled[i].numpy()])
    title = f"The row of {subject.query_name(i)}"
    return number_table(Matrix(title, rows, ("score", "÷ √2"), subject.keys.labels, row=1))


def _mask(subject: StepSubject) -> Markup:
    names = subject.queries.labels
    grid = Matrix("scores after the mask", subject.stages.masked.numpy(), names, names, row=subject.query)
    list_ = Markup('<div class="hl-says">{}<br>{}</div>').format(WORDS.html("exercises"), beginnings(subject))
    return number_table(grid) + list_


def _shares(subject: StepSubject) -> Markup:
    masked = subject.stages.masked[subject.query].numpy()
    raised = np.exp(masked - masked.max())
    rows = np.stack([masked, raised, subject.stages.pattern[subject.query].numpy()])
    names = ("score", "e to the power of (score − largest)", "÷ their sum = share")
    title = f"The row of {subject.query_name(subject.query)}"
    return number_table(Matrix(title, rows, names, subject.keys.labels, row=2))


def _values(subject: StepSubject) -> Markup:
    w, i = subject.stages, subject.query
    shares = Matrix(f"shares of {subject.query_name(i)}", w.pattern[i : i + 1].numpy(), (), subject.keys.labels, row=0)
    column = int(np.abs(w.weighted_values[i].numpy()).argmax())
    value = Matrix("V: every word’s value", w.value.numpy(), subject.keys.labels, HEAD_SPACE, "value", column=column)
    return product(shares, value, Matrix("weighted sum", w.weighted_values[i : i + 1].numpy(), role="value"))


def _delta(subject: StepSubject) -> Markup:
    w, i, e = subject.stages, subject.query, subject.embedding[subject.query]
    change = w.delta[i].numpy()
    column = int(np.abs(change).argmax())
    left = Matrix("weighted sum", w.weighted_values[i : i + 1].numpy(), (), HEAD_SPACE, "value", row=0)
    right = Matrix("W_O", w.w_o.numpy(), HEAD_SPACE, MEANINGS, "value", column=column)
    sums = Matrix("The word, refined", np.stack([e, change, e + change]), ("E", "+ ΔE", "= E + ΔE"), MEANINGS, row=1)
    made = product(left, right, Matrix("ΔE", change[None], role="delta"))
    return made + number_table(sums)


TABLES: dict[int, Callable[[StepSubject], Markup]] = {
    1: _vectors,
    2: _queries,
    3: _scores,
    4: _scale,
    5: _mask,
    6: _shares,
    7: _values,
    8: _delta,
}
