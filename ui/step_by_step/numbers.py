"""Numbers as people read them, for the sentences of Step by step."""

from __future__ import annotations

import math

from attn_core.text.numbers import MINUS, percent


def number(value: float, digits: int = 3) -> str:
    """A number for a sentence: three digits, a true minus sign, nothing smaller than a person would read.

    >>> number(-0.12345), number(12345.6), number(2.0), number(3e-7)
    ('−0.123', '12,346', '2', '≈ 0')
    """
    value = float(value)
    if 0 < abs(value) < 5e-5:
        return "≈ 0"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
    return text.replace("-", MINUS)


def as_share(weight: float) -> str:
    """A weight in words; NaN is masked, which is not zero."""
    return "masked" if math.isnan(weight) else percent(float(weight))


def as_weight(weight: float) -> str:
    """A weight that need not be a share any more: percent from 0 to 1, a plain number outside."""
    return percent(weight) if 0 <= weight <= 1 else number(weight)
