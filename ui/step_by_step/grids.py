"""What steps 3 to 7 share: a grid of query and key pairs, and bars for the keys of one row."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from attn_core.figures.canvas.matrix import Kind, pack_cells
from attn_core.text.numbers import percent
from ui.drawing.cells import cells
from ui.step_by_step.subject import Scene

MOST_BARS = 14
FEW = 8  # so few words leave room for larger cells


def grid(
    scene: Scene,
    numbers: np.ndarray,
    key: str,
    *,
    picture: str,
    says_: str,
    alt: str,
    kind: Kind = "signed",
    turned: bool = False,
    all_seen: bool = False,
) -> None:
    """A grid of pairs, with the chosen row and cell; a click chooses both. `all_seen`: the mask is not there yet."""
    shown = numbers if all_seen else np.where(scene.stages.may_look.numpy(), numbers, -np.inf)
    packet = pack_cells(
        shown[scene.q_window, scene.k_window],
        replace(scene.query_side(), slanted=turned),
        scene.key_side(slanted=not turned),
        kind=kind,
        scale="sqrt" if kind == "weights" else "linear",
        says=says_,
        alt=alt,
        chosen=(scene.inside(scene.asks, scene.q_window), scene.inside(scene.answers, scene.k_window)),
        square=True,
        largest=46 if len(scene.keys) > FEW else 68,
        turned=turned,
        masked="−∞" if kind == "signed" else "",
        choose=True,
    )
    cells(packet, key=key, picture=picture, on_choose=lambda row, column: scene.pick(row, column))


def bars_of(scene: Scene, weights: np.ndarray) -> list[int]:
    """The keys that get a bar, in the order of the sentence: all, or the strongest where there are many."""
    if len(weights) <= MOST_BARS:
        return list(range(len(weights)))
    order = np.argsort(-np.nan_to_num(weights, nan=-1), kind="stable")[:MOST_BARS]
    return sorted({*order.tolist(), scene.answers})


def as_share(weight: float) -> str:
    """A weight in words; NaN is masked, which is not zero."""
    return "masked" if math.isnan(weight) else percent(float(weight))


def marks_of(scene: Scene, order: list[int]) -> dict[int, tuple[str, str]]:
    """The roles of the rows of bars: the chosen query and key, special tokens."""
    marks = {at: ("special", "") for at, i in enumerate(order) if scene.keys.special[i]}
    for i, role in ((scene.answers, "key"), *(() if scene.crosses else ((scene.asks, "query"),))):
        if i in order:
            marks[order.index(i)] = (role, "")
    return marks
