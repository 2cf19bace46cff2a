"""How far our numbers are from tensors that left the model, and every tolerance that they are compared with.

Float32 keeps about seven digits, so one rounding is 6e-8 of a number; sums over hundreds of terms, in another order
than the model's, lose one or two digits more. Each tolerance says what it has to tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from attn_core.options import check_several
from attn_core.tolerances import SMALLEST, TOLERANCES, coarsest

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor


TOLERANCE = TOLERANCES["float32"]  # relative, of each row; ours against those of a model in float32

# For the search of a model's wiring. Too tight misses a family, too loose takes a chance likeness for a wire.
SUM = 2e-6  # relative to the size of the terms, for each element: one addition, rounded once or twice
DIFFERENCE = 4e-6  # relative to the largest value: two subtractions, so rounding of large numbers is left in small ones
NEAR_ZERO = 1e-7  # absolute: elements that cancel
DIRECTION = 1e-5  # 1 − cosine of two vectors that are the same, and of a factor that is 1
FACTOR = 1e-4  # relative: one factor for all heads
SAME = 1e-4, 1e-5, 1e-9  # relative; of the largest value; absolute: a product over d_model terms in another order
ROTATION = 1e-4  # relative length of what a fitted rotation leaves over: cos and sin are rounded too
LOGITS = 1e-3, 1e-4  # relative; of the largest logit: a sum over d_model and a fit over all words
OWN_ATTENTION = 1e-3  # relative: the model's last states with our attention against those with its own
NEXT = "the stream that left the block"  # what is compared where a block is known to its end
CHANGED_PASS = 1e-4  # relative: the last states of a changed pass, sums of every layer in another order than its judge
ROW_SUM = 1e-4  # how far the rows of a pattern that somebody forces may be from 1


class _Errors(NamedTuple):
    pattern: float | None
    delta: float | None
    residual: float | None


LEFT_OUT = {  # what a check may have nothing to compare with, and why
    "small": 'all of a trace of keep="small": nothing that left the model is kept in it',
    "weights": "ΔE and the residual stream: the trace was opened without its model",
    "sums": "E + what attention adds: where that enters the stream was not found",
    "mlp": "what a block adds after attention: how it goes on was not found",
    "received": "what W_Q receives: how it comes from E was not found",
    "final": "the final embedding: what it is made of was not found",
}


class Comparison(NamedTuple):
    """One of our tensors against one that left the model: absolute difference ÷ the row's largest value.

    `error` is that of the worst row, `mean` the mean over rows (see `row_errors`). Heads leave the model one by one
    before W_O alone; after it, `head` is None: the comparison is of their sum.
    """

    stream: str
    layer: int
    head: int | None
    part: str  # a field of `Parity`, or "final"
    against: str
    error: float
    mean: float


class Parity(_Errors):
    """How far our numbers are from tensors that left the model: worst absolute difference ÷ largest value, per row.

    Rows are judged one by one, and heads too before W_O, so that a word of huge values hides no other's error.

    `pattern`: pattern · value against what the model's attention returned, and, where nothing else tells whether x is
    right, what W_Q, W_K and W_V make of it against the queries, keys and values. `delta`: Σ ΔE + bias against what its
    output projection returned. `residual`: E + attention (+ norm) (+ MLP) against the stream that the model went on
    with, and the norm of E against what W_Q received where that is kept. None: not compared, because the model's own
    tensor was not found. NaN: something is not a number, in the model or here; it is never left out.

    `own_pass` was found out once, when the model was wrapped: the last states of a pass of ours, on a few tokens,
    against those of calling the owner's own object with its own attention; `own_weights`, the worst absolute difference
    of our weights from those that this attention gives, None where it gives none; both of a float32 copy where the
    model is in half precision. `final`: where the blocks' sums do not lead to the final embedding, what the model's
    last module makes of what it received against it. `left_out` names what else is kept and was compared with nothing,
    by its key in `LEFT_OUT`, which says why. `precision` names the number type that the model computed in, which
    `tolerance` depends on.
    """

    own_pass: float | None = None
    own_weights: float | None = None
    comparisons: tuple[Comparison, ...] = ()
    left_out: tuple[str, ...] = ()
    n_traces: int = 1
    precision: str = "float32"

    def with_own_pass(self, error: float | None, weights: float | None = None) -> Parity:
        """The same, with what was found out about the pass and its weights."""
        found = Parity(*self)
        found.own_pass, found.own_weights = error, weights
        found.comparisons, found.n_traces, found.precision = self.comparisons, self.n_traces, self.precision
        found.left_out = self.left_out
        return found

    @property
    def final(self) -> float | None:
        """How far the final embedding is from what the model's last module makes of what it received, where that is
        its only judge."""
        return worst_of(one.error for one in self.comparisons if one.part == "final")

    @property
    def tolerance(self) -> float:
        """How large an error may be, for the number type that the model computed in."""
        return TOLERANCES[self.precision]

    def frame(self) -> pd.DataFrame:
        """Every comparison, a row each: stream, layer, head, part, against, error, mean; of a study the worst of both.

        `head` is missing where the sum over heads was compared.
        """
        import pandas as pd

        table = pd.DataFrame(self.comparisons, columns=list(Comparison._fields))
        return table.astype({"head": "Int64", "layer": int, "error": float, "mean": float})

    @property
    def against(self) -> dict[str, tuple[str, ...]]:
        """What each part was compared with, in words."""
        said: dict[str, dict[str, None]] = {}
        for one in self.comparisons:
            said.setdefault(one.part, {})[one.against] = None
        return {part: tuple(names) for part, names in said.items()}

    @property
    def ok(self) -> bool:
        """Whether pattern and ΔE were compared, and all that was is within `tolerance`; what is not finite is not."""
        if self.pattern is None or self.delta is None:
            return False
        if self.own_pass is not None and not self.own_pass <= OWN_ATTENTION:
            return False
        if self.own_weights is not None and not self.own_weights <= TOLERANCE:
            return False
        return all(error is None or error <= self.tolerance for error in (*self, self.final))  # false of NaN

    @property
    def worst(self) -> float | None:
        """The largest of the errors; NaN if one is NaN, None if nothing was compared."""
        return worst_of(error for error in (*self, self.final) if error is not None)

    @property
    def mean(self) -> float | None:
        """The mean error over rows, of all that was compared; None if nothing was."""
        means = [one.mean for one in self.comparisons]
        return sum(means) / len(means) if means else None

    @property
    def not_compared(self) -> tuple[str, ...]:
        """The names of the parts that nothing was found for to compare with."""
        return tuple(name for name, error in zip(self._fields, self, strict=True) if error is None)

    def __repr__(self) -> str:
        parts = zip(self._fields, self, strict=True)
        said = (f"{name}={'not compared' if error is None else f'{error:.2g}'}" for name, error in parts)
        own = "" if self.final is None else f", final={self.final:.2g}"
        own += "" if self.own_pass is None else f", own pass={self.own_pass:.2g}"
        own += "" if self.own_weights is None else f", own weights={self.own_weights:.2g}"
        traces = f", worst of {self.n_traces} traces" if self.n_traces > 1 else ""
        half = "" if self.precision == "float32" else f", of a model in {self.precision}"
        with_what = "; ".join(f"{part} against {' and '.join(names)}" for part, names in self.against.items())
        unseen = "".join(f"; compared with nothing: {LEFT_OUT[name]}" for name in self.left_out)
        return f"Parity({', '.join(said)}{own}{traces}{half}{f'; {with_what}' if with_what else ''}{unseen})"


def worst_of(errors: Iterable[float]) -> float | None:
    """The largest; NaN if one is NaN, which `max` may lose: max(0.0, nan) is 0.0. None if there is none.

    >>> worst_of([0.0, float("nan"), 1.0]), worst_of([])
    (nan, None)
    """
    found = list(errors)
    return _largest(found) if found else None


def _largest(numbers: Iterable[float]) -> float:
    found = list(numbers)
    return math.nan if any(map(math.isnan, found)) else max(found)


def worst_parity(checks: Iterable[Parity]) -> Parity:
    """The worst of several traces, part by part; a part that was not compared in one of them is not compared.

    Reads them one after the other: `ac.worst_parity(trace.check() for trace in ac.trace_many(model, texts))`. Raises
    TypeError for what is no check.
    """
    check_several("checks", checks, "checks")
    checks = map(_checked, checks)
    first, second = next(checks, None), next(checks, None)
    if first is not None and second is None:
        return first
    checks = chain((one for one in (first, second) if one is not None), checks)
    worst, n_traces = [list[float | None]() for _ in Parity._fields], 0
    own_pass, own_weights = list[float](), list[float]()
    comparisons: dict[tuple[Any, ...], Comparison] = {}
    kinds, left_out = {"float32"}, set[str]()
    for check in checks:
        left_out.update(check.left_out)
        kinds.add(check.precision)
        n_traces += check.n_traces
        own_pass += [] if check.own_pass is None else [check.own_pass]
        own_weights += [] if check.own_weights is None else [check.own_weights]
        for part, error in zip(worst, check, strict=True):
            part[:] = [_worse(part[0], error) if part else error]
        for one in check.comparisons:
            known = comparisons.setdefault(one[:-2], one)
            error, mean = _largest((known.error, one.error)), _largest((known.mean, one.mean))
            comparisons[one[:-2]] = one._replace(error=error, mean=mean)
    found = Parity(*(part[0] if part else None for part in worst))
    found = found.with_own_pass(worst_of(own_pass), worst_of(own_weights))
    found.comparisons, found.n_traces, found.precision = tuple(comparisons.values()), n_traces, coarsest(kinds)
    found.left_out = tuple(name for name in LEFT_OUT if name in left_out)
    return found


def _checked(given: Parity) -> Parity:
    if not isinstance(given, Parity):
        raise TypeError(f"checks must be what trace.check() gives, got {given!r}")
    return given


def _worse(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else _largest((a, b))


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """The worst absolute difference, as a share of the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(SMALLEST))


def same(ours: Tensor, theirs: Tensor) -> bool:
    """Whether two products over many terms agree, element for element, up to the order of the sums."""
    if ours.shape != theirs.shape:
        return False
    relative, of_largest, absolute = SAME
    allowed = relative * theirs.abs() + of_largest * float(theirs.abs().max()) + absolute
    return bool(((ours - theirs).abs() <= allowed).all())
