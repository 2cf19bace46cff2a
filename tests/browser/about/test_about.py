"""The way in, in Chromium: three ways that are gone once used and come back on About; terms that explain themselves."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from server import is_live
from visiting import Visit, resize

pytestmark = pytest.mark.browser


def test_the_ways_in_are_gone_once_used_and_stand_on_about(open_page: Visit) -> None:
    page = open_page()
    explore = page.get_by_role("button", name="Explore a sentence")
    expect(explore).to_be_visible()
    is_live(page)
    explore.click()
    expect(explore).to_have_count(0)
    page.wait_for_function("document.cookie.includes('headlight_been_here')")
    assert any(cookie["name"] == "headlight_been_here" for cookie in page.context.cookies())
    page.reload()
    is_live(page)
    expect(explore).to_have_count(0)
    page.get_by_role("link", name="About", exact=True).click()
    expect(page.get_by_role("link", name="New to attention?")).to_be_visible()


def test_a_term_explains_itself_by_keyboard_and_mouse(open_page: Visit) -> None:
    page = is_live(open_page())
    term = page.locator(".hl-tagline .hl-term")
    for width, point in ((1280, term.focus), (1280, term.hover), (390, term.focus), (390, term.hover)):
        resize(page, width)
        point()
        page.wait_for_function(
            "term => getComputedStyle(term, '::after').visibility === 'visible'", arg=term.element_handle()
        )
        shown = term.evaluate("e => { const s = getComputedStyle(e, '::after'); return [s.visibility, s.content]; }")
        assert shown[0] == "visible" and "Head 0.3 is head 3 of layer 0" in shown[1]
        page.mouse.move(0, 0)
        page.keyboard.press("Escape")
        term.blur()
