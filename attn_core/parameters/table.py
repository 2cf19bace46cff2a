"""The table of parameters: every tensor of a model as a row, and the sums that can be read off it.

A table is a value, made from a configuration (see `parameters.count_parameters`). It holds no weights.
Parts keep the words of the field: embedding, position, attention, mlp, norm, unembedding, other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attn_core.parameters.tensors import Piece, Row

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("embedding", "position", "attention", "mlp", "norm", "unembedding", "other")
LESSON_ROLES = ("embedding", "key", "query", "value", "output", "fused", "up", "gate", "down", "mlp", "unembedding")
LESSON_ATTENTION = ("key", "query", "value", "output", "fused")


@dataclass(frozen=True)
class Line:
    """One line of the lesson's table: a role, its formula with the numbers in it, and the product."""

    role: str
    formula: str
    count: int


@dataclass(frozen=True, eq=False)
class ParameterTable:
    """All rows of one model. The sum of `rows` is the model: `total == sum(row.total for row in rows)`.

    `source` is "formula", or "built without memory" where the tensors were read off the model class itself.
    """

    title: str
    config: Mapping[str, Any]
    rows: tuple[Row, ...]
    source: str
    notes: tuple[str, ...] = ()

    @cached_property
    def total(self) -> int:
        """Every number that is stored, tied ones once."""
        return self.sum_of()

    @property
    def attention(self) -> int:
        """Matrices and biases of the attention sub-layers; their norms are counted with the norms."""
        return self.sum_of(part="attention")

    @property
    def embeddings(self) -> int:
        """Token, type and position tables and the unembedding, each stored number once."""
        return sum(self.sum_of(part=part) for part in ("embedding", "position", "unembedding"))

    @property
    def without_embeddings(self) -> int:
        """The total less the tables at both ends."""
        return self.total - self.embeddings

    @property
    def lesson_total(self) -> int:
        """The count of the lesson: matrices only, an unembedding of its own, no positions, biases or norms."""
        return sum(line.count for line in self.lesson)

    @property
    def lesson_attention(self) -> int:
        """Query, key, value (down) and output (value up) matrices of all blocks."""
        return sum(line.count for line in self.lesson if line.role in LESSON_ATTENTION)

    @cached_property
    def lesson(self) -> tuple[Line, ...]:
        """The lesson's table, one line a role, in the lesson's order; roles that the model lacks are left out."""
        lines = []
        for role in LESSON_ROLES:
            found = [(row, piece) for row in self.rows for piece in row.pieces if in_lesson(row, piece, role)]
            if found:
                count = sum(piece.size.n * row.times for row, piece in found)
                lines.append(Line(role, _products([_times(row, piece) for row, piece in found]), count))
        return tuple(lines)

    @property
    def left_out(self) -> tuple[tuple[str, int], ...]:
        """What stands between the two counts: `lesson_total + Σ counts == total`. A tied unembedding is negative."""
        matrices = [row for row in self.rows if row.kind in ("matrix", "fixed")]
        twice = sum(row.occurrences for row in self.tied if row.part == "unembedding")
        others = sum(row.total for row in matrices) + twice
        positions = sum(row.total for row in matrices if row.part == "position")
        differences = (
            ("position embeddings", positions),
            ("biases", self.sum_of(kind="bias")),
            ("norms", self.sum_of(kind="norm")),
            ("types, poolers and other heads", others - positions - self.lesson_total),
            (
                "unembedding, which is the embedding again",
                -sum(r.occurrences for r in self.tied if r.part == "unembedding"),
            ),
        )
        return tuple((what, count) for what, count in differences if count)

    @property
    def tied(self) -> tuple[Row, ...]:
        """Rows whose numbers are another tensor's."""
        return tuple(row for row in self.rows if row.tied_to)

    def sum_of(self, *, part: str | None = None, kind: str | None = None) -> int:
        """The stored numbers of one part, of one kind, or of both together."""
        return sum(row.total for row in self.rows if part in (None, row.part) and kind in (None, row.kind))

    def parts(self) -> dict[str, int]:
        """Each part that the model has, with its stored numbers; the values sum to `total`."""
        sums = {part: self.sum_of(part=part) for part in PARTS}
        return {part: count for part, count in sums.items() if count}

    def frame(self) -> pd.DataFrame:
        """One row a tensor; `total` sums to the model's total, and `tied_to` says which rows add nothing."""
        import pandas as pd

        fields = [
            "name",
            "what",
            "shape",
            "formula",
            "count",
            "times",
            "total",
            "tied_to",
            "part",
            "kind",
            "place",
            "sublayer",
        ]
        rows = [{field: getattr(row, field) for field in fields} | {"tied_to": row.tied_to or ""} for row in self.rows]
        shapes = [" × ".join(f"{side:,}" for side in row.shape) for row in self.rows]
        return pd.DataFrame(rows).assign(shape=shapes)

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...], bool]]:
        """Every single tensor under its own name: (name, shape, whether its numbers are another tensor's)."""
        for row in self.rows:
            for name in row.names():
                yield name, row.shape, row.tied_to is not None


def in_lesson(row: Row, piece: Piece, role: str) -> bool:
    """Whether the lesson counts this piece in the line of `role`.

    An unembedding counts even where it is tied, as in the lesson; other shared tables count once.
    """
    if row.kind != "matrix" or (row.tied_to and row.part != "unembedding"):
        return False
    return piece.role == role and row.part in ("embedding", "attention", "mlp", "unembedding")


def _products(terms: Sequence[str]) -> str:
    """A sum of products, equal ones said once: "3 × (8 × 64 × 512 × 6)"."""
    counted = Counter(terms)
    if len(counted) == 1 and len(terms) > 1:
        return f"{len(terms)} × ({terms[0]})"
    return " + ".join(terms)


def _times(row: Row, piece: Piece) -> str:
    return piece.size.numbers + (f" × {row.times:,}" if row.times > 1 else "")
