"""Share in the menu: the link to exactly this view, as text, as a QR code, and as a frame for slides and blogs.

The link says model, sentence, layer, head and word, and of the rest what differs from its default; `v=1` says whose
defaults those are (see `ui.link`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from urllib.parse import urlencode

import streamlit as st

from attn_core.figures import scripts
from ui import words
from ui.drawing import controls, widgets
from ui.drawing.component import component
from ui.link import LinkState
from ui.shared_params import LARGE

WORDS = words.beside(__file__)

LONGEST = 8000  # characters of an address that servers and proxies commonly accept
LONGEST_IN_QR = 1200  # characters that a phone can still read off a screen

_copy = component("copy", scripts.asset("app/copy.js"))


def link_to(state: LinkState, **more: str) -> str:
    """The address of a view, without what has its default; `more` are parameters on top, such as `embed="true"`."""
    return _address({**state.short, **more})


def _address(params: Mapping[str, str]) -> str:
    here = st.context.url or ""
    bare = here.count("/") == 2  # a host without a path
    return f"{here}{'/' if bare else ''}?{urlencode(params)}"


def address_of(page: str, here: str, params: Mapping[str, str]) -> str:
    """The whole address of a view of another page; `here` is the name of the page that asks.

    A page's name is the last part of its address; the front page has none.
    """
    base = (st.context.url or "").removesuffix(f"/{here}").rstrip("/")
    return f"{base}/{'' if page == 'all_heads' else page}?{urlencode(params)}"


def popover(state: LinkState, ask_a_class: Callable[[], None]) -> None:
    """The button, and behind it the link in every form, made when somebody opens it."""
    with st.popover("Share", type="primary", key="share_open", on_change="rerun") as menu:
        if not menu.open:
            return
        link, left_out = link_to(state), set(state.said) - set(state.link)
        if left_out or len(link) > LONGEST:
            _offer_a_file(len(_address(state.said)))
            _presenters_size(state)
            return
        widgets.titled("A link to exactly this view", WORDS.text("share.privacy"))
        copy_button("copy_link", link)
        code(link)
        qr_code(link)
        widgets.titled("For slides and blogs", WORDS.text("share.frame"))
        code(frame_of(link_to(state, embed="true")))
        if "text" in state and state.page != "predict_first":
            ask_a_class()
        _presenters_size(state)


def _presenters_size(state: LinkState) -> None:
    """The switch for larger letters. The lesson has it on its page."""
    if state.page != "lesson":
        turn = partial(st.session_state.__setitem__, LARGE.name)
        controls.menu_toggle(LARGE.label, "presenters_size", on=state["large"], turn=turn, says=LARGE.help)


def copy_button(key: str, text: str, label: str = "") -> None:
    """A button that copies a text; it says "Copy link", or `label`."""
    says = WORDS.table("copy")
    _copy(key=key, data={"text": text, **says, "label": label or says["label"]})


def code(text: str) -> None:
    """Text to copy, all of it on screen: what scrolls inside itself cannot be read by keyboard. A very long one may."""
    st.code(text, language=None, wrap_lines=True, height=110 if len(text) > 1_200 else "content")


def _offer_a_file(length: int) -> None:
    widgets.titled("Too long for a link")
    widgets.note(WORDS.text("share.too_long", length=length, most=LONGEST))


def qr_code(link: str) -> None:
    """Dark on white in both themes, which every phone can read."""
    if len(link) > LONGEST_IN_QR:
        widgets.titled("", WORDS.text("share.no_qr"))
        return
    st.html(WORDS.html("share.qr", picture=qr_picture(link), alt=WORDS.text("share.qr_alt")))


def qr_picture(link: str) -> str:
    """A QR code as an SVG picture's data address."""
    import segno

    return segno.make(link, error="l", micro=False).svg_data_uri(border=4, dark="#14130f", light="#ffffff", scale=4)


def frame_of(link: str, height: int = 900) -> str:
    """The HTML that shows a link inside another page."""
    return (
        f'<iframe src="{escape(link)}" title="Headlight: what every attention head sees" '
        f'width="100%" height="{height}" style="border: 0" loading="lazy"></iframe>'
    )


def way_back(state: LinkState) -> None:
    """In an embedded view: the small link to the full one."""
    full = escape(link_to(state))
    st.html(f'<div class="hl-full"><a href="{full}" target="_blank" rel="noopener"><i></i>Headlight</a></div>')
