"""What steps 1 to 4 say about a head and two words, in whole sentences. No Streamlit: numbers in, HTML out."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from attn_core.attention import softmax
from attn_core.text.numbers import number, percent, signed
from ui import words
from ui.drawing import markup
from ui.step_by_step.subject import Array, StepSubject
from ui.words import together

WORDS = words.beside(__file__)
Term = str | tuple[str, str] | tuple[str, str, str]  # of a formula: "=", or a symbol, its size, its role


# --- Step 1: vectors -------------------------------------------------------------------------------------------


def how_e_is_made(subject: StepSubject) -> Markup:
    """From the model's tables to E, one sentence for each thing that is added or done."""
    parts, d, word = subject.parts, subject.d_model, subject.query_html
    if subject.toy is not None:
        return WORDS.html("step_1.toy", d=d, meanings=_meanings(subject))
    if parts is None:
        return WORDS.html("step_1.captured", d=d)
    return together(
        WORDS.html("step_1.token", width=parts.token.shape[1], word=word),
        WORDS.html("step_1.factor", factor=number(parts.factor)) if parts.factor != 1 else "",
        WORDS.html("step_1.place", place=subject.query) if parts.position is not None else "",
        _segment(subject) if parts.segment is not None else "",
        *(_after(name) for name, _ in parts.steps),
        WORDS.html("step_1.result", d=d),
    )


def _segment(subject: StepSubject) -> Markup:
    if subject.segment:
        return WORDS.html("step_1.segment.of_pair", word=subject.query_html, segment=subject.segment)
    return WORDS.html("step_1.segment.alone")


def _after(name: str) -> Markup:
    return WORDS.html("step_1.after", "projection" if name == "projection" else "other", name=name)


def _meanings(subject: StepSubject) -> Markup:
    """The toy's word in words: "creature has 1 for noun"."""
    assert subject.toy is not None
    numbers = subject.toy.tokens[subject.query].tolist()
    parts = [f"{number(x)} for {name}" for name, x in zip(subject.meanings, numbers, strict=True) if x]
    kind = "some" if parts else "none"
    return WORDS.html("step_1.meanings", kind, word=subject.query_html, numbers=" and ".join(parts))


def what_e_knows(subject: StepSubject) -> Markup:
    """How the place comes in, where E does not hold it, and whether E has seen its neighbours by now."""
    place: Markup | str = ""
    if subject.inputs.rotation is not None:
        place = WORDS.html("step_1.knows.rotation")
    elif subject.inputs.position_bias is not None:
        place = WORDS.html("step_1.knows.bias")
    return together(place, _seen_so_far(subject))


def _seen_so_far(subject: StepSubject) -> Markup:
    layer = subject.layer
    if subject.crosses:
        return WORDS.html("step_1.knows.crosses", layer=layer)
    if layer > 0:
        return WORDS.html("step_1.knows.since", words.how_many(layer), last=layer - 1, layer=layer)
    if subject.parts is not None and subject.parts.position is not None:
        return WORDS.html("step_1.knows.nothing_here", word=subject.query_html)
    return WORDS.html("step_1.knows.nothing", word=subject.query_html)


def sum_of_parts(subject: StepSubject) -> list[Term]:
    """The formula of E, with sizes."""
    parts, d = subject.parts, str(subject.d_model)
    if parts is None:
        return [("E", f"{len(subject.queries)} × {d}")]
    width = str(parts.token.shape[1])
    inner: list[Term] = [("token" if parts.factor == 1 else f"{number(parts.factor)} · token", width)]
    for name, part in (("place", parts.position), ("segment", parts.segment)):
        inner += ["+", (name, width)] if part is not None else []
    for name, _ in parts.steps:
        inner = [f"{name}(", *inner, ")"]
    return [("E", d), "=", *inner]


# --- Step 2: queries and keys ----------------------------------------------------------------------------------


def what_queries_and_keys_are(subject: StepSubject) -> Markup:
    """How a query and a key are made of a word's vector."""
    if subject.toy is not None:
        return WORDS.html("step_2.toy")
    if subject.inputs.weights is None:
        return WORDS.html("step_2.captured", k=subject.d_head)
    normed = has_norm_first(subject)
    source = WORDS.html("step_2.source", "x" if normed else "e")
    return together(
        WORDS.html("step_2.norm_first") if normed else "",
        WORDS.html("step_2.query", source=source, word=subject.query_html, k=subject.d_head, d=subject.d_model),
        WORDS.html("step_2.key"),
        WORDS.html("step_2.key_of_other") if subject.crosses else "",
        WORDS.html("step_2.learnt"),
    )


def has_norm_first(subject: StepSubject) -> bool:
    """Whether W_Q receives something else than E itself."""
    return subject.is_real and not np.allclose(subject.inputs.x.numpy(), subject.embedding, atol=1e-5)


def reading_of_queries(subject: StepSubject) -> Markup:
    """The usual interpretation, named as one."""
    kind = "real" if subject.is_real else "toy"
    return WORDS.html("step_2.reading", kind, word=subject.query_html, other=subject.key_html)


def query_and_key_formulas(subject: StepSubject) -> list[list[Term]]:
    """Q and K as matrix products, with sizes; none where the model does more than multiply."""
    d, k, weights = subject.d_model, subject.d_head, subject.inputs.weights
    if weights is None:
        return []
    x = "x" if has_norm_first(subject) else "E"
    sides = (
        ("Q", "q", len(subject.queries), weights.b_q, x),
        ("K", "k", len(subject.keys), weights.b_k, "M" if subject.crosses else x),
    )
    formulas = []
    for name, role, n, bias, source in sides:
        end: list[Term] = ["+", (f"b<sub>{name}</sub>", f"{k}", role)] if bias is not None else []
        matrix = (f"W<sub>{name}</sub>", f"{d} × {k}", role)
        formulas.append([(name, f"{n} × {k}", role), "=", (source, f"{n} × {d}"), "·", matrix, *end])
    return formulas


def one_query_number(subject: StepSubject, which: int) -> tuple[list[tuple[str, str]], str]:
    """One number of the chosen query: its largest products, the rest together, the bias; and their sum."""
    weights, d, i = subject.inputs.weights, subject.d_model, subject.query
    assert weights is not None
    x, column = subject.inputs.x[i].numpy(), weights.w_q[:, which].numpy()  # both [d_model]
    products = x * column
    top = np.argsort(-np.abs(products), kind="stable")[: 6 if d <= 6 else 5]
    terms = [(_dimension(subject, j), f"{number(x[j])} × {number(column[j])} = {signed(products[j])}") for j in top]
    if d > len(top):
        terms.append((f"the other {d - len(top)}", signed(float(products.sum() - products[top].sum()))))
    if weights.b_q is not None:
        terms.append(("bias", signed(float(weights.b_q[which]))))
    return terms, f"together {signed(float(subject.stages.query[i][which]))}"


def _dimension(subject: StepSubject, i: int) -> str:
    return subject.meanings[i] if subject.meanings else f"no. {i}"


# --- Steps 3 and 4: scores and their scale -----------------------------------------------------------------------


def products_of(q: Array, k: Array) -> Markup:
    """How the products of a query and a key add up to their score."""
    products = q * k
    agree, differ = float(products[products > 0].sum()), float(products[products < 0].sum())
    top = int(np.abs(products).argmax())
    return WORDS.html(
        "step_3.products",
        agree=signed(agree),
        differ=signed(differ),
        top=top,
        query=number(q[top]),
        key=number(k[top]),
        product=signed(float(products[top])),
    )


def divides(subject: StepSubject) -> bool:
    """Whether the scores are divided here, and not earlier or never."""
    return not math.isclose(subject.inputs.scale_factor(), 1.0)


def why_divide(subject: StepSubject) -> list[Markup]:
    """What the division by √d does to the chosen row, or why there is none here; one paragraph each."""
    paragraphs = _spread_and_share(subject) if divides(subject) else [_divided_elsewhere(subject)]
    if subject.inputs.cap is not None:
        paragraphs.append(WORDS.html("step_4.cap", cap=number(subject.inputs.cap)))
    if subject.inputs.position_bias is not None:
        added = signed(float(subject.inputs.position_bias[subject.query, subject.key]))
        paragraphs.append(
            WORDS.html("step_4.bias", word=subject.query_html, other=subject.key_html, added=added),
        )
    if subject.inputs.learnt_score is not None:
        last = markup.key(subject.key_name(len(subject.keys) - 1))
        paragraphs.append(WORDS.html("step_4.learnt", last=last, score=signed(subject.inputs.learnt_score)))
    return paragraphs


def _spread_and_share(subject: StepSubject) -> list[Markup]:
    divisor, row = 1 / subject.inputs.scale_factor(), subject.query
    seen = subject.stages.may_look[row].numpy()
    spread = float(subject.stages.raw_scores[row].numpy()[seen].std())
    spreads = WORDS.html(
        "step_4.spread",
        k=subject.d_head,
        divisor=number(divisor),
        word=subject.query_html,
        before=number(spread),
        after=number(spread / divisor),
    )
    sharp, true = float(row_without_scale(subject).max()), float(subject.stages.pattern[row].max())
    return [spreads, WORDS.html("step_4.sharp", sharp=percent(sharp), true=percent(true))]


def row_without_scale(subject: StepSubject) -> Array:
    """The chosen row's softmax if nothing had been divided, cap and bias left out."""
    raw = subject.stages.raw_scores[subject.query] / subject.inputs.scaled_before
    result: Array = softmax(raw.masked_fill(~subject.stages.may_look[subject.query], -math.inf)).numpy()
    return result


def _divided_elsewhere(subject: StepSubject) -> Markup:
    before = subject.inputs.scaled_before
    if math.isclose(before, 1.0):
        return WORDS.html("step_4.never")
    return WORDS.html("step_4.earlier", before=number(before), k=subject.d_head)
