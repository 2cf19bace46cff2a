"""Small pieces that pages are built of: cards, headlines, tiles of numbers, switches. Words go through `markup`.

with widgets.card("overview", "Every head of every layer", "Rows are layers, columns are heads."):
    ...
widgets.lead(f"To update {markup.query('creature')}, head 0.3 looks at {markup.key('fluffy')} (19 %).")
widgets.number_row([("11 %", "of this layer's ΔE"), ("3.2 bits", "entropy")])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

import streamlit as st
from markupsafe import Markup
from markupsafe import escape as markup_escape
from streamlit.delta_generator import DeltaGenerator

from attn_core.heads.measures import Measure
from attn_core.text.decoding import with_name
from ui.drawing import gallery

if TYPE_CHECKING:
    import pandas as pd
    from streamlit.elements.lib.column_types import ColumnConfig


def lead(html: str, sub: str = "") -> None:
    """The one sentence that says what to look at. Both parts are HTML: words go through `ui.drawing.markup`."""
    gallery.of_session().headline = str(Markup(html).striptags())
    with st.container(gap=None):  # the quiet line stands right under its sentence on every page
        st.html(f'<h1 class="hl-lead">{html}</h1>')
        if sub:
            under_lead(sub)


def under_lead(html: str) -> DeltaGenerator:
    """The quiet line under the headline, HTML; gives the place after it, for what may be said later without a jump."""
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key="under_lead"):
        st.html(f'<div class="hl-sub">{html}</div>', width="content")
        return st.container(width="content")


@contextmanager
def card(name: str, title: str = "", hint: str = "") -> Iterator[None]:
    """A card with a title and one line of explanation; `title` and `hint` are HTML. `name` is unique on its page."""
    with st.container(key=f"card_{name}"):
        if title or hint:
            heading(title, hint)
        yield


def only_card(name: str) -> None:
    """Show nothing but the headline and one card of the page; all of it where the page has no such card."""
    card, lead = f".st-key-card_{name}", ".hl-lead"
    kept = f":not(:has({card})):not({card} *):not({card}):not(:has({lead})):not(:has(.hl-full))"
    blocks = '[data-testid="stElementContainer"], [data-testid="stLayoutWrapper"], [data-testid="stColumn"]'
    st.html(
        f"<style>.stMainBlockContainer:has({card}) :is({blocks}){kept} {{ display: none; }}"
        f".stMainBlockContainer:has({card}) [data-testid='stColumn'] {{ flex: 1 1 100%; }}</style>"
    )


def heading(title: str, hint: str = "") -> None:
    """A title inside a card, and a line under it; both parts are HTML, and either may be missing."""
    name = f'<h2 class="hl-title">{title}</h2>' if title else ""
    st.html(name + (f'<div class="hl-hint">{hint}</div>' if hint else ""))


def titled(title: str, says: str = "") -> None:
    """A title and a quiet line under it inside a popover, where nothing is a heading of the page; plain text."""
    st.html(f'<div class="hl-titled"><b>{escape(title)}</b><span>{escape(says)}</span></div>')


def reading(html: str) -> None:
    """A plain sentence that reads a picture aloud; HTML."""
    st.html(f'<div class="hl-read">{html}</div>')


def number_row(parts: Sequence[tuple[str, str]], says: str = "") -> None:
    """A row of (number, what it is), and what they say in a sentence; plain text, or Markup for a term."""
    cells = "".join(f"<div><strong>{escape(number)}</strong>{markup_escape(what)}</div>" for number, what in parts)
    said = f'<div class="hl-hint" style="margin-top:8px">{escape(says)}</div>' if says else ""
    st.html(f'<div class="hl-numbers">{cells}</div>{said}')


def note(text: str) -> None:
    """A quiet remark, plain text."""
    st.html(f'<div class="hl-note" role="status">{escape(text)}</div>')


def problem(title: str, what_to_do: str = "") -> None:
    """What went wrong and what to do, in a sentence each; plain text."""
    st.html(f'<div class="hl-problem" role="alert"><b>{escape(title)}</b><span>{escape(what_to_do)}</span></div>')


@contextmanager
def kept_place(name: str, height: str) -> Iterator[None]:
    """Keep the height of a picture that its own script draws a moment later, so that nothing below it jumps.

    `height` is CSS and may use 100cqw, the width that the picture has.
    """
    st.html(
        f"<style>.st-key-place_{name} {{ container-type: inline-size; }}"
        f".st-key-place_{name} > div {{ min-height: {height}; }}</style>"
    )
    with st.container(key=f"place_{name}"):
        yield


def skeleton(height: int) -> None:
    """An empty card that keeps the place of a picture on its way."""
    st.html(f'<div class="hl-skeleton" style="height:{height}px" aria-hidden="true"></div>')


def table(frame: pd.DataFrame, **how: object) -> None:
    """A table, as `st.dataframe` draws it, with a name beside each sign that stands for a blank: "⏎ line break"."""
    st.dataframe(_with_names(frame), **how)  # type: ignore[call-overload]


def _with_names(frame: pd.DataFrame) -> pd.DataFrame:
    from pandas.api.types import is_numeric_dtype  # no first picture waits for pandas

    named = frame.copy(deep=False)
    for at, kind in enumerate(frame.dtypes):
        if not is_numeric_dtype(kind):
            named.isetitem(at, frame.iloc[:, at].map(_with_name))
    named.columns = frame.columns.map(_with_name)
    return named if is_numeric_dtype(frame.index) else named.set_axis(frame.index.map(_with_name))


def _with_name(cell: object) -> object:
    return with_name(cell) if isinstance(cell, str) else cell


def measure_column(measure: Measure) -> ColumnConfig:
    """The column of a measure of heads in a table: its title, how its numbers are written, and what it means."""
    return st.column_config.NumberColumn(measure.title, format=measure.column_format, help=measure.meaning)
