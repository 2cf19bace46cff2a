"""Save in the menu: the view as files, as lines of Python, and a saved view opened again.

The menu is drawn before there is anything to save, so it keeps a place, a `SaveMenu`, and the page adds
what it shows:

    page.offer(trace, layer=0, head=3)                  # a pattern; the rest as in `attn_core.views.View`
    page.save_menu.add_views({"A": page.save_menu.view(…), "B": …})     # several; the visitor picks one
    page.save_menu.add_views(numbers=Numbers("ledger", make_csv))  # numbers that are no pattern
    page.offer_pictures()                               # at the page's end: the pictures that it drew, by name

Nothing is made before its button is pressed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from attn_core.errors import HeadlightError
from attn_core.views import files as export
from attn_core.views.view import View
from ui.drawing import gallery, widgets
from ui.server import passes

if TYPE_CHECKING:
    from ui.stream import StreamView

LARGEST = 8  # megabytes; the largest file of ours has less than 6
LONGEST_WAIT = 60.0  # seconds for a picture, of which the machine draws one at a time
CROWDED = "Many pictures are being drawn just now: please try again in a moment."
PATTERN = "Pattern of "  # begins the name of an added view's picture
PICTURES = ("png", "svg")
KINDS = {"Numbers": ("csv", "json", "npz"), "Offline": ("html",)}
WHY = {
    "png": "A picture for slides",
    "svg": "A picture for a paper",
    "csv": "One line a number, for a spreadsheet",
    "json": "Labels and weights",
    "npz": "Every head of every layer, for numpy",
    "html": "One page that works without a network: every head, hover, keyboard. It can be opened again here.",
}
_MIME = {"png": "image/png", "svg": "image/svg+xml", "csv": "text/csv", "json": "application/json"}
_MIME |= {"npz": "application/octet-stream", "html": "text/html"}
_OPENED = "saved_views_opened"
_drawing = threading.Lock()


@dataclass(frozen=True)
class Numbers:
    """What a page shows that is no pattern: a name for the file, and how its CSV is made."""

    name: str
    make: Callable[[], str]


@dataclass(frozen=True)
class SaveMenu:
    """The place in the menu where a page adds what can be taken away; without one, in an embedded view, nothing is."""

    page: str
    link: Mapping[str, str]
    place: Any = None
    wall: Any = None  # the place of the pictures, above
    python: Any = None  # … and of the lines of Python, below

    def view(self, trace: Any, **shown: Any) -> View:
        """A pattern of the trace as the page shows it; it remembers the page's link."""
        return View(trace, page=self.page, link=self.link, **shown)

    def add_views(self, views: Mapping[str, View] | None = None, numbers: Numbers | None = None) -> None:
        """Offer one view, or one of several by name, and the page's own numbers."""
        if self.place is None:
            return
        with self.place.container():
            chosen = _chosen(views) if views else None
            if chosen is not None:
                _of_view(chosen)
            if numbers:
                _of_numbers(numbers)
        if chosen is not None:
            self.add_code(chosen.as_python())
        for name, view in (views or {}).items():
            title = f"{PATTERN}{name}: {view.name}" if len(views or {}) > 1 else f"{PATTERN}{view.name}"
            gallery.register(title, partial(export.figure, view), view.caption(), about="")

    def add_figures(self, about: str, model: str, *, pattern_first: bool = False) -> None:
        """Offer the pictures that the page has drawn, by name; the added views' patterns come first, or last."""
        figures = gallery.of_session()
        figures.about = about
        if self.wall is None or not figures.pictures:
            return
        names = sorted(figures.pictures, key=lambda name: name.startswith(PATTERN) is not pattern_first)
        with self.wall:
            _of_pictures(figures, names, model)

    def add_code(self, lines: str) -> None:
        """Offer the lines of Python that give what the page shows."""
        if self.python is not None:
            with self.python.container(), st.expander("Copy as Python"):
                st.code(lines, language="python", wrap_lines=True)


NO_SAVE_MENU = SaveMenu("", {})


def offer_stage(viewed: StreamView, query: int | None = None, numbers: Numbers | None = None) -> None:
    """What a page about many heads shows: its stream's chosen head, the word that asks, and the page's own numbers."""
    view = viewed.page.state
    shown = viewed.page.save_menu.view(
        viewed.trace,
        layer=viewed.layer,
        head=viewed.head,
        stream=viewed.stream,
        query=viewed.query if query is None else query,
        queries_in=view.get("queries", "rows"),
        scale=view.get("scale", "sqrt"),
    )
    viewed.page.save_menu.add_views({"": shown}, numbers)


def popover(page: str, link: Mapping[str, str], file_of: Callable[[str], Path | None]) -> SaveMenu:
    """The button, and the menu behind it; `file_of` gives the script of a page, None where there is none."""
    with st.popover("Save"):
        wall, place, python = st.container(), st.empty(), st.empty()
        _open_again(file_of)
    return SaveMenu(page, link, place, wall, python)


def _chosen(views: Mapping[str, View]) -> View:
    if len(views) == 1:
        return next(iter(views.values()))
    name = st.segmented_control("Which panel", list(views), default=next(iter(views)), required=True, key="save_which")
    return views[name or next(iter(views))]


@st.fragment
def _of_pictures(figures: gallery.FigureGallery, names: Sequence[str], model: str) -> None:
    """The page's pictures by name: choosing one draws this part of the page alone, and makes nothing yet."""
    name = st.selectbox("Save a picture", names, key="save_picture") if len(names) > 1 else names[0]
    if name not in figures.pictures:  # the page has moved on since
        name = names[0]
    widgets.titled(name if len(names) == 1 else "", figures.caption(name))
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        for kind in (*PICTURES, "csv"):
            _button(kind, partial(painted, figures, name, kind), picture_name(model, name, kind), f"picture_{kind}")


def painted(figures: gallery.FigureGallery, name: str, kind: str) -> bytes:
    """A picture's file, or its numbers as CSV. Pictures need a browser each, so they take turns."""
    if kind == "csv":
        from attn_core.figures.paper import csv as numbers

        return numbers.table(figures.figure(name), figures.caption(name)).encode()
    with passes.place(_drawing, LONGEST_WAIT, CROWDED):
        return export.rendered(figures.figure(name), kind)


def picture_name(model: str, name: str, kind: str) -> str:
    """For example headlight-minilm-head-0.3.png."""
    return f"headlight-{_plain(Path(model).name)}-{_plain(name.removeprefix(PATTERN))}.{kind}"


def _of_view(view: View) -> None:
    widgets.titled(f"Save {view.name}", view.caption())
    for title, kinds in KINDS.items():
        with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
            st.html(f'<div class="hl-kind">{title}</div>', width="content")
            for kind in kinds:
                _button(kind, partial(export.content, view, kind), file_name(view, kind))


def _of_numbers(numbers: Numbers) -> None:
    widgets.titled("Save the numbers", numbers.name)
    _button("csv", numbers.make, f"headlight-{_plain(numbers.name)}.csv", key="save_numbers")


def _button(kind: str, make: Callable[[], Any], name: str, key: str = "") -> None:
    drawn = kind not in PICTURES or can_draw()
    st.download_button(
        kind.upper(),
        data=make,
        file_name=name,
        mime=_MIME[kind],
        key=key or f"save_{kind}",
        on_click="ignore",
        disabled=not drawn,
        help=WHY[kind] if drawn else "A picture file needs Chrome or Chromium on the server, which has none.",
    )


@cache
def can_draw() -> bool:
    """Whether there is a browser that picture files can be drawn with."""
    from choreographer.browsers.chromium import Chromium

    return Chromium.find_browser(skip_local=False) is not None


def file_name(view: View, kind: str) -> str:
    """For example headlight-minilm-head-0.3.png."""
    return f"headlight-{_plain(Path(view.trace.model_name).name)}-{_plain(view.name)}.{kind}"


def _plain(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name)[:60].strip("-")


def _open_again(file_of: Callable[[str], Path | None]) -> None:
    """A file that Headlight has written leads back to its view."""
    turn = st.session_state.setdefault(_OPENED, 0)  # a fresh uploader each time, else the same file opens for ever
    wrong = st.empty()
    file = st.file_uploader("Open a saved view", type="html", key=f"saved_view_{turn}", max_upload_size=LARGEST)
    if file is None:
        return
    try:
        saved = export.read(file.getvalue())
        script = file_of(saved.page)
        if script is None:
            raise HeadlightError("This saved view belongs to a page that is not here.")
        st.session_state[_OPENED] = turn + 1
        st.switch_page(script, query_params=saved.link)
    except HeadlightError as error:
        _refuse(wrong, str(error))
    except StreamlitAPIException:
        st.session_state[_OPENED] = turn
        _refuse(wrong, "This saved view is damaged: its link cannot be followed.")


def _refuse(place: Any, why: str) -> None:
    with place:
        widgets.problem("This file cannot be opened", why)
