"""Step 1: words become vectors; and the strips that every step draws vectors as."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.residual.input_parts import InputParts, input_parts
from attn_core.walkthrough.toy import Toy
from ui import words
from ui.drawing import canvas, widgets
from ui.step_by_step import layout, toy
from ui.step_by_step.layout import paragraph
from ui.step_by_step.reading import pick
from ui.step_by_step.sentences_scores import how_e_is_made, sum_of_parts, what_e_knows
from ui.step_by_step.subject import StepSubject

WORDS = words.beside(__file__)


def vectors(subject: StepSubject) -> None:
    """From the model's tables to E."""
    with widgets.card("step_1"):
        layout.step_header(1, how_e_is_made(subject), aside=what_e_knows(subject), formulas=[sum_of_parts(subject)])
        if subject.toy is not None:
            toy.editors(subject, "tokens", "places")
        elif subject.parts is not None:
            paragraph(WORDS.html("step_1.made", word=subject.query_html))
            _made_of(subject.parts, subject.query)
        paragraph(WORDS.html("step_1.e", d=subject.d_model))
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


def _made_of(parts: InputParts, i: int) -> None:
    """The chosen word's vectors, from the table to E, as strips under each other; E has a scale of its own."""
    rows = [("token", parts.factor * parts.token[i]), (f"+ place {i}", parts.position), ("+ segment", parts.segment)]
    added = [(name, (part if part.dim() == 1 else part[i]).numpy()) for name, part in rows if part is not None]
    if len(added) > 1:
        added.append(("= sum", parts.summed[i].numpy()))
    stack(added, "step_1_parts", "What the word's vector is summed from", picture="1 · How E is made")
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
        alt=f"{len(side.labels)} words, {numbers.shape[1]} numbers each",
        chosen=(subject.place_in(subject.key if of_keys else subject.query, window), None),
        limit=most(numbers),
        row_height=26 if numbers.shape[1] <= 12 else 18,
        tallest=430,
        choose=True,
    )
    picked = lambda row, _: pick(subject, key=row) if of_keys else pick(subject, query=row)  # noqa: E731
    canvas.cells(packet, key=key, picture=picture, on_choose=picked)
