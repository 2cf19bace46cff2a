"""Attribution is not cause: the score when a writer is really taken out; passes in which heads stay off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from attn_core.circuits import explanation
from ui import words
from ui.drawing import widgets
from ui.link import choose
from ui.server import budget
from ui.shared_params import OFF
from ui.shell.progress import announced

if TYPE_CHECKING:
    from attn_core.traces.parts import Writer
    from ui.stream import StreamView
    from ui.why_there.score import AskedScore

WORDS = words.beside(__file__)
PARAMS = [OFF]
MOST_BUTTONS = 3


def taken_out(asked: AskedScore) -> None:
    """One more pass for each of the largest writers, and how far the frozen split is from it."""
    writers = [writer for writer, _ in asked.removable]
    most = budget.fitting([(len(asked.viewed.queries), 1 + len(writers))])
    if most is not None:
        widgets.note(WORDS.text("taken.too_long", tokens=most))
        return
    with announced(WORDS.text("taken.running")) as told:
        really = []
        for done, writer in enumerate(writers, 1):
            really.append(asked.taken_out(writer))
            told(done / len(writers))
    table = pd.DataFrame(
        {
            "without": [str(writer) for writer in writers],
            "adds": [adds for _, adds in asked.removable],
            "frozen split": [explanation.when_taken_out(asked.parts, writer) for writer in writers],
            "really": really,
        }
    )
    table["off by"] = table["frozen split"] - table["really"]
    st.dataframe(table.round(3), key="taken_out", hide_index=True, row_height=36, height=36 * (len(table) + 1) + 2)
    gap = f"{table['off by'].abs().max():.2f}"
    widgets.reading(WORDS.html("taken.worst", gap=gap, score=f"{asked.parts.score:.2f}".replace("-", "−")))
    _buttons(asked, writers)


def _buttons(asked: AskedScore, writers: list[Writer]) -> None:
    """The whole page in a pass without one of these heads; of the stream that is looked at, as the link names it."""
    heads = [writer for writer in writers if writer.kind == "head" and writer.stream == asked.stream][:MOST_BUTTONS]
    if heads:
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key="without"):
            for writer in heads:
                key = f"without_{writer.layer}_{writer.head}"
                off = (*asked.page.state["off"], (writer.layer, writer.head))
                st.button(WORDS.text("taken.look", head=writer), key=key, on_click=_switch_off, args=(off,))


def switched_off(viewed: StreamView) -> None:
    """Which heads are off in this pass, and the way back; nothing in a plain one."""
    changes = viewed.trace.changes
    if not changes:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="switched_off"):
        st.html(f'<div class="hl-read">{WORDS.html("taken.off", changes=str(changes))}</div>', width="content")
        st.button(WORDS.text("taken.back"), key="all_on", on_click=_switch_off, args=((),))


def _switch_off(off: tuple[tuple[int, int], ...]) -> None:
    """Callback: the heads that are off, in order."""
    choose({"off": tuple(sorted(set(off)))})
