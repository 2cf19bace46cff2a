"""The next click of the page Why there?: a head that wrote one of the words opens its own score; and the way back."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from attn_core.text.decoding import visible
from attn_core.text.numbers import signed_percent
from ui import words
from ui.drawing import markup, widgets
from ui.link import choose
from ui.shell.folds import fold
from ui.why_there.score import AskedScore, HeadPart
from ui.why_there.trail import MOST_STEPS, Step, Trail

WORDS = words.beside(__file__)


def trail(asked: AskedScore) -> None:
    """The scores that led here, how much of the first is left, and the way back."""
    if asked.page.state["trail"] and not asked.trail:
        widgets.note(WORDS.text("next.lost"))
    if not asked.trail or asked.left is None:
        return
    steps = " › ".join(_with_share(asked, at) for at in range(len(asked.trail)))
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="trail"):
        said = WORDS.html("next.trail", steps=steps, left=signed_percent(asked.left).removeprefix("+"))
        st.html(f'<div class="hl-read">{said}</div>', width="content")
        last, before = asked.trail[-1], asked.trail[:-1]
        st.button(WORDS.text("next.back"), key="trail_back", on_click=_open, args=(last, before))
        if before:
            st.button(WORDS.text("next.start"), key="trail_start", on_click=_open, args=(before[0], ()))


def _with_share(asked: AskedScore, at: int) -> str:
    """A step of the way, and from the second one on how much of the first score was left there."""
    said = _said(asked, asked.trail[at])
    return WORDS.text("next.share", step=said, left=signed_percent(asked.left_at(at))) if at else said


def _said(asked: AskedScore, step: Step) -> str:
    queries, keys = asked.trace.tokens_of(step.stream)
    query, key = visible(queries.labels[step.query]), visible(keys.labels[step.key])
    return WORDS.text("next.step", head=f"{step.layer}.{step.head}", query=query, key=key)


def heads(asked: AskedScore) -> None:
    """The heads that wrote most; each opens its own score, from the word that it took most of it from."""
    if not asked.heads:
        widgets.reading(WORDS.html("next.none"))
    for part in asked.heads:
        here = asked.here._replace(side=part.side)
        way = (*asked.trail, here)[-MOST_STEPS:]
        key = f"open_{part.side}_{part.writer.replace(' ', '_').replace('.', '_')}"
        st.button(_offered(asked, part), key=key, on_click=_open, args=(_cell_of(asked, part), way))


def _cell_of(asked: AskedScore, part: HeadPart) -> Step:
    """The score that a head's button opens: from the word that it wrote into to the one it took most from."""
    writer, token = part.writer, asked.query if part.side == "q" else asked.key
    return Step(writer.stream, writer.layer or 0, writer.head or 0, token, part.source, "q")


def _offered(asked: AskedScore, part: HeadPart) -> str:
    labels = asked.trace.tokens_of(part.writer.stream)[1].labels
    share = signed_percent(part.part / asked.parts.score) if asked.parts.score else "–"
    word, source = (markup.in_label(name) for name in (asked.word(part.side), markup.token_name(labels, part.source)))
    return WORDS.text("next.button", name=part.writer, word=word, share=share, source=source)


def _open(cell: Step, way: Trail) -> None:
    """Callback: another score, and the way that led to it."""
    chosen = {"layer": cell.layer, "head": cell.head, "query": cell.query, "key": cell.key, "trail": way}
    choose(chosen | ({} if cell.stream == "self" else {"stream": cell.stream}))


def brought(asked: AskedScore) -> None:
    """What the head brings from the key, by who wrote it; where a score led here, each as a share of that."""
    found = asked.brought
    if found is None:
        return
    frame = found.frame()
    if asked.brought_share is not None:
        shares = dict(zip(map(str, found.writers), asked.brought_share, strict=True))
        frame["share %"] = [100 * shares[writer] for writer in frame["writer"]]
    shown = frame.head(8).round(3)
    widgets.table(shown, key="brought", hide_index=True, row_height=36, height=36 * (len(shown) + 1) + 2)
    fold(WORDS.text("brought.fold"), "numbers_brought", partial(widgets.table, pd.DataFrame(frame), hide_index=True))
