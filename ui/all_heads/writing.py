"""Writing on: append one of the likeliest words, or let the model write; the sentence remembers what was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.prediction.next_token import TokenPrediction, continued_text, generate
from attn_core.text.decoding import visible
from ui import words
from ui.drawing import controls, widgets
from ui.link import forget
from ui.page import Page
from ui.param import choice, decimal, typed, whole
from ui.server import passes

if TYPE_CHECKING:
    from ui.server.handles import TraceHandle

WORDS = words.beside(__file__)
AT_ONCE = 8  # words that one click writes


DRAW = choice("draw", WORDS.table("switches.draw"), label="Writing")
TEMPERATURE = decimal("temperature", 0.1, 2.0, 1.0, label="Temperature", help=WORDS.text("next.temperature"))
TOP_K = whole("top_k", high=100, label="Top k", help=WORDS.text("next.top_k"))
PARAMS = [DRAW, TEMPERATURE, TOP_K, typed("written", "")]


def settings(page: Page, trace: TraceHandle, found: Sequence[TokenPrediction]) -> None:
    """How words are drawn, one of the words found to append, and buttons that let the model write."""
    places_left = page.model().limit - len(trace.tokens)
    _draw_settings()
    _append_one(page, trace, found, places_left)
    _let_it_write(page, trace, places_left)
    if places_left < 1:
        widgets.note(WORDS.text("next.full"))
    if "next_problem" in st.session_state:
        widgets.note(st.session_state.pop("next_problem"))


def _draw_settings() -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        controls.slider(TEMPERATURE, step=0.1, width=190)
        controls.number(TOP_K, width=130)


def _append_one(page: Page, trace: TraceHandle, found: Sequence[TokenPrediction], places_left: int) -> None:
    def append() -> None:
        _grow(page, trace, [found[st.session_state["next_choice"]].id])

    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.selectbox(
            "Word to append",
            range(len(found)),
            key="next_choice",
            width=190,
            label_visibility="collapsed",
            format_func=lambda i: visible(found[i].word) if i < len(found) else "",
        )
        st.button("Append this word", key="next_append", on_click=append, disabled=places_left < 1)


def _let_it_write(page: Page, trace: TraceHandle, places_left: int) -> None:
    def write(count: int) -> None:
        try:
            _grow(page, trace, _written_by_model(page, trace, count))
        except HeadlightError as error:
            st.session_state["next_problem"] = str(error)

    full = places_left < 1
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        controls.switch(DRAW)
        st.button("Write a word", key="next_one", on_click=write, args=(1,), disabled=full)
        st.button(f"Write {AT_ONCE}", key="next_many", on_click=write, args=(AT_ONCE,), disabled=full)


def _written_by_model(page: Page, trace: TraceHandle, count: int) -> list[int]:
    """The ids of the next tokens, each after a pass of its own."""
    model, by_chance = page.model(), page.state["draw"] == "chance"
    found = generate(
        lambda ids: passes.trace(model, ids),
        trace.tokens.ids,
        count,
        limit=model.limit,
        stop=(model.tokenizer.eos_token_id,),
        temperature=st.session_state["temperature"],
        top_k=st.session_state["top_k"],
        rng=np.random.default_rng() if by_chance else None,
    )
    return [prediction.id for prediction in found]


def _grow(page: Page, trace: TraceHandle, ids: Sequence[int]) -> None:
    """Callback's end: the sentence grows, and remembers what was typed and what was written."""
    text = continued_text(page.model().tokenizer, trace.tokens, ids)
    typed_before = _typed(page)
    st.session_state["text"], st.session_state["written"] = text, text.removeprefix(typed_before)
    forget("query")


def _typed(page: Page) -> str:
    """The part of the sentence that the visitor typed: all of it, unless it ends with what the model wrote."""
    return page.text.removesuffix(page.state["written"]).rstrip() if page.state["written"] else page.text.rstrip()


def written_rows(page: Page, trace: TraceHandle) -> range:
    """The rows that produced what the model wrote: each the one before its word; empty where it wrote nothing."""
    written = page.state["written"]
    if not written or not page.text.endswith(written):
        return range(0)
    first = len(page.model().read(_typed(page))) if _typed(page) else 1
    return range(first - 1, len(trace.tokens) - 1)
