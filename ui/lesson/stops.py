"""The eight stops of the lesson, in their order.

A stop is made from real traces when it is opened, so every number in it, the answer to its question included, comes
from a model.
"""

from __future__ import annotations

from collections.abc import Callable

from ui.lesson.stop import Stop
from ui.lesson.stops_scores import asking, same_mole, scaling, vectors
from ui.lesson.stops_values import many_heads, masking, value, where_parameters_are
from ui.page import Page

STOPS: tuple[Callable[[Page], Stop], ...] = (
    vectors,
    same_mole,
    asking,
    scaling,
    masking,
    value,
    many_heads,
    where_parameters_are,
)
TITLES = (
    "Vectors",
    "The same mole",
    "Asking",
    "Scores and scale",
    "Mask and softmax",
    "Value and ΔE",
    "Many heads",
    "Parameters",
)
