"""Save in the menu: the view as files, as lines of Python, and a saved view opened again.

The menu is drawn before there is anything to save, so it keeps a place, a `SaveMenu`, and the page adds
what it shows:

    page.offer(trace, layer=0, head=3)                  # a pattern; the rest as in `attn_core.views.view.View`
    page.save_menu.add_views({"A": page.save_menu.view(…), "B": …})     # several; the visitor picks one
    page.save_menu.add_views({}, Numbers("parts", make_csv))  # numbers that are no pattern; or several tables
    page.offer_pictures()                               # at the page's end: the pictures that it drew, by name

Nothing is made before the menu is open, no file before its button is pressed, and pictures are drawn by the visitor's
own browser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from attn_core.traces.reader import Readable
from attn_core.views import files
from attn_core.views.view import View
from ui.drawing import gallery
from ui.shell import folds
from ui.shell.save_files import Numbers, number_buttons, open_again, view_buttons
from ui.shell.save_pictures import PATTERN, picture_buttons

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


@dataclass
class Offered:
    """What a page has offered in this run, and where in the menu it is drawn once somebody opens it."""

    views: Mapping[str, View] = field(default_factory=dict)
    numbers: tuple[Numbers, ...] = ()
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
            figures.pictures[title] = gallery.Picture(
                partial(files.figure, view), view.caption(), about="", numbers=partial(files.csv, view)
            )
        if figures.pictures:
            names = sorted(figures.pictures, key=lambda name: name.startswith(PATTERN) is not self.pattern_first)
            picture_buttons(figures, names, self.model)
        chosen = _chosen(self.views) if self.views else None
        if chosen is not None:
            view_buttons(chosen)
        number_buttons(self.numbers)
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

    def add_views(self, views: Mapping[str, View], *numbers: Numbers) -> None:
        """Offer one view, or one of several by name, and the page's own numbers."""
        if self.offered is not None:
            self.offered.views, self.offered.numbers = views, numbers

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


def popover(offered: Offered, file_of: Callable[[str], Path | None]) -> None:
    """The button, and the menu behind it; `file_of` gives the script of a page, None where there is none.

    Opening it draws the menu's fragment alone. While the page itself is drawn, its end fills the place.
    """
    with st.popover("Save", key="save_open", on_change="rerun") as menu:
        offered.is_open, offered.place = bool(menu.open), st.container()
        if menu.open:
            open_again(file_of)
            folds.switch()
    if offered.is_open and offered.complete:
        with offered.place:
            offered.draw()


def _chosen(views: Mapping[str, View]) -> View:
    if len(views) == 1:
        return next(iter(views.values()))
    name = st.segmented_control("Which panel", list(views), default=next(iter(views)), required=True, key="save_which")
    return views[name or next(iter(views))]
