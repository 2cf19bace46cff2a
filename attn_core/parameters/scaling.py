"""How each part of a model grows when one of its numbers does, found by counting and not by assumption.

Each point is a whole table of a changed configuration, so that "grows with the square of d_model" is a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attn_core.parameters.architectures.families import lay_out
from attn_core.parameters.costs import multiply_adds
from attn_core.parameters.shape import Shape, shape_of, with_numbers
from attn_core.parameters.table import PARTS, ParameterTable

KNOBS = ("d_model", "n_layers", "vocabulary", "context")
MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Curve:
    """One part against one number. `doubling` is its size at twice the number, over its size at the number."""

    part: str
    values: tuple[int, ...]
    doubling: float

    @property
    def law(self) -> str:
        """The power that a doubling shows, in a word; empty where it is between the powers.

        >>> Curve("attention", (1, 4, 16), doubling=4.0).law
        'quadratic'
        """
        near = {"constant": 1, "linear": 2, "quadratic": 4}
        return next((law for law, factor in near.items() if abs(self.doubling / factor - 1) < 0.05), "")


@dataclass(frozen=True)
class Growth:
    """The curves of all parts. `at` are the knob's values, `measure` what is counted."""

    knob: str
    measure: str
    at: tuple[int, ...]
    curves: tuple[Curve, ...]


def parameters_by(table: ParameterTable, knob: str, multiples: Sequence[float] = MULTIPLES) -> Growth:
    """The parts of a model when `knob` (d_model, n_layers, vocabulary, context) is a multiple of what it is.

    d_head stays, so that heads grow in number with d_model, and d_ff keeps its ratio, as in the sizes of GPT-3.
    """
    tables, at = [], []
    for multiple in multiples:
        config, value = _changed(table, knob, multiple)
        tables.append(ParameterTable(table.title, config, lay_out(config), "formula"))
        at.append(value)
    sums = {part: tuple(changed.sum_of(part=part) for changed in tables) for part in PARTS}
    curves = tuple(_curve(part, values, multiples) for part, values in sums.items() if any(values))
    return Growth(knob, "parameters", tuple(at), curves)


def reading_by(table: ParameterTable, multiples: Sequence[float] = MULTIPLES) -> Growth:
    """Multiply-adds to read a whole text, against its length: what is quadratic in the context.

    Every token looks at every other, as in a full pass; a causal mask halves the quadratic part and not its power.
    """
    shape = shape_of(table.config)
    at = tuple(max(1, round(shape.context * multiple)) for multiple in multiples)
    rows = [[cost.value * tokens for cost in multiply_adds(shape, tokens)] for tokens in at]
    names = [cost.what for cost in multiply_adds(shape, 1)]
    series = [tuple(row[i] for row in rows) for i in range(len(names))]
    curves = tuple(_curve(name, values, multiples) for name, values in zip(names, series, strict=True))
    return Growth("context", "multiply-adds for the whole text", at, curves)


def _curve(part: str, values: tuple[int, ...], multiples: Sequence[float]) -> Curve:
    here, twice = values[multiples.index(1.0)], values[multiples.index(2.0)]
    return Curve(part, values, twice / here if here else 1.0)


def _changed(table: ParameterTable, knob: str, multiple: float) -> tuple[dict[str, Any], int]:
    shape = shape_of(table.config)
    if knob != "d_model":
        value = max(1, round(getattr(shape, knob) * multiple))
        changes: dict[str, int] = {knob: value}
        if knob == "n_layers" and shape.n_decoder_layers:
            changes["n_decoder_layers"] = max(1, round(shape.n_decoder_layers * multiple))
        return with_numbers(table.config, **changes), value
    return _wider(table, shape, multiple)


def _wider(table: ParameterTable, shape: Shape, multiple: float) -> tuple[dict[str, Any], int]:
    """Another d_model with heads of the same size, as many heads to a group, and the same d_ff / d_model."""
    groups = max(1, round(shape.n_groups * multiple))
    heads = groups * (shape.n_heads // shape.n_groups)
    d_model = round(shape.d_model * heads / shape.n_heads)
    d_ff = round(shape.d_ff * d_model / shape.d_model)
    return with_numbers(table.config, d_model=d_model, n_heads=heads, n_groups=groups, d_ff=d_ff), d_model
