"""Lines of Python for a table of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attn_core.views.snippets.traced import script


def parameters(preset: str, config: Mapping[str, Any] | None = None) -> str:
    """Parameters: the table of a preset, or of numbers of one's own."""
    what = repr(preset) if config is None else repr(dict(config))
    return script(
        [],
        f"table = ac.count_parameters({what})",
        "table.total, table.attention, table.lesson_total, table.lesson_attention",
        "table.frame()  # every tensor",
    )
