"""Reads the sentences of a study, in turn with other visitors: with progress, and a stop that keeps what is done.

What is done is kept for everybody under what was asked, as traces are; a session keeps the key alone.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple, cast

import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.settings import is_public
from attn_core.study.batches import fingerprint
from attn_core.study.result import StudyResult
from attn_core.study.run import Plan, iter_study
from ui import words
from ui.drawing import widgets
from ui.server import budget, passes, shared
from ui.server.cache import key_of
from ui.study import kept
from ui.study.asked import Asked

if TYPE_CHECKING:
    from ui.page import Page
    from ui.server.handles import ModelHandle

WORDS = words.beside(__file__)
AT_ONCE = 2_500  # heads × sentences that are read without a click: a second
SHORT = 4_000  # characters of all of them
_ASKED = "study_asked"  # in the session: what somebody wanted to be read


class Read(NamedTuple):
    """What is there of a study now, and of how many rows."""

    result: StudyResult
    rows: int


def read(page: Page, model: ModelHandle, asked: Asked) -> Read | None:
    """The study, or what is done of it; None while nothing is. Shows what can be done next."""
    key = ("study", key_of(model), fingerprint(asked.sentences), tuple(map(str, asked.rules)))
    begun = cast("StudyResult | None", shared.STATE.traces.get(key))
    begun = _with_kept(model, asked, key, begun)
    if begun is None or not begun.complete:
        begun = _go_on(page, model, asked, key, begun)
    return None if begun is None else Read(begun, len(asked.sentences))


def _with_kept(model: ModelHandle, asked: Asked, key: Hashable, begun: StudyResult | None) -> StudyResult | None:
    """What is done of the study, here or in the file that a visitor put in, whichever is further."""
    if not asked.kept:
        return begun
    try:
        found = kept.opened(asked.kept, model, asked.sentences, Plan(rules=asked.rules))
    except HeadlightError as error:
        widgets.note(str(error))
        return begun
    if begun is not None and begun.reached >= found.reached:
        return begun
    shared.STATE.traces.put(key, found, found.n_bytes)
    return found


def _go_on(
    page: Page, model: ModelHandle, asked: Asked, key: Hashable, begun: StudyResult | None
) -> StudyResult | None:
    """Read on where somebody wants it, or where it takes a moment; else offer to."""
    wanted: set[int] = st.session_state.setdefault(_ASKED, set())
    if hash(key) not in wanted and not (begun is None and _is_quick(page, asked)):
        _offer(asked, begun, hash(key))
        return begun
    with page.problems():
        if is_public():
            _hold_to_budget(model, asked)
        return _with_progress(model, asked, key, begun)


def _is_quick(page: Page, asked: Asked) -> bool:
    heads = page.entry.n_layers * page.entry.n_heads
    characters = sum(len(text) for own in asked.sentences for text in own.texts)
    return len(asked.sentences) * heads <= AT_ONCE and characters <= SHORT


def _hold_to_budget(model: ModelHandle, asked: Asked) -> None:
    texts = (text for own in asked.sentences for text in own.texts if text.strip())
    budget.hold_to((len(model.read(text).ids), 1) for text in texts)


def _offer(asked: Asked, begun: StudyResult | None, key: int) -> None:
    """A button that begins to read, or that goes on."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        n = len(asked.sentences)
        label = WORDS.text("computing.ask", n=n) if begun is None else WORDS.text("computing.go_on")
        st.button(label, key="read_study", type="primary", on_click=_want, args=(key,))
        if begun is None:
            said = WORDS.html("computing.cost")
        else:
            said = WORDS.html("computing.stopped", done=begun.reached, n=n)
        st.html(f'<span class="hl-hint">{said}</span>')


def _want(key: int) -> None:
    st.session_state.setdefault(_ASKED, set()).add(key)


def _stop(key: int) -> None:
    """Callback: a click ends the run that reads; this keeps the next one from going on by itself."""
    st.session_state.setdefault(_ASKED, set()).discard(key)


def _with_progress(model: ModelHandle, asked: Asked, key: Hashable, begun: StudyResult | None) -> StudyResult | None:
    """Read batch by batch; each is kept, so that a click on Stop, or a closed window, loses one at most."""
    place, n, since = st.empty(), len(asked.sentences), time.monotonic()
    first = 0 if begun is None else begun.reached
    with place.container():
        bar = st.empty()
        st.button(WORDS.text("computing.stop"), key="stop_study", on_click=_stop, args=(hash(key),))
    result = begun
    results = iter_study(
        model.value(),
        asked.sentences,
        Plan(rules=asked.rules),
        begun,
        lambda _, texts: passes.read_uncached(model, texts),
    )
    for result in results:
        shared.STATE.traces.put(key, result, result.n_bytes)
        done, spent = result.reached, time.monotonic() - since
        left = spent * (n - done) / max(done - first, 1)
        bar.progress(done / n, text=WORDS.text("computing.progress", done=done, n=n, seconds=left))
    place.empty()
    return result
