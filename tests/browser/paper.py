"""A page on paper, and what would be wrong with it there: controls, what is cut, ink that nobody could read."""

from __future__ import annotations

from playwright.sync_api import Page
from server import PATIENCE

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
