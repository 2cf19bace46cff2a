"""A head of a stream as a panel of the canvas, for pages that show it beside another one or have it painted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attn_core.figures.canvas.panels import Panel
from attn_core.text.pairs import Segments, second_of

if TYPE_CHECKING:
    from attn_core.heads.measures import Floats
    from attn_core.traces.stream import StreamTrace


def head_panel(
    stream: StreamTrace, layer: int, head: int, title: str = "", cells: Floats | None = None, *, signed: bool = False
) -> Panel:
    """The pattern of a head, or other `cells` [query, key] of its words; what is masked is NaN."""
    shown = stream.pattern(layer, head) if cells is None else cells
    return Panel(
        title=title or f"Layer {layer} · head {head}",
        says=f"head {layer}.{head}",
        cells=np.where(stream.may_look(layer), shown, np.nan),
        query_labels=stream.tokens.labels,
        key_labels=stream.key_tokens.labels,
        query_special=stream.tokens.special,
        key_special=stream.key_tokens.special,
        signed=signed,
        segments=_segments(stream, None if signed else shown),
    )


def _segments(stream: StreamTrace, weights: Floats | None) -> Segments | None:
    """The two segments of a pair, with the shares of these weights; None where one text was read."""
    at = second_of(stream.tokens, stream.key_tokens)
    if at is None:
        return None
    return Segments(*at) if weights is None else Segments.of(weights, *at)
