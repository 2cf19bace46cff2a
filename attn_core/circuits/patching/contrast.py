"""Two sentences that answer differently: what is measured of each, and how much of the difference moves over.

effect = (d_patched − d_B) / (d_A − d_B)      "denoising": A's tensors are put into B
         (d_A − d_patched) / (d_A − d_B)      "noising": B's are put into A
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attn_core.capture.run import trace as run_trace
from attn_core.circuits.patching.answers import Answer, NearerTo, Word, answer_of
from attn_core.errors import HeadlightError
from attn_core.places import Place
from attn_core.tolerances import SAME_DIRECTION

if TYPE_CHECKING:
    from attn_core.capture.model import Model
    from attn_core.traces.trace import Trace

DIRECTIONS = ("denoising", "noising")
ALIKE = 0.1  # of the larger d: two sentences that answer more alike have no effect to share out
Run = Callable[..., "Trace"]


@dataclass(frozen=True, eq=False)
class Contrast:
    """Two sentences, what is measured of them, and which of them is changed: `donor`'s tensors go into `base`."""

    a: Trace
    b: Trace
    answer: Answer
    direction: str
    d_a: float
    d_b: float

    @property
    def donor(self) -> Trace:
        return self.a if self.direction == "denoising" else self.b

    @property
    def base(self) -> Trace:
        return self.b if self.direction == "denoising" else self.a

    @property
    def alike(self) -> str:
        """Why there is no effect to share out, as a sentence; "" where there is one."""
        apart, larger = abs(self.d_a - self.d_b), max(abs(self.d_a), abs(self.d_b))
        same = isinstance(self.answer, NearerTo) and apart <= 2 * SAME_DIRECTION
        if apart >= ALIKE * larger and apart > 0 and not same:
            return ""
        return (
            f"A and B answer alike (d is {self.d_a:.3g} for A and {self.d_b:.3g} for B), so there is no difference to "
            "share out: the effect is NaN. Choose words or sentences that differ more."
        )

    def effect(self, patched: float) -> float:
        """How much of the difference moved over, 0 to 1; NaN where there is none."""
        if self.alike:
            return float("nan")
        before, after = (self.d_b, self.d_a) if self.direction == "denoising" else (self.d_a, self.d_b)
        return (patched - before) / (after - before)

    def row(self, place: Place, patched: float) -> tuple[Any, ...]:
        """One row of the table, in the order of its columns (`table.COLUMNS`)."""
        return place.layer, place.head, place.position, self.d_a, self.d_b, patched, self.effect(patched)


def contrast(
    model: Model,
    a: Any,
    b: Any,
    answer: Sequence[Word] | None = None,
    position: int | None = None,
    *,
    target: Any = None,
    direction: str = "denoising",
    run: Run = run_trace,
) -> Contrast:
    """Read two sentences and what they answer. Raises ValueError or HeadlightError, with a sentence, for bad input."""
    if direction not in DIRECTIONS:
        raise ValueError(f'direction must be "denoising" or "noising", got {direction!r}')
    if model.reads_sound:
        raise HeadlightError(f"{model.name} listens to speech; patching reads two sentences.")
    given = {} if target is None else {"target": target}
    read_a, read_b = (run(model, text, **given) for text in (a, b))
    measured = answer_of(model, read_a, read_b, answer, position)
    end = "decoder" if read_b.kind == "encoder-decoder" else "self"
    d_a, d_b = (
        float(measured.of(read.stream(end).final_embedding()[None], side)[0])
        for side, read in enumerate((read_a, read_b))
    )
    return Contrast(read_a, read_b, measured, direction, d_a, d_b)
