"""An instant first screen: the starter's recorded result, until the model itself is there.

Nothing here imports torch or transformers. Only the very sentence that was recorded is shown this way; any other
waits for its model behind a skeleton.
"""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from attn_core.views import recorded
from ui.drawing import widgets
from ui.page import Page
from ui.server import loading, shared

_ON_SCREEN = "first_picture_sent"


def trace_of(page: Page) -> tuple[str, Any]:
    """("live", trace) where the model is here or another sentence was asked for, else ("recorded", stored result)."""
    stored = shared.get_or_compute("recorded starter", recorded.load)
    asked_for = (page.model_name, page.text) == (stored.model_name, stored.tokens.text)
    if not asked_for or loading.model(page.model_name) is not None:
        return "live", page.trace()
    page.count(stored.tokens, page.entry.limit)
    return "recorded", stored


@st.fragment(run_every=1.5)
def fetch_model(name: str) -> None:
    """Bring the model in behind the recorded picture, visibly, then turn the page live.

    The first run only says so: what starts a moment later cannot hold up the first picture. It looks no more often
    than this, because after each look Streamlit collects garbage, which holds up the loading itself.
    """
    message, share = "one moment", None
    if st.session_state.get(_ON_SCREEN):
        job = loading.job(name) or loading.open_model(name)
        message, share = job.message, job.fraction
        if job.done.is_set() and job.error is None:
            st.rerun()
        if job.done.is_set():
            widgets.note(f"The model itself cannot be opened here, so this stays a recording. {job.error}")
            return
    st.session_state[_ON_SCREEN] = True
    known = "" if share is None else f" {100 * share:.0f} %"
    st.html(f'<div class="hl-sub" role="status">Opening the model itself: {escape(message)}{known}</div>')
