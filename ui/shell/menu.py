"""The menu: the pages that exist on one line (on a phone in a drawer), Save and Share; and links between pages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from attn_core.figures import scripts
from ui import words
from ui.drawing import widgets
from ui.drawing.component import component
from ui.link import LinkState, address, link_params
from ui.shell import save, share

WORDS = words.beside(__file__)
ROOT = Path(__file__).parents[2]
GROUPS = {
    "See": {"all_heads": "All heads", "step_by_step": "Step by step", "delta_e": "ΔE"},
    "Ask": {
        "why_there": "Why there?",
        "word_senses": "Word senses",
        "compare_heads": "Compare",
        "find_heads": "Find heads",
        "study": "Study",
        "patching": "Patching",
        "cross_attention": "Translate",
    },
    "Learn": {
        "lesson": "Lesson",
        "training": "Training",
        "parameters": "Parameters",
        "predict_first": "Predict",
        "teachers_kit": "For class",
        "about": "About",
    },
}
PAGES = {page: label for group in GROUPS.values() for page, label in group.items()}
TITLES = PAGES | {"cross_attention": "Translate and transcribe"}  # where there is room for more than the menu has
# Others lead to them: in the drawer they have a place, on the one line of a desk they have none.
DRAWER_ONLY = ("training", "predict_first")


_whole_page = component("whole_page", scripts.asset("app/whole_page.js"))


def whole_page() -> None:
    """What concerns a page as a whole in the browser: its entry in the history, and how it is printed."""
    _whole_page(key="whole_page")


def draw(page: str, state: LinkState) -> save.SaveMenu:
    """The pages, Save and Share; an embedded state has none of them, only a way to the full one."""
    if st.context.is_embedded:
        share.way_back(state)
        return save.SaveMenu(page, state.said)
    with st.container(key="menu", horizontal=True, gap="xsmall", vertical_alignment="center", wrap=False):
        logo = '<div class="hl-logo"><i></i>Headlight</div>'
        st.html(f'<div class="hl-menu">{logo}{_pages(page, leave_out=DRAWER_ONLY)}</div>')
        return _opened_from_menu(page, state)


def _opened_from_menu(page: str, state: LinkState) -> save.SaveMenu:
    """Menu, Save and Share: opening one draws these three again and not the page, as one fragment."""
    offered = save.Offered()
    _buttons(page, state, offered)
    return save.SaveMenu(page, state.said, offered)


@st.fragment
def _buttons(page: str, state: LinkState, offered: save.Offered) -> None:
    with st.container(key="menu_buttons", horizontal=True, gap="xsmall", vertical_alignment="center", wrap=False):
        with st.container(key="menu_drawer"):
            _drawer(page)
        with st.container(key="menu_share", width="content", horizontal=True, gap="xsmall", wrap=False):
            save.popover(offered, _script)
            share.popover(state, _ask_a_class)


def _ask_a_class() -> None:
    """In Share: this head and word, covered, as a question for a class."""
    widgets.titled(WORDS.text("ask_class.title"), WORDS.text("ask_class.says"))
    go("predict_first", WORDS.text("ask_class.open"), ("teacher", "1"))


def _drawer(page: str) -> None:
    """The pages on a phone, where their row has no room; made when somebody opens it."""
    with st.popover("Menu", key="menu_open", on_change="rerun") as drawer:
        if drawer.open:
            st.html(_pages(page))


def _pages(page: str, leave_out: Sequence[str] = ()) -> str:
    """The pages as HTML, in groups: on one line with a hairline between two groups, in the drawer under their names.

    One element, where a link of Streamlit's each would cost more than all else around a page. Their addresses say the
    visitor's sentence, model, head and word; a click changes the page without loading it anew, see
    assets/app/whole_page.js.
    """
    said = urlencode(link_params(page))
    shown = {group: [name for name in pages if name not in leave_out] for group, pages in GROUPS.items()}
    groups = (
        f'<div><span class="hl-group">{group}</span>{_links(page, names, said)}</div>' for group, names in shown.items()
    )
    return f'<nav class="hl-pages" aria-label="Pages">{"".join(groups)}</nav>'


def _links(page: str, names: Sequence[str], said: str) -> str:
    """Links to pages with what their addresses say; the page that is open is none."""
    return "".join(
        f'<span class="hl-here" aria-current="page">{PAGES[name]}</span>'
        if name == page
        else f'<a class="hl-page" href="{escape(address(name, said))}" target="_self">{PAGES[name]}</a>'
        if _page_of_app(name)
        else f"<span>{PAGES[name]}</span>"
        for name in names
    )


@cache
def _script(page: str) -> Path | None:
    """A page's script, None where there is no such page."""
    script = ROOT / _file(page)
    return script if page in PAGES and script.exists() else None


def _file(page: str) -> str:
    return "app.py" if page == "all_heads" else f"pages/{page}.py"


def go(page: str, label: str, *chosen: tuple[str, str], **travelling: object) -> None:
    """A link into another page: `chosen` are parameters of that page, `TILES.set("delta")`; `travelling` are values of
    what travels (model, text, layer, head, query), where they are not the visitor's own.
    """
    linked = _page_of_app(page)
    if linked is None:  # a page that runs by itself has no pages beside it
        st.html(f"<span>{escape(label)}</span>", width="content")
    else:
        st.page_link(linked, label=label, query_params=link_params(page, *chosen, **travelling))


def _page_of_app(page: str) -> st.Page | None:
    """A page as Streamlit links to it; None where a page runs by itself, which has no pages beside it."""
    run = get_script_run_ctx()
    return _linked(run.main_script_path, page) if run else None


@cache
def _linked(main_script: str, page: str) -> st.Page | None:
    """A page as Streamlit links to it, found once: given its path, it would look through the folders for every link."""
    script = Path(main_script).resolve().parent / _file(page)
    return st.Page(script, default=page == "all_heads") if script.exists() else None
