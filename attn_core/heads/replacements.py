"""What may stand in for a head: nothing, its mean, or another pattern, as options of `attn_core.trace`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.heads.measures import Floats

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace

Head = tuple[int, int] | tuple[str, int, int]  # (layer, head), in an encoder-decoder (stream, layer, head)
INSTEAD = ("zero", "mean", "even", "previous", "painted")


def instead(trace: Trace, gone: Sequence[Head], how: str, painted: Sequence[tuple[int, int]] = ()) -> dict[str, Any]:
    """Options for `attn_core.trace` that put something else in the place of heads.

    "zero" and "mean" stand in for what a head gives (see `attn_core.trace`); the others force its pattern: "even"
    attention over all that may be seen, the "previous" token, or the `painted` (query, key) cells, evenly in each row,
    rows without paint as they were. A cell that the mask forbids is not painted.
    """
    if how in ("zero", "mean"):
        return {"without": list(gone), "fill": how}
    return {"edit": {head: _forced(trace, head, how, painted) for head in gone}}


def _forced(trace: Trace, head: Head, how: str, painted: Sequence[tuple[int, int]]) -> Floats:
    *stream, layer, number = head
    options = {"stream": stream[0]} if stream else {}
    may_look = trace.may_look(layer, **options)  # type: ignore[arg-type]
    cells = np.zeros_like(may_look)
    if how == "even":
        cells = may_look
    elif how == "previous":
        before = np.minimum(np.maximum(np.arange(len(cells)) - 1, 0), cells.shape[1] - 1)
        cells[np.arange(len(cells)), before] = True
    else:
        for query, key in painted:
            cells[query, key] = may_look[query, key]
    total = cells.sum(axis=1, keepdims=True)
    own = trace.pattern(layer, number, **options)  # type: ignore[arg-type]
    return np.where(total > 0, cells / np.maximum(total, 1), own).astype(np.float32)
