"""The way of clicks that led to a score: the scores before it, and how much of the first is left. No Streamlit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from attn_core.circuits import explanation
from attn_core.traces.parts import ScoreParts, Writer
from ui.param import Earlier, Param

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace

MOST_STEPS = 8
SIDES = {"q": "query", "k": "key"}


class Step(NamedTuple):
    """A score on the way, and whether the next one opened what was written into its query or its key."""

    stream: str
    layer: int
    head: int
    query: int
    key: int
    side: str  # "q" or "k"


Trail = tuple[Step, ...]


def parse(raw: str, _: Earlier) -> Trail:
    """ "self.5.3.4.2.q_self.2.1.4.3.k" → two steps. ValueError says what is wrong."""
    steps = []
    for said in raw.split("_") if raw else []:
        stream, *places, side = said.split(".")
        sound = len(places) == 4 and all(n.isascii() and n.isdigit() and len(n) < 7 for n in places)
        if not sound or side not in SIDES or stream not in ("self", "encoder", "decoder", "cross"):
            raise ValueError("each step must be stream.layer.head.query.key.side")
        layer, head, query, key = map(int, places)
        steps.append(Step(stream, layer, head, query, key, side))
    if len(steps) > MOST_STEPS:
        raise ValueError(f"it may have {MOST_STEPS} steps")
    return tuple(steps)


def show(trail: Trail) -> str:
    return "_".join(".".join(map(str, step)) for step in trail)


TRAIL = Param("trail", (), parse, show, label="Way", in_caption=False)


def share_left(trail: Trail, here: Step, share: Callable[[Step, Step], float]) -> float:
    """How much of the first score goes through every step up to `here`, signed: the product of the steps' shares.

    Raises what `share` raises, where a step does not lead to the next.
    """
    return math.prod(share(step, following) for step, following in zip(trail, [*trail[1:], here], strict=True))


def step_share(trace: Trace, parts: ScoreParts, step: Step, following: Step) -> float:
    """What the next score's head brought from that score's key, as a share of this score, which `parts` splits.

    Raises IndexError, ValueError or HeadlightError where the step does not lead to the next.
    """
    token = step.query if step.side == "q" else step.key
    if following.query != token:
        raise ValueError("this step does not lead to the next")
    taken = explanation.sources_of_writer(trace, parts, SIDES[step.side], writer_of(following))
    return float(taken[following.key]) / parts.score


def writer_of(step: Step) -> Writer:
    """The head of a step as a writer."""
    prefix = "" if step.stream == "self" else f"{step.stream} "
    return Writer(f"{prefix}head {step.layer}.{step.head}", "head", step.stream, step.layer, step.head)
