"""A dot product taken apart: the query's numbers, the key's numbers, and their products, one column a dimension.

Arrays in, HTML out; colours come from the page's stylesheet, by role.
"""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from attn_core.text.numbers import signed
from attn_core.tolerances import SMALLEST


def dot_product(query: np.ndarray, key: np.ndarray, query_name: str = "query", key_name: str = "key") -> Markup:
    """q, k and q·k number by number, [d_head] each, as three rows of bars above each other.

    Bars of q and k share one scale; products have their own. What a column holds is said
    on hover, and read out as one sentence.
    """
    products = query * key
    size = max(SMALLEST, float(np.abs(np.concatenate([query, key])).max()))
    most = max(SMALLEST, float(np.abs(products).max()))
    sums = [
        f"{i}: {signed(q)} × {signed(k)} = {signed(p)}"
        for i, (q, k, p) in enumerate(zip(query, key, products, strict=True))
    ]
    rows = (
        _row("query", query_name, query / size, sums)
        + _row("key", key_name, key / size, sums)
        + _row("product", "product", products / most, sums)
    )
    largest = int(np.abs(products).argmax())
    alt = f"{len(query)} products, the largest from number {sums[largest]}; together {signed(float(products.sum()))}"
    return Markup('<div class="hl-neurons" role="img" aria-label="{}">{}</div>').format(alt, rows)


def _row(role: str, name: str, shares: np.ndarray, sums: list[str]) -> Markup:
    """One row; each share in [−1, 1] is a bar up or down from the middle."""
    cells = Markup("").join(
        _cell(i, float(share), text) for i, (share, text) in enumerate(zip(shares, sums, strict=True))
    )
    return Markup('<div class="{}"><span>{}</span><div>{}</div></div>').format(role, name, cells)


def _cell(i: int, share: float, text: str) -> Markup:
    height = 50 * abs(share)
    place = f"bottom:50%;height:{height:.1f}%" if share >= 0 else f"top:50%;height:{height:.1f}%"
    side = "up" if share >= 0 else "down"
    return Markup('<u title="{}"><i class="{}" style="{};--i:{}"></i></u>').format(text, side, place, i)
