"""A page on paper: its sentence, all of its sheets, white whenever it is printed. Each page: test_everywhere.py."""

from __future__ import annotations

import pytest
from paper import INK, on_paper
from playwright.sync_api import expect
from server import PATIENCE, is_live
from visiting import Visit

from ui.sentences import MOLES

pytestmark = pytest.mark.browser


def test_a_printed_page_says_its_sentence_and_model(open_page: Visit) -> None:
    page = on_paper(is_live(open_page("delta_e", layer=2)))
    shows = page.locator(".stMainBlockContainer").get_attribute("data-shows")
    assert shows is not None and "a fluffy blue creature" in shows and "MiniLM" in shows
    page.emulate_media(media="screen")
    page.wait_for_function("() => !globalThis.headlightPrinting", timeout=PATIENCE)
    expect(page.get_by_label("Sentence")).to_be_visible()
    page.close()
    page = on_paper(is_live(open_page("word_senses")))  # whose sentences stand in boxes of their own
    shows = page.locator(".stMainBlockContainer").get_attribute("data-shows")
    assert shows is not None and all(f"“{mole}”" in shows for mole in MOLES)


def test_paper_itself_holds_all_of_it(open_page: Visit) -> None:
    page = is_live(open_page("", scheme="dark"))
    tall = page.evaluate("document.querySelector('.stMainBlockContainer').scrollHeight")
    page.emulate_media(media="print")
    sheets = page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n")
    assert 1 < sheets <= 2 + tall * 0.82 / 720, "as many sheets as there is to show, and not the first screen alone"


def test_a_page_that_is_on_paper_before_it_is_ready_prints_white_too(open_page: Visit) -> None:
    page = open_page("parameters", scheme="dark")
    on_paper(page)  # before the page's script has arrived
    page.locator(".hl-lead").first.wait_for(timeout=PATIENCE)
    assert page.evaluate(INK)["paper"] == 3 * 255
