"""A page on paper: all of its sheets, white whenever it is printed. Each page and what it says: test_everywhere.py."""

from __future__ import annotations

import pytest
from paper import INK, on_paper
from playwright.sync_api import expect
from server import PATIENCE, is_live
from visiting import Visit

pytestmark = pytest.mark.browser


def test_paper_itself_holds_all_of_it(open_page: Visit) -> None:
    page = is_live(open_page("", scheme="dark"))
    tall = page.evaluate("document.querySelector('.stMainBlockContainer').scrollHeight")
    page.emulate_media(media="print")
    page.wait_for_function("() => globalThis.headlightPrinting", timeout=PATIENCE)
    sheets = page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n")
    assert 1 < sheets <= 2 + tall * 0.82 / 720, "as many sheets as there is to show, and not the first screen alone"
    page.emulate_media(media="screen")
    page.wait_for_function("() => !globalThis.headlightPrinting", timeout=PATIENCE)
    expect(page.get_by_label("Sentence")).to_be_visible()


def test_a_page_that_is_on_paper_before_it_is_ready_prints_white_too(open_page: Visit) -> None:
    page = open_page("parameters", scheme="dark")
    on_paper(page)  # before the page's script has arrived
    page.locator(".hl-lead").first.wait_for(timeout=PATIENCE)
    assert page.evaluate(INK)["paper"] == 3 * 255
