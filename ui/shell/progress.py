"""What a page shows while a model comes, and when something cannot be had: one clear sentence, and a way on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import NoReturn

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException, StopException

from attn_core.errors import Cancelled, CannotFetch, HeadlightError, NoNetwork
from attn_core.models.catalogue import CATALOGUE
from ui import words
from ui.drawing import widgets
from ui.server import cache, shared
from ui.shell import fetching
from ui.shell.inputs import look_again, use_model

WORDS = words.beside(__file__)
log = logging.getLogger("headlight")
SOON = 0.5  # seconds; what takes longer is announced


@contextmanager
def shown_problems() -> Iterator[None]:
    """Turn an error into one clear sentence and end the page there; what was typed stays above."""
    try:
        yield
    except cache.Busy as error:
        stop_with("One moment", str(error), again=True)
    except HeadlightError as error:
        stop_with("This cannot be shown", str(error), way_out=True)
    except (StopException, RerunException):
        raise
    except Exception as error:
        show_failure(error)
        st.stop()


@contextmanager
def refusal_ends_page(what_to_do: str) -> Iterator[None]:
    """A HeadlightError inside ends the page with its own sentence, and what to do about it."""
    try:
        yield
    except HeadlightError as reason:
        stop_with(str(reason), what_to_do)


def show_failure(error: Exception) -> bool:
    """Say that a page failed, and put how in the log; True: there is nothing more to show. For `st.App`, too."""
    log.error("a page failed", exc_info=error)
    what_to_do = WORDS.text("problem.elsewhere")
    _say("Something went wrong here", what_to_do, again=True)
    return True


def stop_with(title: str, what_to_do: str, again: bool = False, way_out: bool = False) -> NoReturn:
    """End the page with a problem that says what was wrong and what to do, with a button that does it."""
    _say(title, what_to_do, again, way_out)
    st.stop()


def _say(title: str, what_to_do: str, again: bool = False, way_out: bool = False) -> None:
    widgets.problem(title, what_to_do)
    if again:
        st.button("Try again", key="try_again")
    bundled = next(iter(CATALOGUE.values()))
    if way_out and st.session_state.get("model") not in (None, bundled.name):
        st.button(
            WORDS.text("problem.go_on", model=bundled.title), key="way_out", on_click=use_model, args=(bundled.name,)
        )


def wait_for(job: shared.Job, title: str) -> None:
    """Show how a model comes, until it is there; nothing below jumps, because its place is kept."""
    place, can_be_cancelled = st.empty(), fetching.is_fetched_now(job.name)
    with place.container():
        said, bar = st.empty(), st.empty()
        if can_be_cancelled:
            fetching.cancel_button(job)
        widgets.skeleton(420)
        while not job.done.wait(0.15):
            said.html(f'<div class="hl-sub" role="status">Opening {escape(title)}: {escape(job.message)}</div>')
            bar.progress(min(1.0, job.fraction or 0.0))
    place.empty()
    if isinstance(job.error, CannotFetch | Cancelled | NoNetwork) and can_be_cancelled:
        fetching.ask_before(job.name)  # says what went wrong above its button, and ends the page
    if job.error is not None:
        raise job.error
    if can_be_cancelled:  # it is here now: the picker, drawn before, says so
        look_again()
        st.rerun()


@contextmanager
def announced(says: str) -> Iterator[Callable[[float], None]]:
    """Tell how far something is, once it has taken a moment: `with announced("…") as told: told(0.5)`."""
    place, begun = st.empty(), time.monotonic()

    def told(share: float) -> None:
        if time.monotonic() - begun > SOON:
            place.progress(min(1.0, share), text=says)

    yield told
    place.empty()
