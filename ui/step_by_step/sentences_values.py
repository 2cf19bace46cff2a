"""What steps 5 to 8, the guess and the ablations say, in whole sentences. No Streamlit: numbers in, HTML out."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from attn_core.residual import geometry
from attn_core.text.numbers import number, percent, percent_or_number
from attn_core.views.headlines import disambiguated_labels
from attn_core.walkthrough import toy
from attn_core.walkthrough.from_trace import places_of
from attn_core.walkthrough.head import HeadStages
from ui import words
from ui.drawing.markup import key, query, tok
from ui.step_by_step.sentences_scores import Term, has_norm_first
from ui.step_by_step.subject import Array, StepSubject
from ui.words import together

WORDS = words.beside(__file__)
MOST_BEGINNINGS, MOST_WORDS = 6, 40


# --- The headline ----------------------------------------------------------------------------------------------


def headline(subject: StepSubject) -> Markup:
    """Where the chosen word looks, after eight steps."""
    word = query(disambiguated_labels(subject.queries.labels, range(len(subject.queries)))[subject.query])
    return WORDS.html("start.lead", word=word, has_looked=_has_looked(subject))


def _has_looked(subject: StepSubject) -> Markup:
    """Mostly at special tokens or at itself, or else at the one or two strongest others."""
    row, special = subject.stages.pattern[subject.query].numpy(), np.array(subject.keys.special)
    if row[special].sum() > 0.5:
        return WORDS.html("start.has_looked.away", share=percent(float(row[special].sum())))
    own = None if subject.crosses else subject.query
    if own is not None and row[own] > 0.5:
        return WORDS.html("start.has_looked.itself", share=percent(float(row[own])))
    others = [int(i) for i in np.argsort(-row, kind="stable") if not special[i] and i != own]
    names = disambiguated_labels(subject.keys.labels, range(len(subject.keys)))
    strong = [Markup("{} ({})").format(key(names[i]), percent(float(row[i]))) for i in others[:2]]
    if len(others) > 1 and row[others[1]] >= 0.5 * row[others[0]]:
        return WORDS.html("start.has_looked.two", first=strong[0], second=strong[1])
    return WORDS.html("start.has_looked.one", first=Markup("").join(strong[:1]))


# --- Steps 5 and 6: mask and softmax ---------------------------------------------------------------------------


def what_is_masked(subject: StepSubject) -> Markup:
    """Who may look at whom, and why."""
    may_look = subject.stages.may_look.numpy()  # [query, key]
    if may_look.all():
        return _no_mask(subject)
    seen, kind = int(may_look[subject.query].sum()), "real" if subject.is_real else "toy"
    return together(
        WORDS.html("step_5.masked", kind, word=subject.query_html, seen=seen, n=may_look.shape[1]),
        WORDS.html("step_5.forgets") if np.tril(~may_look).any() else "",
    )


def _no_mask(subject: StepSubject) -> Markup:
    if subject.crosses:
        return WORDS.html("step_5.crosses")
    why = WORDS.html("step_5.encoder") if subject.stream == "encoder" else WORDS.html("step_5.gaps")
    return together(why, WORDS.html("step_5.other_models"))


def beginnings(subject: StepSubject) -> Markup:
    """The exercises that one sentence holds: each beginning, and the next word in bold; a line each."""
    start = subject.q_window.start
    n = min(len(subject.queries) - start, MOST_BEGINNINGS + 1)
    names = [subject.query_name(start + i) for i in range(n)]
    line = Markup('<span class="hl-tok">{} → <b>{}</b></span>')
    return Markup("<br>").join(line.format(" ".join(names[: i + 1]), names[i + 1]) for i in range(n - 1))


def verdict(subject: StepSubject, guess: int) -> Markup:
    """What became of the visitor's guess."""
    row = subject.stages.pattern[subject.query].numpy()
    rank, own, share = int((row > row[guess]).sum()) + 1, key(subject.key_name(guess)), percent(float(row[guess]))
    best = int(row.argmax())
    score = number(float(subject.stages.masked[subject.query, best]))
    itself = WORDS.html("guess.itself") if best == subject.query and not subject.crosses else ""
    if rank == 1:
        return together(WORDS.html("guess.right", guess=own, share=share, score=score), itself)
    said = WORDS.html(
        "guess.wrong",
        guess=own,
        share=share,
        rank=rank,
        n=len(row),
        best=key(subject.key_name(best)),
        most=percent(float(row[best])),
        score=score,
    )
    return together(said, itself)


def row_worked_out(subject: StepSubject, drawn: list[int]) -> Markup:
    """The chosen cell's share worked out, what the row sums to, and what the keys that are not `drawn` get."""
    row = subject.stages.pattern[subject.query].numpy()
    rest = percent(float(row.sum() - row[drawn].sum()))
    return together(
        _one_share(subject, row),
        WORDS.html("step_6.sums", sum=number(float(row.sum()), 6)),
        WORDS.html("step_6.rest", n=len(row) - len(drawn), share=rest) if len(drawn) < len(row) else "",
    )


def _one_share(subject: StepSubject, row: Array) -> Markup | str:
    masked = subject.stages.masked[subject.query].numpy()
    top, here = float(masked.max()), float(masked[subject.key])
    if not np.isfinite(here):
        return ""
    return WORDS.html(
        "step_6.worked",
        other=subject.key_html,
        here=number(here),
        top=number(top),
        total=number(float(np.exp(masked - top).sum())),
        share=number(float(row[subject.key])),
    )


# --- Steps 7 and 8: values and ΔE ------------------------------------------------------------------------------


def value_formulas(subject: StepSubject) -> list[list[Term]]:
    """V and the weighted sum as matrix products, with sizes."""
    n, d, k, weights = len(subject.keys), subject.d_model, subject.d_head, subject.inputs.weights
    sum_: list[Term] = [("mix", f"{k}", "v"), "=", ("A", f"{n}"), "·", ("V", f"{n} × {k}", "v")]
    if weights is None:
        return [sum_]
    x = "M" if subject.crosses else "x" if has_norm_first(subject) else "E"
    end: list[Term] = ["+", ("b<sub>V</sub>", f"{k}", "v")] if weights.b_v is not None else []
    return [[("V", f"{n} × {k}", "v"), "=", (x, f"{n} × {d}"), "·", ("W<sub>V</sub>", f"{d} × {k}", "v"), *end], sum_]


def read_off(subject: StepSubject) -> Markup | str:
    """ΔE in words, where each number has a meaning: in the toy."""
    if subject.toy is None:
        return ""
    change = subject.stages.delta[subject.query].numpy()
    part = Markup("<b>{}</b> {}")
    parts = [
        part.format(number(x), name) for name, x in zip(subject.meanings, change, strict=True) if abs(float(x)) > 5e-4
    ]
    return WORDS.html("step_8.read_off", "some" if parts else "none", numbers=Markup(", ").join(parts))


# --- Ablations --------------------------------------------------------------------------------------------------


def new_order(subject: StepSubject) -> Markup:
    """The sentence as it reads when its words have changed places."""
    standing = list(toy.SHUFFLED) if subject.toy is not None else places_of(list(subject.queries.special))
    order = sorted(range(len(standing)), key=standing.__getitem__)
    named = [tok(subject.query_name(i), "q" if i == subject.query else "") for i in order[:MOST_WORDS]]
    more = ["…"] if len(order) > MOST_WORDS else []
    return WORDS.html("break.new_order", words=Markup(" ").join([*named, *more]))


def what_changed(subject: StepSubject, broken: HeadStages) -> list[tuple[str, str]]:
    """The broken head beside the intact one, as (number, what it is): weights, row sums, length and turn of ΔE."""
    intact, i = subject.stages, subject.query
    before, after = intact.delta[i].numpy(), broken.delta[i].numpy()  # [d_model]
    angle, rows = float(geometry.angle(before, after)), broken.pattern.sum(dim=-1)
    largest = percent(float(intact.pattern[i].max())), percent_or_number(float(broken.pattern[i].max()))
    sums = dict.fromkeys((number(float(rows.min())), number(float(rows.max()))))
    return [
        (" → ".join(largest), "largest weight of the row"),
        (percent_or_number(float((broken.pattern - intact.pattern).abs().max())), "largest change of any weight"),
        (" … ".join(sums), "what rows sum to"),
        (f"{number(float(geometry.norm(before)))} → {number(float(geometry.norm(after)))}", "length of ΔE"),
        ("–" if np.isnan(angle) else f"{angle:.0f}°", "by which ΔE is turned away"),
    ]
