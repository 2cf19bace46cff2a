"""A dot product taken apart: the query's numbers, the key's numbers, and their products, one column a dimension.

Arrays in, HTML out; colours come from the page's stylesheet, by role.
"""

from __future__ import annotations

from html import escape

import numpy as np

from attn_core.text.numbers import signed


def dot_product(query: np.ndarray, key: np.ndarray, query_name: str = "query", key_name: str = "key") -> str:
    """q, k and q·k number by number, [d_head] each, as three rows of bars above each other.

    Bars of q and k share one scale; products have their own. What a column holds is said
    on hover, and read out as one sentence.
    """
    products = query * key
    size = max(1e-12, float(np.abs(np.concatenate([query, key])).max()))
    most = max(1e-12, float(np.abs(products).max()))
    sums = [
        f"{i}: {signed(q)} × {signed(k)} = {signed(p)}"
        for i, (q, k, p) in enumerate(zip(query, key, products, strict=True))
    ]
    rows = (
        _row("query", escape(query_name), query / size, sums)
        + _row("key", escape(key_name), key / size, sums)
        + _row("product", "product", products / most, sums)
    )
    largest = int(np.abs(products).argmax())
    alt = f"{len(query)} products, the largest from number {sums[largest]}; together {signed(float(products.sum()))}"
    return f'<div class="hl-neurons" role="img" aria-label="{alt}">{rows}</div>'


def _row(role: str, name: str, shares: np.ndarray, sums: list[str]) -> str:
    """One row; each share in [−1, 1] is a bar up or down from the middle."""
    cells = "".join(_cell(float(share), text) for share, text in zip(shares, sums, strict=True))
    return f'<div class="{role}"><span>{name}</span><div>{cells}</div></div>'


def _cell(share: float, text: str) -> str:
    height = 50 * abs(share)
    place = f"bottom:50%;height:{height:.1f}%" if share >= 0 else f"top:50%;height:{height:.1f}%"
    side = "up" if share >= 0 else "down"
    return f'<u title="{text}"><i class="{side}" style="{place}"></i></u>'
