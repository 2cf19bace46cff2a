"""Every page at every width, in both themes and on paper: nothing cut, no sideways scroll, nothing axe finds wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe import faults, show_in
from paper import CONTROLS, CUT, INK, PAPER, on_paper
from playwright.sync_api import Page
from server import PATIENCE, settled
from visiting import Visit, no_sideways_scroll

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
PAGES = ["", *sorted(file.stem for file in (ROOT / "pages").glob("*.py"))]
WIDTHS = (320, 360, 390, 768, 1024, 1280, 1920, 2560)
FITS = """() => ['[data-testid=stMain]', 'html'].every(where =>
    [...document.querySelectorAll(where)].every(part => part.scrollWidth <= part.clientWidth + 1))
    && [...document.querySelectorAll('[data-testid=stButtonGroup] button')].every(choice =>
        !choice.checkVisibility() || choice.getBoundingClientRect().right <= innerWidth)"""


# Each page is opened once for both of its tests: they come one after the other, and neither changes it.
each_page = pytest.mark.parametrize("page_name", PAGES, scope="module")


def whole(page: Page, page_name: str) -> Page:
    """Wait until a page has all that it shows."""
    page.locator(".hl-lead, .hl-stop-number").first.wait_for(timeout=PATIENCE)
    if page_name not in ("parameters", "about", "teachers_kit"):  # which have no sentence of their own
        page.locator(".hl-badge", has_text="live").first.wait_for(timeout=PATIENCE)
    return settled(page)


@each_page
def test_a_page_fits_every_width_and_has_no_fault_of_ours(look_at: Visit, page_name: str) -> None:
    page = whole(look_at(page_name, scheme="light"), page_name)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITS, timeout=PATIENCE)
    for scheme in ("light", "dark"):
        show_in(page, scheme)
        assert faults(page) == [], scheme


@each_page
def test_a_page_prints_white_whole_and_without_controls(look_at: Visit, page_name: str) -> None:
    page = whole(look_at(page_name, scheme="dark"), page_name)
    show_in(page, "dark")
    on_paper(settled(page))
    assert page.evaluate(CONTROLS) == []
    assert page.evaluate(CUT, PAPER) == []
    no_sideways_scroll(page)
    assert page.evaluate(INK)["paper"] == 3 * 255 and page.evaluate(INK)["lead"] < 150


def test_motion_stops_for_whoever_asks(open_page: Visit) -> None:
    page = open_page()
    page.locator(".hl-lead").wait_for(timeout=PATIENCE)
    moves = """() => {
        const sheet = document.createElement('div');
        sheet.className = 'hl-skeleton';
        document.querySelector('.stApp').append(sheet);
        const motion = getComputedStyle(sheet).animationName;
        sheet.remove();
        return motion;
    }"""
    assert page.evaluate(moves) != "none"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moves) == "none"
