"""What Save offers as pictures: each picture of the page by name, drawn by the visitor's own browser when asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import streamlit as st

from attn_core.figures.paper.slide import scale_of
from ui.drawing import gallery, widgets
from ui.shell import picture_file
from ui.shell.save_files import WHY, button, plain

PATTERN = "Pattern of "  # begins the name of an added view's picture
PICTURES = {"png": "PNG", "svg": "SVG", "slide": "Slide (16:9)"}
LONGEST_WAIT = 20  # seconds; a wish that was not drawn by then is forgotten
_WISHED = "wished_picture"


@st.fragment
def picture_buttons(figures: gallery.FigureGallery, names: Sequence[str], model: str) -> None:
    """The page's pictures by name: choosing one draws this part of the page alone, and makes nothing yet."""
    name = st.selectbox("Save a picture", names, key="save_picture") if len(names) > 1 else names[0]
    if name not in figures.pictures:  # the page has moved on since
        name = names[0]
    widgets.titled(name if len(names) == 1 else "", figures.caption(name))
    file = partial(picture_name, model, name)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        for kind, label in PICTURES.items():
            st.button(label, key=f"picture_{kind}", help=WHY[kind], on_click=_ask_for, args=(name, kind, file(kind)))
        button("csv", partial(numbers_of, figures, name), file("csv"), "picture_csv")
    _fulfil(figures, name, file)


def _fulfil(figures: gallery.FigureGallery, name: str, file: Callable[[str], str]) -> None:
    """Draw what was asked for. A wish outlives its first run, which a click elsewhere may have ended before its picture
    was sent; it has a number, so that a browser draws it once. Where the picture changed in the moment of the click,
    the one that stands there now (`name`) is drawn: the pattern of another head has another name.
    """
    wish = st.session_state.get(_WISHED)
    if wish is not None and wish.picture not in figures.pictures:
        wish = replace(wish, picture=name, file=file(wish.kind))
    if wish is None or time.time() - wish.at > LONGEST_WAIT:
        picture_file.keep_place()
    elif wish.kind == "slide":
        slide = figures.slide(wish.picture)
        picture_file.draw(slide, "png", wish.file, scale_of(slide), at=wish.at)
    else:
        picture_file.draw(figures.figure(wish.picture), wish.kind, wish.file, at=wish.at)


@dataclass(frozen=True)
class _Wish:
    """A picture that somebody has just asked for."""

    picture: str
    kind: str
    file: str
    at: float  # when, in seconds


def _ask_for(picture: str, kind: str, file: str) -> None:
    st.session_state[_WISHED] = _Wish(picture, kind, file, time.time())


def numbers_of(figures: gallery.FigureGallery, name: str) -> bytes:
    """A picture's numbers as CSV."""
    from attn_core.figures.paper import csv

    found = figures.pictures.get(name)
    if found is not None and found.numbers is not None:
        return found.numbers().encode()
    return csv.table(figures.figure(name), figures.caption(name)).encode()


def picture_name(model: str, name: str, kind: str) -> str:
    """For example headlight-minilm-head-0.3.png."""
    ending = "-slide.png" if kind == "slide" else f".{kind}"
    return f"headlight-{plain(Path(model).name)}-{plain(name.removeprefix(PATTERN))}{ending}"
