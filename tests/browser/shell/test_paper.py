"""A page on paper: white, whole and without controls, whenever it is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from server import PATIENCE, is_live, settled
from visiting import Visit, no_sideways_scroll

from ui.sentences import MOLES

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[3]
PAGES = ["", *sorted(file.stem for file in (ROOT / "pages").glob("*.py"))]
PAPER = 1046  # CSS pixels between the margins of A4, landscape

CONTROLS = """() => [...document.querySelectorAll(
    "button, input, textarea, select, [role=combobox], [role=switch], [role=radio], .st-key-menu a, .modebar")]
    .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height > 2)
    .map((each) => each.outerHTML.slice(0, 120))"""
# What stands out of the sheet, and whatever still scrolls inside itself.
CUT = """(wide) => {
  const cut = [];
  const look = (root) => root.querySelectorAll("*").forEach((each) => {
    if (each.shadowRoot) look(each.shadowRoot);
    const isPart = each.matches("canvas, table, .svg-container, .main-svg, .scroll, p, h1, h2");
    if (!isPart || !each.checkVisibility()) return;
    const box = each.getBoundingClientRect();
    if (box.width && box.right > wide + 2) cut.push([each.tagName, each.className, box.right]);
  });
  look(document.querySelector(".stMainBlockContainer"));
  return cut;
}"""
INK = """() => {
  const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
  return { paper: light(getComputedStyle(document.body).backgroundColor),
    lead: light(getComputedStyle(document.querySelector(".hl-lead, .hl-stop-says")).color),
    canvases: globalThis.headlightPrinting };
}"""


def on_paper(page: Page) -> Page:
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER, "height": 800})
    page.wait_for_function("() => globalThis.headlightPrinting", timeout=PATIENCE)
    return page


@pytest.mark.parametrize("page_name", PAGES)
def test_a_page_prints_white_whole_and_without_controls(open_page: Visit, page_name: str) -> None:
    page = open_page(page_name, scheme="dark")
    page.locator(".hl-lead, .hl-stop-number").first.wait_for(timeout=PATIENCE)
    on_paper(settled(page))
    assert page.evaluate(CONTROLS) == []
    assert page.evaluate(CUT, PAPER) == []
    no_sideways_scroll(page)
    assert page.evaluate(INK)["paper"] == 3 * 255 and page.evaluate(INK)["lead"] < 150


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
