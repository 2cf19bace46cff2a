"""What steps 3 to 7 share: a grid of query and key pairs, and bars for the keys of one row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from attn_core.figures.canvas.matrix import Kind, pack_cells
from ui.drawing import canvas
from ui.step_by_step.reading import pick
from ui.step_by_step.subject import StepSubject

MOST_BARS = 14
FEW = 8  # so few words leave room for larger cells


def grid(
    subject: StepSubject,
    numbers: np.ndarray,
    key: str,
    *,
    picture: str,
    says: str,
    alt: str,
    kind: Kind = "signed",
    turned: bool = False,
    all_seen: bool = False,
) -> None:
    """A grid of pairs, with the chosen row and cell; a click chooses both. `all_seen`: the mask is not there yet."""
    shown = numbers if all_seen else np.where(subject.stages.may_look.numpy(), numbers, -np.inf)
    packet = pack_cells(
        shown[subject.q_window, subject.k_window],
        replace(subject.query_side(), slanted=turned),
        subject.key_side(slanted=not turned),
        kind=kind,
        scale="sqrt" if kind == "weights" else "linear",
        says=says,
        alt=alt,
        chosen=(subject.place_in(subject.query, subject.q_window), subject.place_in(subject.key, subject.k_window)),
        square=True,
        largest=46 if len(subject.keys) > FEW else 68,
        turned=turned,
        masked="−∞" if kind == "signed" else "",
        choose=True,
        segments=subject.segments(numbers if kind == "weights" else None),
    )
    canvas.cells(packet, key=key, picture=picture, on_choose=lambda row, column: pick(subject, row, column))


def bars_of(subject: StepSubject, weights: np.ndarray) -> list[int]:
    """The keys that get a bar, in the order of the sentence: all, or the strongest where there are many."""
    if len(weights) <= MOST_BARS:
        return list(range(len(weights)))
    order = np.argsort(-np.nan_to_num(weights, nan=-1), kind="stable")[:MOST_BARS]
    return sorted({*order.tolist(), subject.key})


def marks_of(subject: StepSubject, order: list[int]) -> dict[int, tuple[str, str]]:
    """The roles of the rows of bars: the chosen query and key, special tokens."""
    marks = {at: ("special", "") for at, i in enumerate(order) if subject.keys.special[i]}
    for i, role in ((subject.key, "key"), *(() if subject.crosses else ((subject.query, "query"),))):
        if i in order:
            marks[order.index(i)] = (role, "")
    return marks
