"""Save in the menu: the view as files, as lines of Python, and a saved view opened again.

The menu is drawn before there is anything to save, so it keeps a place, a `SaveMenu`, and the page adds
what it shows:

    page.offer(trace, layer=0, head=3)                  # a pattern; the rest as in `attn_core.views.view.View`
    page.save_menu.add_views({"A": page.save_menu.view(…), "B": …})     # several; the visitor picks one
    page.save_menu.add_views(numbers=Numbers("ledger", make_csv))  # numbers that are no pattern
    page.offer_pictures()                               # at the page's end: the pictures that it drew, by name

Nothing is made before the menu is open, no file before its button is pressed, and pictures are drawn by the visitor's
own browser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from attn_core.errors import HeadlightError
from attn_core.settings import settings
from attn_core.views import files as export
from attn_core.views.view import Readable, View
from ui.drawing import gallery, widgets
from ui.server import budget
from ui.shell import picture_file

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


LARGEST = settings().upload_mb  # megabytes; the largest file of ours has less than 6
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
_MIME = {"csv": "text/csv", "json": "application/json", "npz": "application/octet-stream", "html": "text/html"}
_OPENED = "saved_views_opened"
_WISHED = "wished_picture"


@dataclass(frozen=True)
class Numbers:
    """What a page shows that is no pattern: a name for the file, and how its CSV is made."""

    name: str
    make: Callable[[], str]


@dataclass
class Offered:
    """What a page has offered in this run, and where in the menu it is drawn once somebody opens it."""

    views: Mapping[str, View] = field(default_factory=dict)
    numbers: Numbers | None = None
    lines: str = ""  # of Python
    model: str = ""
    pattern_first: bool = False
    complete: bool = False
    is_open: bool = False
    place: DeltaGenerator | None = None

    def draw(self) -> None:
        """Everything that can be taken away, by kind."""
        figures = gallery.of_session()
        for name, view in self.views.items():
            title = f"{PATTERN}{name}: {view.name}" if len(self.views) > 1 else f"{PATTERN}{view.name}"
            figures.pictures[title] = gallery.Picture(partial(export.figure, view), view.caption(), about="")
        if figures.pictures:
            names = sorted(figures.pictures, key=lambda name: name.startswith(PATTERN) is not self.pattern_first)
            _of_pictures(figures, names, self.model)
        chosen = _chosen(self.views) if self.views else None
        if chosen is not None:
            _of_view(chosen)
        if self.numbers:
            _of_numbers(self.numbers)
        lines = self.lines or (chosen.as_python() if chosen is not None else "")
        if lines:
            with st.expander("Copy as Python"):
                st.code(lines, language="python", wrap_lines=True)


@dataclass(frozen=True)
class SaveMenu:
    """Where a page adds what can be taken away; nothing is made before the menu is open."""

    page: str
    link: Mapping[str, str]
    offered: Offered | None = None  # None in an embedded view, which has no menu

    def view(self, trace: Readable, **shown: Any) -> View:
        """A pattern of the trace as the page shows it; it remembers the page's link."""
        return View(trace, page=self.page, link=self.link, **shown)

    def add_views(self, views: Mapping[str, View] | None = None, numbers: Numbers | None = None) -> None:
        """Offer one view, or one of several by name, and the page's own numbers."""
        if self.offered is not None:
            self.offered.views, self.offered.numbers = views or {}, numbers

    def add_code(self, lines: str) -> None:
        """Offer the lines of Python that give what the page shows; without, those of the chosen view."""
        if self.offered is not None:
            self.offered.lines = lines

    def add_figures(self, about: str, model: str, *, pattern_first: bool = False) -> None:
        """The page's end: offer the pictures that it has drawn, by name, the views' patterns first or last."""
        gallery.of_session().about = about
        if self.offered is None:
            return
        self.offered.model, self.offered.pattern_first, self.offered.complete = model, pattern_first, True
        if self.offered.is_open and self.offered.place is not None:
            with self.offered.place:
                self.offered.draw()


NO_SAVE_MENU = SaveMenu("", {})


def popover(page: str, link: Mapping[str, str], file_of: Callable[[str], Path | None]) -> SaveMenu:
    """The button, and the menu behind it; `file_of` gives the script of a page, None where there is none."""
    offered = Offered()
    _menu(offered, file_of)
    return SaveMenu(page, link, offered)


@st.fragment
def _menu(offered: Offered, file_of: Callable[[str], Path | None]) -> None:
    """Opening it draws this part of the page alone. While the page itself is drawn, its end fills the place."""
    with st.popover("Save", key="save_open", on_change="rerun") as menu:
        offered.is_open, offered.place = bool(menu.open), st.container()
        if menu.open:
            _open_again(file_of)
    if offered.is_open and offered.complete:
        with offered.place:
            offered.draw()


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
    file = partial(picture_name, model, name)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        for kind in PICTURES:
            st.button(
                kind.upper(), key=f"picture_{kind}", help=WHY[kind], on_click=_ask_for, args=(name, kind, file(kind))
            )
        _button("csv", partial(numbers_of, figures, name), file("csv"), "picture_csv")
    wish = st.session_state.get(_WISHED)
    if wish is not None:
        st.session_state[_WISHED] = None
        picture_file.draw(figures.figure(wish.picture), wish.kind, wish.file)
    else:
        picture_file.keep_place()


@dataclass(frozen=True)
class _Wish:
    """A picture that somebody has just asked for."""

    picture: str
    kind: str
    file: str


def _ask_for(picture: str, kind: str, file: str) -> None:
    st.session_state[_WISHED] = _Wish(picture, kind, file)


def numbers_of(figures: gallery.FigureGallery, name: str) -> bytes:
    """A picture's numbers as CSV."""
    from attn_core.figures.paper import csv as numbers

    return numbers.table(figures.figure(name), figures.caption(name)).encode()


def picture_name(model: str, name: str, kind: str) -> str:
    """For example headlight-minilm-head-0.3.png."""
    return f"headlight-{_plain(Path(model).name)}-{_plain(name.removeprefix(PATTERN))}.{kind}"


def _of_view(view: View) -> None:
    widgets.titled(f"Save {view.name}", view.caption())
    for title, kinds in KINDS.items():
        with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
            st.html(f'<div class="hl-kind">{title}</div>', width="content")
            for kind in kinds:
                refused = budget.too_large(export.npz_size(view)) if kind == "npz" else None
                _button(kind, partial(export.content, view, kind), file_name(view, kind), refused=refused)


def _of_numbers(numbers: Numbers) -> None:
    widgets.titled("Save the numbers", numbers.name)
    _button("csv", numbers.make, f"headlight-{_plain(numbers.name)}.csv", key="save_numbers")


def _button(kind: str, make: Callable[[], str | bytes], name: str, key: str = "", refused: str | None = None) -> None:
    st.download_button(
        kind.upper(),
        data=partial(budget.made_in_turn, make),
        file_name=name,
        mime=_MIME[kind],
        key=key or f"save_{kind}",
        on_click="ignore",
        disabled=refused is not None,
        help=refused or WHY[kind],
    )


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


def _refuse(place: DeltaGenerator, why: str) -> None:
    with place:
        widgets.problem("This file cannot be opened", why)
