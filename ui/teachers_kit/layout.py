"""The teacher's kit on screen: a card for each ready view, with its link, slide and frame."""

from __future__ import annotations

from html import escape

import streamlit as st

from attn_core.figures.charts.spec import validated
from attn_core.figures.paper.slide import as_slide, scale_of
from ui import words
from ui.drawing import gallery, widgets
from ui.link import link_params
from ui.page import Page
from ui.param import flag
from ui.shell import picture_file, share
from ui.shell.menu import go
from ui.teachers_kit.views import VIEWS, ReadyView

WORDS = words.beside(__file__)
SHEET = flag("sheet", label=WORDS.text("worksheet"), in_caption=False)
PARAMS = [SHEET]
_WISHED = "wished_slide"
PLACE = "slide_file"  # Save has a place of its own
FRAME_HEIGHT = 760  # pixels: the card of a head, with a short sentence, on half a screen


def views(page: Page) -> list[ReadyView]:
    """All views, made from real traces."""
    return [make(page) for make in VIEWS]


def show(page: Page) -> None:
    """Every view as a card, two beside each other."""
    widgets.lead(WORDS.html("lead"), WORDS.html("sub"))
    with st.container(key="kit_ways", horizontal=True, gap="small"):
        go("lesson", WORDS.text("lesson.open"), ("large", "1"))
        go("teachers_kit", WORDS.text("worksheet"), SHEET.set(True))
        go("training", WORDS.text("training"))
    found = views(page)
    for first in range(0, len(found), 2):
        for column, view in zip(st.columns(2, gap="medium"), found[first : first + 2], strict=False):
            with column:
                _card(view)
    _draw_slide(found)


def _card(view: ReadyView) -> None:
    with widgets.card(view.name, escape(view.title)):
        widgets.reading(escape(view.says))
        gallery.plot(
            view.title, view.picture, key=f"kit_{view.name}", alt=f"{view.title}. {view.says}", says=view.says,
            about=view.below,
        )  # fmt: skip
        with st.container(key=f"kit_ways_{view.name}", horizontal=True, gap="small", vertical_alignment="center"):
            go(view.page, WORDS.text("open"), **view.params)
            if view.page == "all_heads":
                go("predict_first", WORDS.text("ask_class"), ("teacher", "1"), **view.params)
            st.button(
                WORDS.text("slide"),
                key=f"slide_{view.name}",
                help=WORDS.text("slide_help"),
                on_click=_ask_for,
                args=(view.name,),
            )
            if view.shows_card:
                _frame(view)


def _frame(view: ReadyView) -> None:
    with st.popover(
        WORDS.text("frame"), key=f"frame_{view.name}", on_change="rerun", help=WORDS.text("frame_help")
    ) as menu:
        if menu.open:
            params = link_params(view.page, ("embed", "true"), ("card", view.shows_card), **view.params)
            link = share.address_of(view.page, "teachers_kit", params)
            st.code(share.frame_of(link, FRAME_HEIGHT), language=None, wrap_lines=True)


def _ask_for(name: str) -> None:
    st.session_state[_WISHED] = name


def _draw_slide(found: list[ReadyView]) -> None:
    """The slide that somebody has just asked for, drawn by the visitor's browser."""
    wished = st.session_state.pop(_WISHED, None)
    for view in found:
        if view.name == wished:
            figure = view.paper() if view.paper else validated(view.picture)(theme="light")
            slide = as_slide(figure, view.says, view.below)
            picture_file.draw(slide, "png", f"{view.name}-slide.png", scale_of(slide), key=PLACE)
            return
    picture_file.keep_place(PLACE)
