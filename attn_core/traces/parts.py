"""What `trace.score_parts` and `trace.value_parts` give: a score, or what a head takes from one word, in parts.

Only the values are here; `attn_core.circuits` computes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attn_core.tolerances import SMALLEST

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Against = int | str | None  # what a score is compared with: another key, "mean", or nothing


class Writer(str):
    """Who added a vector to the residual stream; it *is* its name: "embedding", "head 0.1", "mlp 0".

    `kind` is "embedding", "position", "segment", "head", "bias", "mlp", "shift" (what a norm adds, its β), "patch"
    (what was put somewhere: whoever wrote before ends there), "own" (what the scoring head itself adds: its bias, the
    shift of the norm before it) or "learnt" (the key or value of a virtual token). `stream`, `layer` and `head` say
    where it stands; `layer` is None for what comes before layer 0, for "own" and "learnt", and for patches of the
    scoring head's own query or key.
    """

    kind: str
    stream: str
    layer: int | None
    head: int | None

    def __new__(
        cls, name: str, kind: str = "", stream: str = "self", layer: int | None = None, head: int | None = None
    ) -> Writer:
        writer = str.__new__(cls, name)
        writer.kind, writer.stream, writer.layer, writer.head = kind, stream, layer, head
        return writer

    @property
    def is_of_mlp(self) -> bool:
        """Whether it is an MLP, or the shift of the norm after one."""
        return self.kind == "mlp" or "mlp norm shift" in self


@dataclass(frozen=True, eq=False)
class ScoreParts:
    """One score of a head, split into who wrote the query × who wrote the key; `matrix.sum() + Σ other = score`.

    `matrix` [query writer, key writer] holds `R W_Q N c` of each query writer · that of each key writer · scale, all
    norms frozen at their real scale. `other` holds what is no product of the two: {"position bias": …}, the learnt
    score of "no word", or nothing.
    `score` is what the model computed, before any soft cap; `capped` is what its softmax got, after it. With
    `against` all numbers are differences: to another key's score, or to the mean of the keys that the query may see.

    Sources: Elhage et al. 2021 (the QK circuit); Kamath et al. 2025 (attention attribution).
    """

    layer: int
    head: int
    query: int
    key: int
    against: Against
    stream: str
    query_writers: tuple[Writer, ...]
    key_writers: tuple[Writer, ...]
    matrix: Floats
    other: Mapping[str, float]
    score: float
    capped: float
    largest: float  # the head's largest finite score, before any cap

    @property
    def residue(self) -> float:
        """How far the parts are from the model's score: difference ÷ the head's largest score."""
        total = float(self.matrix.sum()) + sum(self.other.values())
        return abs(total - self.score) / max(self.largest, SMALLEST)

    @property
    def cancellation(self) -> float:
        """Σ|parts| ÷ |score|: 1 where all parts pull one way, large where they cancel."""
        sizes = float(np.abs(self.matrix).sum()) + sum(abs(value) for value in self.other.values())
        return sizes / max(abs(self.score), SMALLEST)

    def frame(self) -> pd.DataFrame:
        """One row a pair of writers, the largest first: query_writer, key_writer, part; `other` has no key writer."""
        import pandas as pd

        names = [str(writer) for writer in self.query_writers], [str(writer) for writer in self.key_writers]
        rows: list[tuple[str, str | None, float]]
        rows = [(a, b, self.matrix[i, j]) for i, a in enumerate(names[0]) for j, b in enumerate(names[1])]
        rows += [(name, None, value) for name, value in self.other.items()]
        table = pd.DataFrame(rows, columns=["query_writer", "key_writer", "part"])
        return table.sort_values("part", key=np.abs, ascending=False, ignore_index=True, kind="stable")


@dataclass(frozen=True, eq=False)
class ValueParts:
    """What a head takes from one key for one query, split by who wrote the key's stream.

    `vectors` [writer, d_model] sum to `trace.delta_e_by_source(layer, head, query)[key]`; the weight is the pattern's.
    """

    layer: int
    head: int
    query: int
    key: int
    stream: str
    writers: tuple[Writer, ...]
    vectors: Floats
    residue: float  # of the sum, relative to the head's largest number

    def frame(self) -> pd.DataFrame:
        """One row a writer, the largest along the sum first: writer, length, along (they sum to the sum's length)."""
        import pandas as pd

        total = self.vectors.sum(axis=0)  # [d_model]
        along = self.vectors @ total / max(float(np.linalg.norm(total)), SMALLEST)
        lengths = np.linalg.norm(self.vectors, axis=-1)
        table = pd.DataFrame({"writer": [str(writer) for writer in self.writers], "length": lengths, "along": along})
        return table.sort_values("along", key=np.abs, ascending=False, ignore_index=True, kind="stable")
