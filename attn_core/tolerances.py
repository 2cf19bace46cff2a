"""What counts as nothing: numbers to divide by instead of a zero, and sums too small to be shares of anything.

Each lies far below every number that a model computes with, so none of them changes a result. How far our numbers may
be from a model's own is another question: `TOLERANCES` says it for each number type, `traces/parity.py` in detail.
"""

from collections.abc import Iterable

SMALLEST = 1e-12  # instead of a zero to divide by, far below every number of a model
SMALLEST_NORM = 1e-20  # the same for lengths, which may be as small as a square root of float32's smallest numbers
SMALLEST_SQUARE = 1e-30  # the same for sums of squares
CANCELLED = 1e-12  # of the largest: what float64 leaves of numbers that cancel exactly
SAME_DIRECTION = 1e-6  # what a float32 cosine of a vector with itself may lack to 1
NO_WEIGHT = 1e-9  # a sum of attention weights that is no more than roundings of zeros
CHANGED = 1e-4  # relative, of one token: what W_O gives now against what it gave in the pass, for other weights

# Relative to a row's largest value, ours against a model's own. In float32 about a hundred roundings, and far below
# any wrong wiring. A model in half precision rounds what each of its steps gives to 11 or 8 binary digits, which ours,
# computed in float32, do not: eight such roundings.
TOLERANCES = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}


def coarsest(kinds: Iterable[str]) -> str:
    """Of number types, the one that rounds most.

    >>> coarsest(["float32", "bfloat16", "float16"])
    'bfloat16'
    """
    return max(kinds, key=lambda kind: TOLERANCES[kind])
