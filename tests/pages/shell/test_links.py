"""Links between pages: a page is looked for once in the folders, however many links lead there."""

from __future__ import annotations

from urllib.parse import parse_qsl

from page_driver import ROOT, checked, html, load, menu_links, open_page
from streamlit.testing.v1 import AppTest

from ui.shell import menu as menu_module


def test_links_to_a_page_look_for_it_once() -> None:
    load("minilm")
    page = checked(AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run())
    looked = menu_module._linked.cache_info().misses
    page = checked(page.run())
    names = {link.proto.page for link in page.get("page_link")} | {name for name, _ in menu_links(page)}
    assert names >= set(menu_module.PAGES) - {"all_heads", *menu_module.DRAWER_ONLY} | {"predict_first"}
    assert menu_module._linked.cache_info().misses == looked


def test_a_page_that_runs_by_itself_has_no_links() -> None:
    page = open_page("about")
    assert not page.get("page_link") and not menu_links(page)
    assert "<span>Word senses</span>" in html(page)


def test_the_menu_is_one_element_whose_links_say_the_visitors_view() -> None:
    """A link of Streamlit's for each page, in three groups, cost a third of a forward pass with every answer."""
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    page.query_params.update({"v": "1", "text": "x & <b>", "layer": "2"})
    page = checked(page.run())
    (menu,) = [block.proto.body for block in page.get("html") if "<nav" in block.proto.body]
    assert [name for name, _ in menu_links(page)] == [
        name for name in menu_module.PAGES if name not in {"all_heads", *menu_module.DRAWER_ONLY}
    ]
    (said,) = {said for _, said in menu_links(page)}
    assert dict(parse_qsl(said))["text"] == "x & <b>" and dict(parse_qsl(said))["layer"] == "2" and "<b>" not in menu
    assert menu.count('aria-current="page"') == 1 and '<nav class="hl-pages" aria-label="Pages">' in menu
    assert not {link.proto.label for link in page.get("page_link")} & {"Compare", "Lesson", "About"}
    page.session_state["menu_open"] = True
    drawer = [name for name, _ in menu_links(checked(page.run()))]
    assert set(drawer) == set(menu_module.PAGES) - {"all_heads"}
