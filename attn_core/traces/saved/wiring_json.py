"""A trace's wiring as JSON, and back: plain values in a file, checked one by one when they are read.

Readers raise ValueError for what cannot have been written here; a file is never trusted to hold the right types.
"""

from __future__ import annotations

import math
from typing import Any

from attn_core.traces.block import BlockKind
from attn_core.traces.wiring import TAPS, HeadSlices, Linear, Site, Tap

_BLOCKS: dict[str, BlockKind] = {str(kind): kind for kind in BlockKind}
_SLICES = ("query", "key", "value")
MOST = 1 << 31  # no count, index or offset of a model is larger


def site_to_json(site: Site) -> dict[str, Any]:
    """What `site_from_json` reads."""
    taps = {name: getattr(site, name) for name in TAPS}
    return {
        "stream": site.stream,
        "layer": site.layer,
        "n_heads": site.n_heads,
        "block": None if site.block is None else str(site.block),
        "output": list(_linear_to_json(site.output)),
        "taps": {name: None if tap is None else list(tap) for name, tap in taps.items()},
        "derived": sorted(site.derived),
        "to_x": list(site.to_x),
        "to_mlp": list(site.to_mlp),
        "plain": sorted(site.plain),
        "scale": site.scale,
        **{name: _slices_to_json(getattr(site, name)) for name in _SLICES},
    }


def site_from_json(said: Any) -> Site:
    """One attention call's wiring. Raises ValueError, KeyError or TypeError where it is something else."""
    places: dict[str, Any] = {name: _tap(said["taps"].get(name)) for name in TAPS}
    places.update({name: _slices(said[name]) for name in _SLICES})
    projected = places.pop("projected")
    if projected is None:
        raise ValueError("no output of the attention block")
    return Site(
        stream=text(said["stream"]),
        layer=whole(said["layer"]),
        n_heads=whole(said["n_heads"], least=1),
        output=_linear(said["output"]),
        projected=projected,
        block=None if said["block"] is None else _BLOCKS[said["block"]],
        derived=frozenset(_names(said.get("derived", []))),  # format 1 has none
        to_x=_names(said.get("to_x", [])),
        to_mlp=_names(said.get("to_mlp", [])),
        plain=frozenset(name for name in _names(said.get("plain", [])) if name in _SLICES),
        scale=number(said.get("scale", 1.0)),
        **places,
    )


def _linear_to_json(linear: Linear) -> tuple[str, bool, int, list[str]]:
    return linear.module, linear.transposed, linear.width, list(linear.then)


def _linear(said: Any) -> Linear:
    module, transposed, *pushed = said
    width, then = pushed or (0, [])
    return Linear(text(module), _flag(transposed), whole(width), _names(then))


def _names(said: Any) -> tuple[str, ...]:
    if not isinstance(said, list):
        raise ValueError("no list of names")
    return tuple(text(name) for name in said)


def _slices_to_json(slices: HeadSlices | None) -> list[Any] | None:
    if slices is None:
        return None
    return [*_linear_to_json(slices.linear), list(slices.offsets), slices.d_head, slices.factor]


def _slices(said: Any) -> HeadSlices | None:
    if said is None:
        return None
    *linear, offsets, d_head, factor = said
    found = tuple(whole(offset) for offset in offsets)
    return HeadSlices(_linear(linear), found, whole(d_head, least=1), number(factor))


def _tap(said: Any) -> Tap | None:
    if said is None:
        return None
    module, side, slot, call = said
    if side not in ("in", "out"):
        raise ValueError("a tensor enters or leaves a module")
    return Tap(text(module), side, text(slot) if isinstance(slot, str) else whole(slot), whole(call))


def text(said: Any) -> str:
    """A text, and nothing else."""
    if not isinstance(said, str):
        raise ValueError("no text")
    return said


def whole(said: Any, least: int = 0) -> int:
    """A whole number from `least` to `MOST`, and nothing else."""
    if type(said) is not int or not least <= said < MOST:
        raise ValueError("no whole number, or out of range")
    return said


def number(said: Any) -> float:
    """A finite number, and nothing else."""
    if type(said) not in (int, float) or not math.isfinite(said):
        raise ValueError("no finite number")
    return float(said)


def _flag(said: Any) -> bool:
    if not isinstance(said, bool):
        raise ValueError("no yes or no")
    return said
