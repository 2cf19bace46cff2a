"""The plain control for phrases: which words are read as one, from the first to the last, and taken apart again."""

from __future__ import annotations

from functools import partial

import streamlit as st

from attn_core.text.decoding import visible
from ui import words
from ui.all_heads import spans
from ui.all_heads.head import ArrangedHead
from ui.drawing import controls, markup, widgets
from ui.page import Page

WORDS = words.beside(__file__)
_ENDS = ("span_first", "span_last")  # in the session: the rows that are chosen here


def popover(head: ArrangedHead) -> None:
    """A button that says how many phrases there are, and behind it what makes and parts them."""
    n = len(head.arrangement.spans)
    with st.popover(WORDS.text("spans.button", words.how_many(n), n=n), key="phrases", on_change="rerun") as place:
        if place.open:
            _inside(head)


def _inside(head: ArrangedHead) -> None:
    st.html(f'<div class="hl-hint">{WORDS.html("spans.why")}</div>')
    labels = [visible(label) for label in head.arrangement.labels]
    names = [f"{label} ({at})" for label, at in zip(labels, head.said_positions, strict=True)]
    first, last = _chosen(head)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        for name, at in zip(_ENDS, (first, last), strict=True):
            end = partial(st.session_state.__setitem__, f"{name}_row")
            controls.word_picker(name, names, at, end, label=WORDS.text("spans.ends", name), labelled=True, width=150)
        low, high = sorted((first, last))
        places = head.arrangement.places
        ends = places[low][0], places[high][-1]
        st.button(WORDS.text("spans.join"), key="span_join", on_click=_join, args=ends, disabled=low == high)
    for row in head.arrangement.spans:
        place = head.arrangement.places[row]
        span = next(each for each in head.spans if each[0] <= place[-1] and place[0] <= each[1])
        says = WORDS.text("spans.part", at=head.said_positions[row])
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.html(markup.query(labels[row]), width="content")
            st.button(says, key=f"span_part_{span[0]}", on_click=spans.take_apart, args=(span,))


def remark(page: Page, head: ArrangedHead) -> None:
    """A line where the link says phrases that the sentence does not have."""
    if head.spans != page.state["spans"]:
        with page.remarks:
            widgets.note(WORDS.text("spans.not_here"))


def _chosen(head: ArrangedHead) -> tuple[int, int]:
    """The rows of both ends: those that were chosen here or, before that, the word that is followed and the next."""
    most = len(head.arrangement.labels) - 1
    usual = (head.row, min(head.row + 1, most))
    first, last = (st.session_state.get(f"{name}_row", row) for name, row in zip(_ENDS, usual, strict=True))
    return min(first, most), min(last, most)


def _join(first: int, last: int) -> None:
    """Callback: what was chosen is one, and both ends begin afresh."""
    for name in _ENDS:
        st.session_state.pop(f"{name}_row", None)
    spans.join(first, last)
