"""From one stream on a page to another head, another word, another page: links, and callbacks for what is clicked."""

from __future__ import annotations

import streamlit as st

from ui.shell.menu import PAGES, go
from ui.stream import StreamView


def links_elsewhere(
    viewed: StreamView, query: int, *pages: str, card: bool = True, head: tuple[int, int] | None = None
) -> None:
    """Links that open a head (layer, head), by default the opened one, and a word in other pages; and its card."""
    layer, at = head or (viewed.layer, viewed.head)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="page_links"):
        st.html(f'<span class="hl-try">Open head {layer}.{at} in:</span>', width="content")
        for page in pages:
            face = [("why", "score")] if page == "why_there" else []
            go(page, PAGES[page], *face, layer=layer, head=at, query=query)
        if card:
            card_link(viewed, layer, at)


def card_link(viewed: StreamView, layer: int, head: int, label: str = "its card", **travelling: object) -> None:
    """A link to the card of a head: what it does in every sentence."""
    own = {} if viewed.reader.name == "self" else {"stream": viewed.reader.name}
    go("why_there", label, ("why", "card"), **{"layer": layer, "head": head, **own, **travelling})


def score_link(viewed: StreamView, layer: int, head: int, label: str, **travelling: object) -> None:
    """A link to the score of a head: why it looks there."""
    own = {} if viewed.reader.name == "self" else {"stream": viewed.reader.name}
    go("why_there", label, ("why", "score"), **{"layer": layer, "head": head, **own, **travelling})


def choose_word(query: int) -> None:
    """Callback: look at another word."""
    st.session_state["query"] = query


def open_head(layer: int, head: int) -> None:
    """Callback: look at another head."""
    st.session_state["layer"], st.session_state["head"] = layer, head
