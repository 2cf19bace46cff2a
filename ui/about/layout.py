"""The page About: a few short paragraphs, the ways in, and every term."""

from __future__ import annotations

import streamlit as st

from attn_core.settings import VERSION
from ui import glossary, words
from ui.drawing import widgets
from ui.shell import newcomer
from ui.shell.menu import go

WORDS = words.beside(__file__)


def show() -> None:
    widgets.lead(WORDS.html("lead"), WORDS.html("sub", version=VERSION))
    newcomer.ways_in()
    with st.container(key="page_links", horizontal=True, gap="small"):
        go("training", WORDS.text("more.training"))
        go("predict_first", WORDS.text("more.predict"))
    left, right = st.columns(2, gap="medium")
    for column, parts in ((left, ("what", "checked")), (right, ("video", "privacy", "licence"))):
        with column:
            for part in parts:
                with widgets.card(part, WORDS.html("title", part)):
                    st.html(f'<div class="hl-prose">{WORDS.html("says", part)}</div>')
    with widgets.card("terms", WORDS.html("title.terms"), WORDS.html("terms_hint")):
        st.html(glossary.table())
