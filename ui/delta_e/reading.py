"""From the ΔE page's link to the token that it names, and the choice of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from attn_core.text.decoding import visible
from ui import stream, words
from ui.delta_e.token import TokenUpdate
from ui.drawing import controls
from ui.shell.progress import refusal_ends_page
from ui.stream_links import choose_word

if TYPE_CHECKING:
    from ui.page import Page

WORDS = words.beside(__file__)


def of(page: Page) -> TokenUpdate:
    """The token that the link names; where its layer cannot be taken apart, the page ends with the reason."""
    viewed, place = stream.of(page), st.empty()

    def tell(fraction: float) -> None:
        if fraction < 1:
            place.progress(fraction, WORDS.text("page.progress"))
        else:
            place.empty()

    update = TokenUpdate(page, viewed, tell)
    with refusal_ends_page(WORDS.text("page.reason")):
        update.decomposition  # noqa: B018
    return update


def word_picker(update: TokenUpdate) -> None:
    """Choose the token."""
    names = [f"{visible(label)} ({i})" for i, label in enumerate(update.labels)]
    controls.word_picker("token", names, update.position, choose_word, label="Token")
