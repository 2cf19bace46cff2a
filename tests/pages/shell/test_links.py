"""Links between pages: a page is looked for once in the folders, however many links lead there."""

from __future__ import annotations

from page_driver import ROOT, checked, load, open_page
from streamlit.testing.v1 import AppTest

from ui.shell import menu


def test_links_to_a_page_look_for_it_once() -> None:
    load("minilm")
    page = checked(AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run())
    looked = menu._linked.cache_info().misses
    page = checked(page.run())
    names = {link.proto.page for link in page.get("page_link")}
    assert names >= set(menu.PAGES) - {"all_heads", *menu.DRAWER_ONLY} | {"predict_first"}
    assert menu._linked.cache_info().misses == looked


def test_a_page_that_runs_by_itself_has_no_links() -> None:
    page = open_page("about")
    assert not page.get("page_link")
    assert any(block.proto.body == "<span>Word senses</span>" for block in page.get("html"))
