"""The page Patching from top to bottom: the pair, the map, the opened head, the paths into it, what to keep in mind."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from attn_core.views.snippets import circuits as snippets
from ui import stream, words
from ui.drawing import controls, widgets
from ui.patching import maps, paths, reading, sentences
from ui.patching.params import MORE, SECOND
from ui.patching.reading import Read
from ui.server import derived
from ui.shell import save_files
from ui.stream_links import links_elsewhere, open_head

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ui.page import Page

WORDS = words.beside(__file__)


def draw(page: Page) -> None:
    """The whole page."""
    headline = st.container(gap=None)
    if not page.state[SECOND.name].strip():  # the page ends at the pair, and still has its question above
        with headline:
            widgets.lead(WORDS.html("lead.question"))
    with st.container():  # whatever waits has this place, and nothing below moves when it is gone
        read = reading.of(page)
    left, right = st.columns([54, 46], gap="medium")
    with left, widgets.card("map", WORDS.html("map.title"), WORDS.html("map.hint", page.state["direction"])):
        table, values = maps.main_map(read)
    with right, widgets.card("row", WORDS.html("row.title", head=read.base.name), WORDS.html("row.hint")):
        _open_strongest(read, values)
        by_word = maps.opened_head(read)
        links_elsewhere(read.a, read.a.query, "all_heads", "step_by_step", "delta_e", "why_there")
    with widgets.card("paths", WORDS.html("paths.title", head=read.base.name), WORDS.html("paths.hint")):
        reached = paths.into_opened(read, values)
    left, right = st.columns(2, gap="medium")
    with left, widgets.card("cautions", WORDS.html("cautions.title")):
        st.html(f"<ul><li>{WORDS.html('cautions.first')}</li><li>{WORDS.html('cautions.second')}</li></ul>")
    with right, widgets.card("more", WORDS.html("more.title"), WORDS.html("more.hint", read.kind)):
        controls.lines(MORE, WORDS.text("more.placeholder", read.kind))
    _offer(read, [("map", table), ("row", by_word), ("paths", reached)])
    with headline:
        sub = WORDS.html("lead.sub", page.state["direction"], title=page.entry.title)
        if page.state["by"] == "words":
            labels = read.tokens.labels
            said = sentences.word_headline(read.asked, read.answers, page.state["tensor"], table, labels)
        elif page.state["by"] == "heads_words":
            labels = maps.rows_of(read, page.state["part"]).labels
            said = sentences.head_word_headline(read.asked, read.answers, page.state["part"], table, labels)
        else:
            said = sentences.headline(read.asked, read.answers, page.state["part"], table, values)
        badges = page.badges(read.a.trace, read.b.trace, derived=[derived.patched(read.a.model)])
        widgets.lead(said, f"{badges}{sub}")


def _open_strongest(read: Read, values: np.ndarray | None) -> None:
    """A button that opens the head which moves most, where it is not the opened one."""
    best = None if values is None else sentences.strongest(values)
    if best is not None and best != (read.base.layer, read.base.head):
        label = WORDS.text("row.open", head=sentences.named(best))
        st.button(label, key="open_strongest", on_click=open_head, args=best)


def _offer(read: Read, tables: list[tuple[str, pd.DataFrame | None]]) -> None:
    """The page's end: its numbers, its pictures and the lines of Python that give them."""
    numbers = [_numbers(read, name, table) for name, table in tables if table is not None]
    stream.offer_stream(read.a, None, *numbers)
    by = read.page.state["by"]
    lines = snippets.patching(
        read.page.model_name,
        (read.asked.first, read.asked.second),
        read.asked.answer,
        read.asked.measured,
        read.page.state["tensor" if by == "words" else "part"],
        read.asked.stream,
        (read.base.layer, read.base.head),
        read.page.state["through"],
        read.page.state["mlps"],
        read.asked.more,
        each_word=by == "heads_words",
        words_meet=read.words_meet,
    )
    said = [read.asked.first, read.asked.second]
    read.page.offer_pictures(f"head {read.base.name}", sentences=said, lines=lines)


def _numbers(read: Read, name: str, table: pd.DataFrame) -> save_files.Numbers:
    """One of the page's tables as a file."""
    title = WORDS.text("files", name, head=read.base.name, through=read.page.state["through"])
    return save_files.Numbers(title, partial(table.to_csv, index=False))
