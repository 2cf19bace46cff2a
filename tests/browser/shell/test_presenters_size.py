"""The presenter's size: on a projector no letter of a page is smaller than 18 pixels, in text, charts and pictures."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Page, expect
from server import PATIENCE, is_live, settled
from views import PAGES
from visiting import Visit, no_sideways_scroll, resize

pytestmark = pytest.mark.browser
VIEWS = ("why_there?why=flow", "why_there?why=card", "predict_first?painted=2_3&uncovered=1", "teachers_kit?sheet=1")
# Canvas pictures, charts, HTML figures and boxes, each on one page at least; the others are looked at by test-full.
OFTEN = ("", "delta_e", "parameters", "step_by_step", "why_there?why=card", "lesson")
LEAST = 18

# What is drawn on a canvas is written down as it is drawn: each text, and how many pixels its letters have.
ON_CANVAS = """
globalThis.written = [];
const write = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  const isTable = this.canvas.closest?.("[data-testid=stDataFrame]"); // Streamlit's own, which has one size
  if (!isTable) written.push([String(text), parseFloat(this.font.match(/([\\d.]+)px/)[1])]);
  return write.call(this, text, ...rest);
};
"""
# Every text that is to be seen, in all shadow roots and charts; icons are no text, nor is what stands above or below.
IN_THE_PAGE = """() => {
  const found = [];
  const look = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode.textContent.trim(), parent = walker.currentNode.parentElement;
      const unread = "style, script, option, [data-testid=stIconMaterial], sub, sup, title, tspan[style*=font-size]";
      if (!text || !parent || parent.closest(unread)) continue;
      const box = document.createRange();
      box.selectNodeContents(walker.currentNode);
      const { width, height } = box.getBoundingClientRect();
      const isSeen = parent.checkVisibility({ visibilityProperty: true, opacityProperty: true });
      if (width < 2 || height < 2 || !isSeen) continue;
      found.push([text.slice(0, 40), parseFloat(getComputedStyle(parent).fontSize)]);
    }
    for (const each of root.querySelectorAll("*")) if (each.shadowRoot) look(each.shadowRoot);
  };
  look(document.querySelector("[data-testid=stMain]"));
  return [...found, ...written];
}"""


def too_small(page: Page) -> list[tuple[str, float]]:
    """Texts with letters below `LEAST`, each once, smallest first."""
    texts = {(text, size) for text, size in page.evaluate(IN_THE_PAGE) if size < LEAST - 0.1}
    return sorted(texts, key=lambda each: each[1])


@pytest.mark.parametrize(
    "page_name",
    [each if each in OFTEN else pytest.param(each, marks=pytest.mark.full) for each in (*PAGES, *VIEWS)],
)
def test_nothing_is_smaller_than_18_pixels_on_a_projector(open_page: Visit, page_name: str) -> None:
    page_name, _, params = page_name.partition("?")
    asked = {**dict(parse_qsl(params)), "v": 1, "large": 1}
    page = open_page(page_name, width=1920, height=1080, script=ON_CANVAS, **asked)
    page.locator(".hl-lead, .hl-stop-number, .hl-sheet").first.wait_for(timeout=PATIENCE)
    settled(page)
    assert too_small(page) == []
    no_sideways_scroll(page)
    if not page_name:
        the_whole_width_is_used(page)


def test_share_switches_it_for_every_page(open_page: Visit) -> None:
    page = settled(is_live(open_page("delta_e", layer=2)))
    sub = page.locator(".hl-sub").first
    size = "element => parseFloat(getComputedStyle(element).fontSize)"
    usual = sub.evaluate(size)
    page.get_by_role("button", name="Share").click()
    page.get_by_text("Presenter’s size").click()
    page.wait_for_function("() => new URL(location).searchParams.get('large') === '1'", timeout=PATIENCE)
    assert sub.evaluate(size) == pytest.approx(1.5 * usual)
    page.keyboard.press("Escape")
    page.locator(".st-key-menu_drawer").get_by_role("button").click()
    page.get_by_test_id("stPopoverBody").get_by_role("link", name="All heads").click()
    expect(page.locator(".hl-tagline")).to_be_visible()
    scale = "getComputedStyle(document.documentElement).getPropertyValue('--hl-scale').trim() === '1.5'"
    page.wait_for_function(f"() => {scale}")


def the_whole_width_is_used(page: Page) -> None:
    resize(page, 2560)
    box = page.locator(".stMainBlockContainer").bounding_box()
    assert box is not None and box["width"] >= 2540
