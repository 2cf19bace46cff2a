"""The menu and the ways in, in Chromium: one line wherever the pages stand side by side, and no link crowds another."""

from __future__ import annotations

import pytest
from axe import faults
from playwright.sync_api import Page, expect
from server import PATIENCE, is_live, settled
from visiting import Visit, resize

from ui.shell.menu import PAGES

pytestmark = pytest.mark.browser


def test_the_menu_is_one_line_at_every_width(open_page: Visit) -> None:
    page = open_page("parameters", width=1920)
    page.locator(".hl-lead").wait_for(timeout=PATIENCE)
    settled(page)
    for width in (2560, 1920, 1600, 1440, 1300, 1280, 1273, 1272, 1250, 1241, 1240, 900):
        page.set_viewport_size({"width": width, "height": 600})
        page.wait_for_function("width => innerWidth === width", arg=width)
        assert page.locator(".st-key-menu").evaluate("e => e.getBoundingClientRect().height") < 70, width


def test_the_phone_has_a_drawer_with_room_for_a_finger_and_the_desk_a_line(open_page: Visit) -> None:
    page = settled(is_live(open_page("", width=390, height=844)))
    the_ways_in_are_three_alike(page)
    expect(page.locator(".hl-menu .hl-pages")).to_be_hidden()
    page.locator(".st-key-menu_open button").click()
    drawer = page.get_by_test_id("stPopoverBody")
    expect(drawer.locator(".hl-here")).to_have_text("All heads")
    links = drawer.locator("a")
    expect(links).to_have_count(len(PAGES) - 1)  # all pages but the one that is open
    boxes = links.evaluate_all("all => all.map(a => a.getBoundingClientRect()).map(r => [r.top, r.bottom])")
    assert all(bottom - top >= 32 for top, bottom in boxes)
    assert all(first[1] <= then[0] + 1 for first, then in zip(boxes, boxes[1:], strict=False))
    assert faults(settled(page)) == []
    page.keyboard.press("Escape")
    resize(page, 1280)
    expect(page.locator(".hl-menu .hl-here")).to_have_text("All heads")
    expect(page.locator(".hl-menu .hl-here")).to_be_visible()
    expect(page.locator(".st-key-menu_drawer")).to_be_hidden()
    the_ways_in_are_three_alike(page)


def the_ways_in_are_three_alike(page: Page) -> None:
    """Two of them are links and one is a button: they stand on one line, or evenly below each other."""
    cards = page.locator(".st-key-ways_in :is(a, button)")
    boxes = cards.evaluate_all("all => all.map(e => e.getBoundingClientRect()).map(r => [r.left, r.top, r.height])")
    assert len(boxes) == 3 and len({round(height) for *_, height in boxes}) == 1
    steps = [(round(b[0] - a[0]), round(b[1] - a[1])) for a, b in zip(boxes, boxes[1:], strict=False)]
    assert abs(steps[0][0] - steps[1][0]) <= 1 and abs(steps[0][1] - steps[1][1]) <= 1
    assert steps[0][1] == 0 or steps[0][1] >= boxes[0][2] + 8
