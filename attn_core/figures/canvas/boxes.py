"""A model as boxes in boxes, each as large as its share of the parameters: the packet for assets/canvas/boxes.js."""

from __future__ import annotations

from collections.abc import Sequence

from attn_core.figures import colours
from attn_core.figures.canvas.packet import packet
from attn_core.figures.colours import Theme, mixed, role_colours
from attn_core.text.numbers import short


def boxes(
    parents: Sequence[int], labels: Sequence[str], counts: Sequence[int], kinds: Sequence[str], alt: str
) -> bytes:
    """A treemap's packet for assets/canvas/boxes.js: each box as large as its share of the box around it.

    parents: for each box, which one it lies in; the first box is the model. `kinds` are roles for leaves and names of
    containers (model, block, attention, head, MLP) for the others. `alt` says what the picture shows.
    """
    nodes = list(zip(parents, labels, counts, kinds, map(short, counts), strict=True))
    fills = {theme: _box_fills(theme) for theme in colours.ROLES}
    header = {
        "picture": "boxes",
        "nodes": nodes,
        "fills": fills,
        "alt": alt,
        "whole": "The whole model",
        "says": "{where}: {count} parameters, {share} of {model}.",
        "says_whole": "{where}: {count} parameters. Point at a box to read it.",
    }
    return packet(header, b"")


def _box_fills(theme: Theme) -> dict[str, str]:
    """What a box is filled with where it is too small to show what it holds."""
    role = colours.roles(theme)
    fills = role_colours(theme)
    held = {"model": role["card"], "block": fills["gate"], "MLP": fills["up"]}
    return {**fills, **held, "attention": mixed(role["accent"], role["card"], 0.6), "head": fills["query"]}
