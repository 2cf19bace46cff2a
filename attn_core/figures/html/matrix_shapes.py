"""Matrices drawn to scale, so that thin ones look thin. Sizes in, HTML out."""

from __future__ import annotations

SIDE = 104.0  # CSS pixels of the largest side


def value_matrices(d_model: int, d_head: int) -> str:
    """Value down and value up beside the square that they stand for: their sides in one scale, their counts under them.

    Sides are never drawn below 3 pixels, which the text says where it happens.
    """
    long, short = SIDE, max(3.0, SIDE * d_head / d_model)
    thin = d_model * d_head
    down = _box(short, long, "v", "value down, W<sub>V</sub>", f"{d_model:,} × {d_head:,}", thin)
    up = _box(long, short, "v", "value up, W<sub>O</sub>", f"{d_head:,} × {d_model:,}", thin)
    full = _box(long, long, "", "a full matrix", f"{d_model:,} × {d_model:,}", d_model * d_model)
    return f'<div class="hl-shapes">{down}<b>·</b>{up}<b>instead of</b>{full}</div>'


def _box(width: float, height: float, role: str, name: str, size: str, count: int) -> str:
    box = f'<i class="{role}" style="width:{width:.0f}px;height:{height:.0f}px"></i>'
    return f'<div class="{role}">{box}<span>{name}</span><b>{size} = {count:,}</b></div>'
