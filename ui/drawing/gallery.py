"""The pictures of a page, kept by name while they are on screen, so that Save can draw any of them for paper.

gallery.plot("Arrows", partial(arrows.token_arrows, labels, starts, moves, projection), key="arrows", alt=…)
gallery.register("Every head", partial(drawn, packet, view))        # a canvas picture: `canvas.mount` does it
gallery.bars("Where it came from", labels, columns)                   # a table of bars

A session has one gallery, which holds what its last run drew: a button of a view long past keeps nothing alive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.figures.charts.spec import ChartSpec, validated
from attn_core.figures.colours import Theme
from attn_core.figures.html.bar_table import Column
from attn_core.figures.html.bar_table import bars as bars_html
from ui import words
from ui.shared_params import LARGE

if TYPE_CHECKING:
    import plotly.graph_objects as go

_GALLERY = "_gallery"

LARGEST_ANSWER = 20_000_000  # bytes of all canvas pictures of a page; four panels of 512 tokens have 6 million
WORDS = words.beside(__file__)
TOO_LARGE = WORDS.text("answer.too_large", megabytes=LARGEST_ANSWER // 1_000_000)
PRESENTED = 1.5  # times as large as usual: --hl-scale in assets/css/presenter.css
WHAT_FITS = WORDS.text("answer.what_fits")


@dataclass(frozen=True)
class Picture:
    """How a picture is made for paper (light), what its caption says, and of what it is, if not of what the page is."""

    make: Callable[[], go.Figure]
    says: str
    about: str | None = None
    numbers: Callable[[], str] | None = None  # its numbers as CSV, where the picture alone does not say them all


@dataclass
class FigureGallery:
    """The pictures of the page as it is, by name, and what every caption ends with."""

    pictures: dict[str, Picture] = field(default_factory=dict)
    about: str = ""
    headline: str = ""  # the page's one sentence, plain text: it stands over every saved picture
    sent: int = 0  # bytes of the page's canvas pictures

    def caption(self, name: str) -> str:
        picture = self._found(name)
        about = self.about if picture.about is None else picture.about
        return f"{picture.says} · {about}" if about else picture.says

    def figure(self, name: str) -> go.Figure:
        """The picture for paper, headline above, caption below. HeadlightError where it is no longer on the page."""
        from attn_core.figures.paper.slide import with_headline
        from attn_core.views import files

        made = files.for_paper(self._found(name).make(), self.caption(name))
        return with_headline(made, self.headline) if self.headline else made

    def slide(self, name: str) -> go.Figure:
        """The picture as a slide, 16:9: the headline on top, what it is of below."""
        from attn_core.figures.paper.slide import as_slide
        from attn_core.views import files

        bare = files.for_slide(self._found(name).make())
        return as_slide(bare, self.headline or self._found(name).says, self.caption(name))

    def _found(self, name: str) -> Picture:
        if name not in self.pictures:
            raise HeadlightError(WORDS.text("answer.gone"))
        return self.pictures[name]


def reset() -> None:
    """Empty the gallery, as a page begins to be drawn."""
    figures = of_session()
    figures.pictures, figures.about, figures.headline, figures.sent = {}, "", "", 0


def fits(n_bytes: int) -> bool:
    """Whether a canvas picture of so many bytes may still be sent with this answer; if so, it is counted."""
    figures = of_session()
    if figures.sent + n_bytes > LARGEST_ANSWER:
        return False
    figures.sent += n_bytes
    return True


def of_session() -> FigureGallery:
    found: FigureGallery = st.session_state.setdefault(_GALLERY, FigureGallery())
    return found


def register(name: str, make: Callable[[], go.Figure], says: str = "", about: str | None = None) -> None:
    """Let a picture that is on the page be saved. `says` begins its caption; without it, its name does.

    `about` ends it, by default as every caption of the page ends.
    """
    if _GALLERY in st.session_state:  # a picture that is drawn outside a page has no gallery
        of_session().pictures[name] = Picture(make, says or name, about)


def register_chart(name: str, make: Callable[..., ChartSpec], says: str = "") -> None:
    """Let a Plotly picture be saved that stands on the page in another form; `make` is called with `theme=`."""
    register(name, partial(validated(make), theme="light"), says)


def theme() -> Theme:
    return "dark" if st.context.theme.type == "dark" else "light"


def plot(
    name: str,
    make: Callable[..., ChartSpec],
    *,
    key: str,
    alt: str,
    says: str = "",
    about: str | None = None,
    **options: Any,
) -> Any:
    """Draw a Plotly picture in the visitor's theme, and register it; `make` is called with `theme=`."""
    register(name, partial(validated(make), theme="light"), says, about)
    return show(make(theme=theme()), key=key, alt=alt, **options)


def show(chart: ChartSpec, **options: Any) -> Any:
    """Draw a chart, in the presenter's size where that is chosen; `options` as in `st.plotly_chart`.

    It has no toolbar: that would cover what it stands on, and Save in the menu gives better files.
    """
    from attn_core.figures.unvalidated import Unvalidated

    if st.session_state.get(LARGE.name):
        chart = chart.enlarged(PRESENTED)
    return st.plotly_chart(Unvalidated(chart), theme=None, config={"displayModeBar": False}, **options)


def canvas(name: str, packet: bytes, view: Mapping[str, object], says: str = "") -> None:
    """Register a canvas picture: its packet, and what was said beside it."""
    from attn_core.figures.paper.draw import drawn

    register(name, partial(drawn, packet, dict(view)), says)


def bars(name: str, labels: Sequence[str], columns: Sequence[Column], says: str = "", **options: Any) -> None:
    """Draw a table of bars, and register it; `options` as in `attn_core.figures.html.bar_table`."""
    register(name, partial(_table, labels, columns, options.get("head", "word")), says)
    st.html(bars_html(labels, columns, **options))


def _table(labels: Sequence[str], columns: Sequence[Column], head: str) -> go.Figure:
    from attn_core.figures.paper.lines_and_boxes import table

    return table(labels, columns, head)
