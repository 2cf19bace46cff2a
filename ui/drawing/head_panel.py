"""A head of a stream as a panel of the canvas, for pages that show it beside another one or have it painted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attn_core.figures.canvas.panels import Panel

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
    )
