"""What an array of weights answers of itself, as a stream of a trace does: sizes, patterns, and no change."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from attn_core.errors import check_index
from attn_core.traces.changes import Changes


class ArrayReader:
    """The readers of `TraceReader` that follow from `weights` [layer, head, query, key] alone; heads share no keys."""

    weights: NDArray[np.float32]

    @property
    def name(self) -> str:
        return "self"

    @property
    def changes(self) -> Changes:
        """None: what is stored is a plain pass."""
        return Changes()

    @property
    def n_layers(self) -> int:
        return len(self.weights)

    @property
    def n_heads(self) -> int:
        return int(self.weights.shape[1])

    def stream(self, name: str | None = None) -> Self:
        """Itself, since it has one stream: `trace.stream()` of a live trace and of a stored one read alike."""
        if name not in (None, self.name):
            raise ValueError(f"stream must be {self.name!r}; got {name!r}")
        return self

    def patterns(self, layer: int, rows: slice | None = None) -> NDArray[np.float32]:
        """[head, query, key], or some rows of each"""
        check_index("layer", layer, self.n_layers)
        return np.array(self.weights[layer, :, slice(None) if rows is None else rows])

    def pattern(self, layer: int, head: int, rows: slice | None = None) -> NDArray[np.float32]:
        """[query, key], or some rows of it"""
        check_index("layer", layer, self.n_layers)
        check_index("head", head, self.n_heads)
        return np.array(self.weights[layer, head, slice(None) if rows is None else rows])

    def key_group(self, layer: int, head: int) -> tuple[int, ...]:
        check_index("layer", layer, self.n_layers)
        check_index("head", head, self.n_heads)
        return (head,)
