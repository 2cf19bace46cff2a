"""Singular values as standing bars, the strongest direction first. Arrays in, HTML out."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from attn_core.text.numbers import significant
from attn_core.tolerances import SMALLEST


def strengths(values: np.ndarray, first: int, alt: str) -> Markup:
    """values [direction], largest first, as bars; the `first` of them stand out. What a bar is, is said on hover."""
    largest = max(SMALLEST, float(values.max(initial=0.0)))
    bars = Markup("").join(
        Markup('<u title="direction {}: strength {}"><i class="{}" style="height:{:.1f}%"></i></u>').format(
            i, significant(float(value), 3), "most" * (i <= first), 100 * float(value) / largest
        )
        for i, value in enumerate(values, start=1)
    )
    return Markup('<div class="hl-strengths" role="img" aria-label="{}">{}</div>').format(alt, bars)
