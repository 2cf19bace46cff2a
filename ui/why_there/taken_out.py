"""Attribution is not cause: the score when a head is really switched off, beside what the frozen split says."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from attn_core.circuits import explanation
from ui import words
from ui.drawing import widgets
from ui.server import budget
from ui.why_there.score import AskedScore

WORDS = words.beside(__file__)


def taken_out(asked: AskedScore) -> None:
    """One more pass for each of the largest heads, and how far the frozen split is from it."""
    writers = list(dict.fromkeys(part.writer for part in asked.heads))
    if not writers:
        widgets.reading(WORDS.html("taken.none"))
        return
    most = budget.fitting([(len(asked.viewed.queries), 1 + len(writers))])
    if most is not None:
        widgets.note(WORDS.text("taken.too_long", tokens=most))
        return
    table = pd.DataFrame(
        {
            "without": [str(writer) for writer in writers],
            "frozen split": [explanation.when_taken_out(asked.parts, writer) for writer in writers],
            "really": [asked.taken_out(writer) for writer in writers],
        }
    )
    table["off by"] = table["frozen split"] - table["really"]
    st.dataframe(table.round(3), key="taken_out", hide_index=True, row_height=36, height=36 * (len(table) + 1) + 2)
    gap = f"{table['off by'].abs().max():.2f}"
    widgets.reading(WORDS.html("taken.worst", gap=gap, score=f"{asked.parts.score:.2f}".replace("-", "−")))
