"""An instant first screen: the starter's recorded result, until the model itself is there.

Nothing here imports torch or transformers. Only the very sentence that was recorded is shown this way; any other
waits for its model behind a skeleton.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st
from markupsafe import Markup

from attn_core.prediction.next_token import predicts
from attn_core.text.numbers import whole_percent
from attn_core.views import recorded
from ui import words
from ui.drawing import widgets
from ui.page import Page
from ui.server import derived, loading, passes, shared
from ui.server.handles import OneStreamHandle, RecordedHandle, TraceHandle

if TYPE_CHECKING:
    from attn_core.heads.summary import HeadSummary
    from attn_core.views.derived_checks import DerivedCheck
    from ui.all_heads.head import ArrangedHead

WORDS = words.beside(__file__)
_ON_SCREEN = "first_picture_sent"


@dataclass(frozen=True)
class Reading:
    """The page's sentence as it was read: `live`, or `recorded` where its model is not there yet.

    `summarise(layer, head, query)` says in numbers whether a head matters to a word.
    """

    source: Literal["live", "recorded"]
    trace: OneStreamHandle[Any]
    summarise: Callable[[int, int, int], HeadSummary]

    def derived(self, page: Page, head: ArrangedHead) -> list[DerivedCheck]:
        """What the page computes from the trace, checked another way; of a recording, its pattern alone."""
        found = head.arranged()
        if isinstance(self.trace, TraceHandle):
            found += [derived.lens(page.model())] if predicts(self.trace.stream()) else []
            found += derived.switched_off(page.model()) if head.is_one else []
        return found

    def heads(self) -> Markup:
        """How many heads there are, as a sentence."""
        return WORDS.html("page.heads", heads=self.trace.n_layers * self.trace.n_heads)


def read(page: Page) -> Reading:
    """Live where the model is here or another sentence was asked for, else the recorded result."""
    stored = RecordedHandle.of(shared.share(recorded.load))
    asked_for = (page.model_name, page.sentence) == (stored.model_name, stored.tokens.text)
    asked_for = asked_for and not page.how_read
    if not asked_for or loading.model(page.model_name) is not None:
        return _live(page)
    page.count(stored.tokens, page.entry.limit)
    return Reading("recorded", stored, lambda layer, head, query: _summarise(stored, layer, head, query))


def _summarise(stored: RecordedHandle, layer: int, head: int, query: int) -> HeadSummary:
    return recorded.summarise_head(stored.value(), layer, head, query)


def _live(page: Page) -> Reading:
    from attn_core.heads.summary import summarise_head

    if page.state["mean"] == "one":  # its number of what switching the head off changes is asked for at once
        with page.problems():
            passes.trace_beside(page.model(), page.sentence, [(page.layer, page.head)], **page.how_read)
    trace = page.trace()
    run = page.again(trace)
    return Reading("live", trace, lambda layer, head, query: summarise_head(trace.stream(), run, layer, head, query))


@st.fragment(run_every=1.5)
def fetch_model(name: str) -> None:
    """Bring the model in behind the recorded picture, visibly, then turn the page live.

    The first run only says so: what starts a moment later cannot hold up the first picture. It looks no more often
    than this, because after each look Streamlit collects garbage, which holds up the loading itself.
    """
    message, share = WORDS.text("recording.one_moment"), None
    if st.session_state.get(_ON_SCREEN):
        job = loading.job(name) or loading.open_model(name)
        message, share = job.message, job.fraction
        if job.done.is_set() and job.error is None:
            st.rerun()
        if job.done.is_set():
            widgets.note(WORDS.text("recording.unavailable", reason=job.error))
            return
    st.session_state[_ON_SCREEN] = True
    if share is None:
        said = WORDS.html("recording.opening", what=message)
    else:
        said = WORDS.html("recording.opening_share", what=message, done=whole_percent(share))
    st.html(f'<div class="hl-sub" role="status">{said}</div>')
