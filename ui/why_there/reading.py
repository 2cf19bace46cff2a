"""From the link of the page Why there? to the score that it names, and the choice of another one."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from attn_core.text.decoding import visible
from attn_core.text.numbers import scientific, signed
from ui import stream, words
from ui.drawing import controls, markup, widgets
from ui.param import choice, whole
from ui.server import derived
from ui.shared_params import HEAD, KEY, LAYER, last_position
from ui.shell.progress import refusal_ends_page
from ui.stream_links import choose_word
from ui.why_there.score import AskedScore
from ui.why_there.sentences import headline
from ui.why_there.trail import TRAIL

if TYPE_CHECKING:
    from ui.page import Page

WORDS = words.beside(__file__)
COMPARED = choice("compared", WORDS.table("compared"), label="Compared")
OTHER = whole("other", high=last_position, optional=True, label="Another word")
PARAMS = [KEY, COMPARED, OTHER, TRAIL]


def of(page: Page) -> AskedScore:
    """The score that the link names; where it cannot be split, the page ends with the reason."""
    asked = AskedScore(page, stream.of(page).without(page.state["off"], page.state["parts_off"]))
    with refusal_ends_page(WORDS.text("page.reason")):
        asked.parts  # noqa: B018
    return asked


def lead(asked: AskedScore) -> None:
    """The headline, and under it that the parts add up and how much of them cancels."""
    parts = asked.parts
    badge = markup.badge(
        WORDS.text("page.adds_up", error=scientific(parts.residue)), "ok", WORDS.text("page.adds_up_why")
    )
    times = f"{parts.cancellation:,.0f}" if parts.cancellation >= 10 else f"{parts.cancellation:.1f}"
    size = WORDS.text("page.size", "many" if parts.cancellation > 3 else "few", times=times)
    if asked.viewed.reader.soft_cap(asked.viewed.layer) is not None:
        size += " " + WORDS.text("page.capped", capped=signed(parts.capped))
    checks = derived.of_changes(asked.viewed.model, asked.trace)
    widgets.lead(headline(asked), f"{asked.page.badges(asked.trace, derived=checks)}{badge}{escape(size)}")


def pickers(asked: AskedScore) -> None:
    """The two words, the head, and what the score is compared with."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="pickers"):
        queries, keys = asked.viewed.queries.labels, asked.viewed.keys.labels
        controls.word_picker("asking", _names(queries), asked.query, choose_word, label="The word that asks")
        seen = [f"{visible(keys[key])} ({key})" for key in asked.keys]
        place = asked.keys.index(asked.key)
        controls.word_picker("answering", seen, place, lambda at: _choose("key", asked.keys[at]), label="The answer")
        controls.stepper(LAYER, asked.viewed.n_layers - 1, ("K", "J"))
        controls.stepper(HEAD, asked.viewed.n_heads - 1, ("H", "L"))
        if controls.switch(COMPARED) == "key" and asked.other is not None:
            others = [key for key in asked.keys if key != asked.key]
            names = [f"{visible(keys[key])} ({key})" for key in others]
            at = others.index(asked.other)
            controls.word_picker("compare", names, at, lambda at: _choose("other", others[at]), label=OTHER.label)


def _names(labels: list[str]) -> list[str]:
    return [f"{visible(label)} ({i})" for i, label in enumerate(labels)]


def _choose(name: str, place: int) -> None:
    """Callback: look at another key, or compare with one."""
    st.session_state[name] = place
