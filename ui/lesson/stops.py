"""The eight stops of the lesson, in their order.

A stop is made from real traces when it is opened, so every number in it, the answer to its question included, comes
from a model.
"""

from __future__ import annotations

from collections.abc import Callable

from ui import words
from ui.lesson.stop import Reader, Stop
from ui.lesson.stops_scores import asking, same_mole, scaling, vectors
from ui.lesson.stops_values import many_heads, masking, value, where_parameters_are

WORDS = words.beside(__file__)
STOPS: tuple[Callable[[Reader], Stop], ...] = (
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
    WORDS.text("vectors.short"),
    WORDS.text("same_mole.short"),
    WORDS.text("asking.short"),
    WORDS.text("scaling.short"),
    WORDS.text("masking.short"),
    WORDS.text("value.short"),
    WORDS.text("many_heads.short"),
    WORDS.text("parameters.short"),
)
