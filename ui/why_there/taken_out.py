"""Attribution is not cause: the score when a writer is really taken out; passes in which heads stay off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from attn_core.circuits import explanation
from attn_core.text.numbers import hundredths
from ui import words
from ui.drawing import widgets
from ui.link import choose
from ui.param import Param
from ui.server import budget
from ui.shared_params import OFF
from ui.shell.progress import announced

if TYPE_CHECKING:
    from attn_core.traces.parts import Writer
    from ui.stream import StreamView
    from ui.why_there.score import AskedScore

WORDS = words.beside(__file__)
MOST_BUTTONS = 3  # for heads, and as many for MLPs
MOST_PARTS = 100  # in a link
Parts = tuple[tuple[str, int], ...]


def parse_parts(raw: str) -> Parts:
    """ "mlp.2_attention.0" → (("attention", 0), ("mlp", 2)): what whole layers add. ValueError says what is wrong."""
    pieces = [piece.split(".") for piece in raw.split("_") if piece]
    fits = [len(piece) == 2 and piece[0] in ("attention", "mlp") for piece in pieces]
    if (
        len(pieces) > MOST_PARTS
        or not all(fits)
        or not all(n.isascii() and n.isdigit() and len(n) < 5 for _, n in pieces)
    ):
        raise ValueError("it must be parts like mlp.2_attention.0, each with its layer")
    return tuple(sorted({(kind, int(layer)) for kind, layer in pieces}))


PARTS_OFF = Param(
    "parts_off",
    (),
    lambda raw, earlier: parse_parts(raw),
    lambda parts: "_".join(f"{kind}.{layer}" for kind, layer in parts),
    label=WORDS.text("taken.parts"),
)
PARAMS = [OFF, PARTS_OFF]


def taken_out(asked: AskedScore) -> pd.DataFrame | None:
    """The score without each of the largest writers, and how far the frozen split is from it; gives the table."""
    writers = [writer for writer, _ in asked.removed]
    most = budget.fitting([(len(asked.viewed.queries), 1 + len(writers))])
    if most is not None:
        widgets.note(WORDS.text("taken.too_long", tokens=most))
        return None
    with announced(WORDS.text("taken.running")) as told:
        really = asked.really(told)
    table = pd.DataFrame(
        {
            "without": [str(writer) for writer in writers],
            "adds": [adds for _, adds in asked.removed],
            "frozen split": [explanation.when_taken_out(asked.parts, writer) for writer in writers],
            "really": really,
        }
    )
    table["off by"] = table["frozen split"] - table["really"]
    widgets.table(table.round(3), key="taken_out", hide_index=True, row_height=36, height=36 * (len(table) + 1) + 2)
    gap = f"{table['off by'].abs().max():.2f}"
    widgets.reading(WORDS.html("taken.worst", gap=gap, score=hundredths(asked.parts.score)))
    if any(writer.kind == "patch" for writer in writers):
        widgets.reading(WORDS.html("taken.patch"))
    _buttons(asked, writers)
    return table


def _buttons(asked: AskedScore, writers: list[Writer]) -> None:
    """The whole page in a pass without a head or an MLP; of the stream that is looked at, as the link names it.

    What else is taken out is a vector, or a sentence's many, and no link holds those.
    """
    own = [writer for writer in writers if writer.stream == asked.stream and writer.kind in ("head", "mlp")]
    if own:
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key="without"):
            for writer in own[: 2 * MOST_BUTTONS]:
                off, parts = asked.page.state["off"], asked.page.state["parts_off"]
                if writer.kind == "head":
                    key, off = f"without_{writer.layer}_{writer.head}", (*off, (writer.layer, writer.head))
                else:
                    key, parts = f"without_mlp_{writer.layer}", (*parts, ("mlp", writer.layer))
                st.button(WORDS.text("taken.look", head=writer), key=key, on_click=_switch_off, args=(off, parts))


def switched_off(viewed: StreamView) -> None:
    """Which heads are off in this pass, and the way back; nothing in a plain one."""
    changes = viewed.trace.changes
    if not changes:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="switched_off"):
        st.html(f'<div class="hl-read">{WORDS.html("taken.off", changes=str(changes))}</div>', width="content")
        st.button(WORDS.text("taken.back"), key="all_on", on_click=_switch_off, args=((), ()))


def _switch_off(off: tuple[tuple[int, int], ...], parts: Parts) -> None:
    """Callback: the heads that are off, and the parts of whole layers, in order."""
    choose({"off": tuple(sorted(set(off))), "parts_off": tuple(sorted(set(parts)))})
