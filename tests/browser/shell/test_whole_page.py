"""A page as a whole: Back needs one press; Share by keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from server import PATIENCE, is_live, settled
from visiting import Visit, no_sideways_scroll

pytestmark = pytest.mark.browser


def test_a_page_change_is_one_step_back(open_page: Visit) -> None:
    page = is_live(open_page("delta_e"))
    page.evaluate("globalThis.isTheSameDocument = true")
    for name in ("Compare", "Find heads", "Lesson"):
        before = page.evaluate("history.length")
        link = page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True)
        link.press("Enter") if name == "Compare" else link.click()
        page.wait_for_url(re.compile(f"/{name.lower().replace('compare', 'compare_heads').replace(' ', '_')}"))
        page.wait_for_function("() => location.search.includes('v=1')", timeout=PATIENCE)
        expect(page.locator(".hl-menu .hl-here")).to_have_text(name)
        page.locator(".hl-lead, .hl-stop-number").first.wait_for(timeout=PATIENCE)
        settled(page)
        assert page.evaluate("history.length") == before + 1, name
    assert page.evaluate("isTheSameDocument"), "a page of the menu is not loaded anew"
    page.get_by_role("button", name="Next").click()
    page.wait_for_function("() => location.search.includes('stop=2')", timeout=PATIENCE)
    settled(page)
    page.go_back()  # within a page each click is a step of its own
    page.wait_for_function("() => location.search.includes('stop=1')", timeout=PATIENCE)
    settled(page)
    page.go_back()
    page.wait_for_url(re.compile("/find_heads"), timeout=PATIENCE)


def test_a_link_into_the_page_itself_is_one_step_back_too(open_page: Visit) -> None:
    page = is_live(open_page("predict_first"))
    before = page.evaluate("history.length")
    page.get_by_role("link", name="For the teacher: ask a class").click()
    expect(page.get_by_role("textbox", name="2. The class")).to_be_visible()
    settled(page)
    assert page.evaluate("history.length") == before + 1
    page.go_back()  # to the bare address, which says nothing and means the defaults
    expect(page.get_by_role("button", name="Paint blue", exact=True)).to_be_visible()


def test_an_explanation_near_the_edge_stays_on_the_screen(open_page: Visit) -> None:
    page = settled(is_live(open_page("why_there", width=1920, height=1080, large=1, why="flow")))
    no_sideways_scroll(page)
    term = page.locator(".st-key-card_flow .hl-term, .hl-term", has_text="MLP").first
    term.hover()
    right = """term => { const own = getComputedStyle(term, "::after"), left = term.getBoundingClientRect().left;
        return left + parseFloat(own.translate) + parseFloat(own.width); }"""
    page.wait_for_function(f"term => ({right})(term) <= innerWidth && ({right})(term) > 0", arg=term.element_handle())


def test_by_keyboard_copy_link_is_near_when_share_opens(open_page: Visit) -> None:
    page = is_live(open_page())
    page.get_by_role("button", name="Share").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copy link")).to_be_visible()
    settled(page)
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "() => { let at = document.activeElement; while (at.shadowRoot?.activeElement) "
                "at = at.shadowRoot.activeElement; return at.textContent; }"
            )
        )
    assert "Copy link" in reached
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Copy link")).to_be_hidden()
