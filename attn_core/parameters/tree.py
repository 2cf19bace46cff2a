"""The table as a tree: model → block → attention or MLP → head → matrix. Each node is the sum of those under it.

This is what the treemap draws; a node's number is exact, however small its tile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from attn_core.parameters.shape import Shape, shape_of
from attn_core.parameters.table import ParameterTable, in_lesson
from attn_core.parameters.tensors import Piece, Row

OPEN_HEADS = 160  # blocks open into their heads all at once, as long as a model has no more heads than this
WORDS = {
    "value": "value (down)",
    "output": "output (value up)",
    "fused": "query, key and value",
    "bias": "biases",
    "norm": "norms",
    "mlp": "MLP",
    "up": "MLP up",
    "gate": "MLP gate",
    "down": "MLP down",
    "position": "positions",
    "other": "other",
}


@dataclass(frozen=True)
class Node:
    """One box: its path ("block 3/self-attention"), which box it lies in, its numbers, the role that colours it."""

    path: tuple[str, ...]
    parent: int
    label: str
    count: int
    role: str


def role_of(row: Row, piece: Piece) -> str:
    """What a stretch of a tensor counts as in pictures: its role, but biases and norms are their own."""
    return row.kind if row.kind in ("bias", "norm") else piece.role


def shares(table: ParameterTable, *, lesson: bool) -> dict[str, int]:
    """How many numbers each role has, in reading order; the values sum to `lesson_total` or to `total`."""
    if lesson:
        return {line.role: line.count for line in table.lesson}
    sums: dict[str, int] = defaultdict(int)
    for row in table.rows:
        for piece in row.pieces if not row.tied_to else ():
            sums[role_of(row, piece)] += piece.size.n * row.times
    return {role: sums[role] for role in ROLES if sums[role]}


ROLES = (
    *("embedding", "position", "query", "key", "value", "output", "fused"),
    *("up", "gate", "down", "mlp", "bias", "norm", "other", "unembedding"),
)


def tree(table: ParameterTable, *, lesson: bool, inside: str = "") -> list[Node]:
    """All nodes, the root first. `lesson` counts as the lesson does.

    The block that `inside` lies in opens into heads; in a small model all blocks do. Where a family has no formula,
    heads are not told apart.
    """
    shape = shape_of(table.config) if table.source == "formula" else None
    everywhere = shape is not None and shape.n_blocks * shape.n_heads <= OPEN_HEADS
    opened = inside.split("/")[0]
    leaves = [
        leaf
        for row in table.rows
        for piece in row.pieces
        if _counts(row, piece, lesson)
        for layer in row.layers
        for leaf in _leaves(row, piece, layer, shape if everywhere or _block(row.place, layer) == opened else None)
    ]
    root = Node((), 0, table.title, sum(count for _, count, _ in leaves), "model")
    return [root, *_boxes(leaves)]


Leaf = tuple[tuple[str, ...], int, str]  # labels from the model down, numbers, role


def _counts(row: Row, piece: Piece, lesson: bool) -> bool:
    return in_lesson(row, piece, piece.role) if lesson else not row.tied_to


def _leaves(row: Row, piece: Piece, layer: int, heads: Shape | None) -> Iterator[Leaf]:
    role, count = role_of(row, piece), piece.size.n
    label = WORDS.get(role, role)
    if "{}" not in row.name:
        yield ("embedding" if role == "embedding" else label,), count, role
        return
    path = (_block(row.place, layer), *((row.sublayer,) if row.sublayer else ()))
    parts = _parts(role, heads) if heads and row.kind == "matrix" else 1
    if parts == 1 or count % parts:
        yield (*path, label), count, role
        return
    name = "head" if parts == heads.n_heads else "keys and values of group"  # type: ignore[union-attr]
    for part in range(parts):
        yield (*path, f"{name} {part}", label), count // parts, role


def _parts(role: str, shape: Shape) -> int:
    """Into how many heads, or groups, a matrix divides."""
    return {
        "query": shape.n_heads,
        "output": shape.n_heads,
        "key": shape.n_groups,
        "value": shape.n_groups,
    }.get(role, 1)


def _block(place: str, layer: int) -> str:
    stack = place.removesuffix("blocks").strip()
    return f"{stack} block {layer}".strip()


def _boxes(leaves: list[Leaf]) -> Iterator[Node]:
    """Every path and every path on the way to it, with its sum; the last role seen colours a leaf."""
    sums: dict[tuple[str, ...], int] = defaultdict(int)
    roles: dict[tuple[str, ...], str] = {}
    for path, count, role in leaves:
        for depth in range(1, len(path) + 1):
            sums[path[:depth]] += count
            roles[path[:depth]] = role if depth == len(path) else _container(path[depth - 1])
    places = {(): 0, **{path: i + 1 for i, path in enumerate(sums)}}
    for path, count in sums.items():
        yield Node(path, places[path[:-1]], path[-1], count, roles[path])


def _container(label: str) -> str:
    if "attention" in label:
        return "attention"
    if label.startswith(("head ", "keys and values")):
        return "head"
    return "MLP" if label == "MLP" else "block"
