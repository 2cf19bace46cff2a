"""Step 1: words become vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.residual.input_parts import InputParts, input_parts
from attn_core.walkthrough.toy import Toy
from ui.drawing import widgets
from ui.drawing.cells import cells
from ui.step_by_step import layout, toy
from ui.step_by_step.layout import Term, number, paragraph
from ui.step_by_step.subject import StepSubject


def vectors(subject: StepSubject) -> None:
    """From the model's tables to E."""
    with widgets.card("step_1"):
        layout.step_header(1, _how_e_is_made(subject), aside=_what_e_knows(subject), formulas=[_sum_of_parts(subject)])
        if subject.toy is not None:
            toy.editors(subject, "tokens", "places")
        elif subject.parts is not None:
            paragraph(f"<b>How {subject.query_html} is made</b>, one strip a list: blue is negative, orange positive.")
            _made_of(subject.parts, subject.query)
        paragraph(f"<b>E of every word</b>, {subject.d_model} numbers each. Click a word to follow it.")
        strips(
            subject, subject.embedding, "embedding", "step_1_e", names=subject.meanings, picture="1 · E of every word"
        )
        made_by = [input_parts] if subject.toy is None else [Toy.inputs]
        layout.numbers_and_code(
            subject,
            1,
            lambda: layout.by_dimension(subject.embedding, subject.queries, subject.meanings),
            made_by=made_by,
        )


def _how_e_is_made(subject: StepSubject) -> str:
    parts, d, word = subject.parts, subject.d_model, subject.query_html
    if subject.toy is not None:
        return (
            f"In the pocket-size model a word is a list of {d} numbers, and each number has a meaning that we gave it: "
            f"{word} is {_read_off(subject)}. A second list stands for the place in the sentence. Added up they are "
            f"<b>E</b>, the <b>embedding</b> of the word, an arrow in a space of {d} directions."
        )
    if parts is None:
        return f"Every word enters as a list of {d} numbers, its <b>embedding</b> E, an arrow in as many directions."
    said = (
        f"For every token that it knows, the model keeps a list of {parts.token.shape[1]} numbers. It looks up {word}’s"
    )
    said += f" and multiplies it by {number(parts.factor)}" if parts.factor != 1 else ""
    more = []
    if parts.position is not None:
        more.append(f"adds a list that stands for the place in the sentence, here place {subject.query}")
    if parts.segment is not None:
        more.append("one that says which of two texts the word is in (here there is only one)")
    said += (", " if more else "") + ", and ".join(more)
    after = {"projection": "brings it to the model’s own size"}
    done = [after.get(name, f"brings it to one scale ({name})") for name, _ in parts.steps]
    said += f", and then {' and '.join(done)}" if done else ""
    return f"{said}. The result is <b>E</b>, the <b>embedding</b> of the word: an arrow in a space of {d} directions."


def _read_off(subject: StepSubject) -> str:
    """The toy's word in words: “1 noun”."""
    assert subject.toy is not None
    numbers = subject.toy.tokens[subject.query].tolist()
    parts = [f"{number(x)} {name}" for name, x in zip(subject.meanings, numbers, strict=True) if x]
    return " and ".join(parts) if parts else "nothing in particular"


def _what_e_knows(subject: StepSubject) -> str:
    said = ""
    if subject.inputs.rotation is not None:
        said = "This model adds nothing for the place: it turns queries and keys by it, in step 2. "
    elif subject.inputs.position_bias is not None:
        said = "This model adds nothing for the place: it adds a number for each distance to the scores, in step 4. "
    if subject.crosses:
        return (
            f"{said}What is drawn under “E of every word” is E as it enters cross-attention in layer {subject.layer}: "
            "the decoder’s own attention has added to it before, so it already knows something of the words before it."
        )
    if subject.layer == 0:
        here = " at this place" if subject.parts is not None and subject.parts.position is not None else ""
        return (
            f"{said}So far {subject.query_html} is the same in every sentence{here}: nothing in E knows its neighbours."
        )
    since = "Layer 0 has" if subject.layer == 1 else f"Layers 0 to {subject.layer - 1} have each"
    return (
        f"{said}{since} added to it since: what is drawn under “E of every word” is E as it enters layer "
        f"{subject.layer}, "
        "and it already knows something of its neighbours."
    )


def _sum_of_parts(subject: StepSubject) -> list[Term]:
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


def _made_of(parts: InputParts, i: int) -> None:
    """The chosen word's vectors, from the table to E, as strips under each other; E has a scale of its own."""
    rows = [("token", parts.factor * parts.token[i]), (f"+ place {i}", parts.position), ("+ segment", parts.segment)]
    added = [(name, (part if part.dim() == 1 else part[i]).numpy()) for name, part in rows if part is not None]
    if len(added) > 1:
        added.append(("= sum", parts.summed[i].numpy()))
    stack(added, "step_1_parts", "What the word's vector is summed from", picture="1 · How E is made")
    if parts.steps:
        paragraph(f"then {' and '.join(name for name, _ in parts.steps)}, on a scale of its own:", soft=True)
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
        says="{row}: number {column} is {value}",
        alt=alt,
        limit=limit or most(numbers),
        row_height=20,
    )
    cells(packet, key=key, picture=picture)


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
        says="{row}: " + ("{column}" if names else "number {column}") + " is {value}",
        alt=f"{len(side.labels)} words, {numbers.shape[1]} numbers each",
        chosen=(subject.place_in(subject.key if of_keys else subject.query, window), None),
        limit=most(numbers),
        row_height=26 if numbers.shape[1] <= 12 else 18,
        tallest=430,
        choose=True,
    )
    picked = lambda row, _: subject.pick(key=row) if of_keys else subject.pick(query=row)  # noqa: E731
    cells(packet, key=key, picture=picture, on_choose=picked)
