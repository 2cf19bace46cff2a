"""What Save offers as files: a view's numbers, an offline page, a page's own numbers; and a saved view opened again.

No file is made before its button is pressed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.errors import StreamlitAPIException

from attn_core.errors import HeadlightError
from attn_core.settings import settings
from attn_core.views import files
from attn_core.views.view import View
from ui import words
from ui.drawing import widgets
from ui.server import budget, shared
from ui.server.handles import ModelHandle

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


FILE_KINDS = {"Numbers": ("json", "npz"), "Offline": ("html",)}
WORDS = words.beside(__file__)
WHY = WORDS.table("save.why")
_MIME = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
    "npz": "application/octet-stream",
    "html": "text/html",
}
_OPENED = "saved_views_opened"
_WEIGHTS = "kept_weights"  # in a session: model, text and weights of the kept trace that was opened last
_TRACE = "headlight"  # how the name of a trace ends that `trace.save` has written


@dataclass(frozen=True)
class Numbers:
    """What a page shows that is no pattern: a name for the file, and how its CSV is made."""

    name: str
    make: Callable[[], str]


def view_buttons(view: View) -> None:
    widgets.titled(f"Save {view.name}", view.caption())
    for title, kinds in FILE_KINDS.items():
        with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
            st.html(f'<div class="hl-kind">{title}</div>', width="content")
            for kind in kinds:
                refused = budget.too_large(files.npz_size(view)) if kind == "npz" else None
                button(kind, partial(files.content, view, kind), file_name(view, kind), refused=refused)


def number_buttons(numbers: Sequence[Numbers]) -> None:
    """A file for each of a page's own tables."""
    for place, table in enumerate(numbers):
        widgets.titled("Save the numbers", table.name)
        key = f"save_numbers_{place}" if place else "save_numbers"
        button("csv", table.make, f"headlight-{plain(table.name)}.csv", key=key, label="CSV of these numbers")


def button(
    kind: str,
    make: Callable[[], str | bytes],
    name: str,
    key: str = "",
    refused: str | None = None,
    label: str = "",
    why: str = "",
) -> None:
    """A download, made when it is pressed; called by its kind, and explained so, unless there are words for it."""
    st.download_button(
        label or kind.upper(),
        data=partial(budget.made_in_turn, make),
        file_name=name,
        mime=_MIME[kind],
        key=key or f"save_{kind}",
        on_click="ignore",
        disabled=refused is not None,
        help=refused or why or WHY[kind],
    )


def file_name(view: View, kind: str) -> str:
    """For example headlight-minilm-head-0.3.png."""
    return f"headlight-{plain(Path(view.trace.model_name).name)}-{plain(view.name)}.{kind}"


def plain(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name)[:60].strip("-")


def open_again(file_of: Callable[[str], Path | None]) -> None:
    """A file that Headlight has written leads back to its view: an offline page, or a trace that was kept in Python."""
    turn = st.session_state.setdefault(_OPENED, 0)  # a fresh uploader each time, else the same file opens for ever
    wrong, largest = st.empty(), settings().upload_mb
    file = st.file_uploader(
        "Open a saved view",
        type=["html", _TRACE],
        key=f"saved_view_{turn}",
        max_upload_size=largest,
        help=WORDS.text("open.what"),
    )
    if file is None:
        return
    try:
        if file.size > largest * 2**20:  # a browser keeps to it; who sends files otherwise need not
            raise HeadlightError(WORDS.text("open.too_large", largest=largest))
        page, link = _kept(file.name, file.getvalue())
        script = file_of(page)
        if script is None:
            raise HeadlightError(WORDS.text("open.no_page"))
        st.session_state[_OPENED] = turn + 1
        st.switch_page(script, query_params=link)
    except HeadlightError as error:
        _refuse(wrong, str(error))
    except StreamlitAPIException:
        st.session_state[_OPENED] = turn
        _refuse(wrong, WORDS.text("open.damaged"))


def _kept(name: str, content: bytes) -> tuple[str, dict[str, str]]:
    """The page that a file belongs to, and its link's parameters."""
    if not name.lower().endswith(f".{_TRACE}"):
        saved = files.read(content)
        return saved.page, saved.link
    from attn_core.views.trace_file import view_of  # with torch, for which no first picture waits

    kept = view_of(content)
    st.session_state[_WEIGHTS] = (kept.model, kept.text, kept.weights)
    return kept.page, kept.link


def explain_weights(model: ModelHandle, text: str) -> None:
    """Say so where the sentence of a kept trace is read by other weights than those that it was made with."""
    name, kept_text, weights = st.session_state.get(_WEIGHTS, (None, None, None))
    if weights is None or (model.name, text) != (name, kept_text):
        return
    from attn_core.views.trace_file import weights_of

    if shared.memoize(model, weights_of) != weights:
        widgets.note(WORDS.text("open.other_weights", model=model.name))


def _refuse(place: DeltaGenerator, why: str) -> None:
    with place:
        widgets.problem("This file cannot be opened", why)
