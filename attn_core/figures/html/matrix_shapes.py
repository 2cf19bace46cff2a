"""Matrices drawn to scale, so that thin ones look thin. Sizes in, HTML out."""

from __future__ import annotations

from markupsafe import Markup

SIDE = 104.0  # CSS pixels of the largest side


def value_matrices(d_model: int, d_head: int) -> Markup:
    """Value down and value up beside the square that they stand for: their sides in one scale, their counts under them.

    Sides are never drawn below 3 pixels, which the text says where it happens.
    """
    long, short = SIDE, max(3.0, SIDE * d_head / d_model)
    thin = d_model * d_head
    down = _box(short, long, "v", Markup("value down, W<sub>V</sub>"), f"{d_model:,} × {d_head:,}", thin)
    up = _box(long, short, "v", Markup("value up, W<sub>O</sub>"), f"{d_head:,} × {d_model:,}", thin)
    full = _box(long, long, "", "a full matrix", f"{d_model:,} × {d_model:,}", d_model * d_model)
    return Markup('<div class="hl-shapes">{}<b>·</b>{}<b>instead of</b>{}</div>').format(down, up, full)


def _box(width: float, height: float, role: str, name: str, size: str, count: int) -> Markup:
    box = Markup('<i class="{}" style="width:{:.0f}px;height:{:.0f}px"></i>').format(role, width, height)
    return Markup('<div class="{}">{}<span>{}</span><b>{} = {:,}</b></div>').format(role, box, name, size, count)
