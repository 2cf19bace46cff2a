"""The worksheet: a question for each ready view on the first page, the answers on the second; for paper."""

from __future__ import annotations

from html import escape

import streamlit as st

from attn_core.settings import VERSION
from ui import words
from ui.link import link_params
from ui.page import Page
from ui.shell import share
from ui.shell.menu import go
from ui.teachers_kit.layout import SHEET, views

WORDS = words.beside(__file__)


def show(page: Page) -> None:
    found = views(page)
    st.html("<style>@page { size: A4 portrait !important; margin: 12mm !important; }</style>")  # upright, unlike others
    with st.container(key="sheet_ways"):
        go("teachers_kit", WORDS.text("back"), SHEET.set(False))
    asked = "".join(
        f"<li><b>{escape(view.title)}</b> {escape(view.question)}"
        f'<a href="{escape(link)}" target="_blank" rel="noopener">{escape(link)}</a><i></i></li>'
        for view in found
        if (link := share.address_of(view.page, "teachers_kit", link_params(view.page, **view.params)))
    )
    answers = "".join(f"<li><b>{escape(view.title)}</b> {escape(view.answer)}</li>" for view in found)
    st.html(
        f'<section class="hl-sheet"><h1>{WORDS.html("sheet.title")}</h1><p>{WORDS.html("sheet.says")}</p>'
        f"<p>{WORDS.html('sheet.how')}</p><ol>{asked}</ol></section>"
        f'<section class="hl-sheet hl-answers"><h1>{WORDS.html("sheet.answers")}</h1><ol>{answers}</ol>'
        f"<p>{WORDS.html('sheet.measured', version=VERSION)}</p></section>"
    )
