"""The menu and the ways in, in Chromium: one line wherever the pages stand side by side, and no link crowds another."""

from __future__ import annotations

import pytest
from server import PATIENCE, settled
from visiting import Visit

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


def test_the_drawers_links_have_room_for_a_finger(open_page: Visit) -> None:
    page = open_page("", width=390, height=844)
    page.locator(".hl-lead").wait_for(timeout=PATIENCE)
    settled(page).locator(".st-key-menu_open button").click()
    links = page.locator("[data-testid=stPopoverBody] a")
    links.last.wait_for(timeout=PATIENCE)
    boxes = links.evaluate_all("all => all.map(a => a.getBoundingClientRect()).map(r => [r.top, r.bottom])")
    assert len(boxes) == len(PAGES) - 1  # all pages but the one that is open
    assert all(bottom - top >= 32 for top, bottom in boxes)
    assert all(first[1] <= then[0] + 1 for first, then in zip(boxes, boxes[1:], strict=False))


@pytest.mark.parametrize("width", [1280, 390])
def test_the_ways_in_are_three_alike(open_page: Visit, width: int) -> None:
    """Two of them are links and one is a button: they stand on one line, or evenly below each other."""
    page = open_page("", width=width)
    page.locator(".hl-lead").wait_for(timeout=PATIENCE)
    cards = settled(page).locator(".st-key-ways_in :is(a, button)")
    boxes = cards.evaluate_all("all => all.map(e => e.getBoundingClientRect()).map(r => [r.left, r.top, r.height])")
    assert len(boxes) == 3 and len({round(height) for *_, height in boxes}) == 1
    steps = [(round(b[0] - a[0]), round(b[1] - a[1])) for a, b in zip(boxes, boxes[1:], strict=False)]
    assert abs(steps[0][0] - steps[1][0]) <= 1 and abs(steps[0][1] - steps[1][1]) <= 1
    assert steps[0][1] == 0 or steps[0][1] >= boxes[0][2] + 8
