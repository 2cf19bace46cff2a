"""What takes many passes: its cost said before, its progress while it runs, and a way to stop it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

import streamlit as st

from attn_core.errors import HeadlightError
from ui import words
from ui.drawing import widgets
from ui.patching.reading import Read
from ui.server import budget, shared
from ui.server.cache import frozen

if TYPE_CHECKING:
    import pandas as pd


WORDS = words.beside(__file__)
SLOW = 2.0  # seconds; what takes longer is announced, and begins when somebody wants it
SOON = 0.4  # seconds; what takes less shows no progress
_ASKED = "patching_asked"  # in the session: what somebody wanted to be computed


def computed(
    read: Read, name: str, n_passes: int, kind: str, function: Callable[..., pd.DataFrame], *given: object
) -> pd.DataFrame | None:
    """`function(model, handle, *given, progress=…)`, kept for everybody; None where it is not there yet, with a reason.

    `kind` is what each of the passes puts somewhere, as `ac.at` names it, or "path": passes of a kind cost alike.

    Beyond a page's budget one sentence says so; what takes long waits for a click.
    """
    try:
        budget.hold_to([(read.longest, n_passes)])
    except budget.TooMuch as reason:
        widgets.problem(WORDS.text("computing.refused"), str(reason))
        return None
    key = hash(frozen((name, read.asked, *given)))  # not the sentences themselves: a session would keep every one
    seconds = n_passes * read.seconds_a_row(kind)
    wanted: set[Hashable] = st.session_state.setdefault(_ASKED, set())
    if seconds >= SLOW and key not in wanted:
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.button(WORDS.text("computing.ask", name), key=f"ask_{name}", on_click=_want, args=(key,))
            cost = WORDS.html("computing.cost", passes=n_passes, seconds=seconds)
            st.html(f'<span class="hl-hint">{cost}</span>')
        return None
    return _with_progress(read, name, key, seconds, function, *given)


def _want(key: Hashable) -> None:
    st.session_state.setdefault(_ASKED, set()).add(key)


def _stop(key: Hashable) -> None:
    """Callback: a click ends the run that computes; this keeps the next one from starting over."""
    st.session_state.setdefault(_ASKED, set()).discard(key)


def _with_progress(
    read: Read, name: str, key: Hashable, seconds: float, function: Callable[..., pd.DataFrame], *given: object
) -> pd.DataFrame | None:
    place, begun = st.empty(), time.monotonic()
    with place.container():
        if seconds >= SLOW:
            st.button(WORDS.text("computing.stop"), key=f"stop_{name}", on_click=_stop, args=(key,))
        bar = st.empty()

    def progress(done: int, passes: int) -> None:
        now = time.monotonic() - begun
        if now > SOON:
            left = now * (passes - done) / max(done, 1)
            said = WORDS.text("computing.progress", done=done, passes=passes, seconds=left)
            bar.progress(min(1.0, done / passes), text=said)

    try:
        found = shared.memoize(read.a.model, function, read.a.model, read.asked, *given, progress=progress)
    except HeadlightError as reason:
        place.empty()
        widgets.problem(WORDS.text("computing.refused"), str(reason))
        return None
    place.empty()
    return found
