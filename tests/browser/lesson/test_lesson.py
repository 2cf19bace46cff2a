"""The lesson in Chromium: the arrow keys lead through it, a guess is answered, the link opens the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from server import settled
from visiting import Visit, resize

pytestmark = pytest.mark.browser


def test_walk_guess_and_leave(open_page: Visit) -> None:
    page = open_page("lesson", stop=6, width=390, scheme="dark")
    expect(page.get_by_role("heading", name="Value and ΔE")).to_be_visible()
    settled(page)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="Many heads")).to_be_visible()
    expect(page.get_by_role("gridcell")).to_have_count(72)
    assert page.evaluate("new URL(location).searchParams.get('stop')") == "7"

    page.get_by_role("radio", name="9,216").click()
    expect(page.get_by_text("Yes. 96 × 96 = 9,216.")).to_be_visible()
    for width in (390, 1280):
        main = resize(page, width).locator("[data-testid=stMain]")
        assert main.evaluate("element => element.scrollWidth <= element.clientWidth")

    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="Where the parameters are")).to_be_visible()
    page.get_by_role("link", name="Count any model yourself").click()
    expect(page.get_by_text("57,982,058,496").first).to_be_visible()


def test_the_presenters_size_is_larger(open_page: Visit) -> None:
    size = "element => parseFloat(getComputedStyle(element).fontSize)"
    small = open_page("lesson", stop=4).locator(".hl-stop-says")
    expect(small).to_be_visible()
    large = open_page("lesson", stop=4, large=1).locator(".hl-stop-says")
    expect(large).to_be_visible()
    assert large.evaluate(size) >= 1.25 * small.evaluate(size)
