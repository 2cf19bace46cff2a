"""Predict first in Chromium: a phone paints by taps, a desk by keys, and a class arrives as digits."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from visiting import Visit, link, no_sideways_scroll

pytestmark = pytest.mark.browser


def test_a_pupil_paints_and_the_teacher_lays_the_class_over_the_head(open_page: Visit) -> None:
    phone = open_page("predict_first", width=320, height=800)
    blue = phone.get_by_role("button", name="Paint blue", exact=True)
    blue.click()
    expect(phone.get_by_role("button", name="Wipe blue", exact=True)).to_have_attribute("aria-pressed", "true")
    word = phone.get_by_role("button", name="Paint a", exact=True).element_handle()
    phone.get_by_role("button", name="Paint fluffy", exact=True).click()
    expect(phone.locator(".hl-code")).to_have_text("001-952-8")
    assert word.evaluate("word => word.isConnected"), "a tap begun before the answer ends on the same button"
    box = phone.get_by_role("button", name="Paint a", exact=True).bounding_box()
    assert box is not None and min(box["width"], box["height"]) >= 44
    no_sideways_scroll(phone)
    phone.get_by_role("button", name="Uncover the head").click()
    expect(phone.get_by_text("Your 2 words hold")).to_be_visible()
    no_sideways_scroll(phone)
    assert link(phone)["painted"] == "2_3"

    desk = open_page("predict_first", teacher=1)
    desk.get_by_role("textbox", name="2. The class").fill("001-952-8\n001 952 8\nno code")
    desk.get_by_role("textbox", name="2. The class").press("Control+Enter")
    expect(desk.get_by_text("2 paintings; most, 2, have")).to_be_visible()
    expect(desk.get_by_text("Line 3, “no code”, is not a code")).to_be_visible()


def test_a_keyboard_paints(open_page: Visit) -> None:
    page = open_page("predict_first")
    first = page.get_by_role("button", name="Paint [CLS]", exact=True)
    first.focus()
    for key in ("ArrowRight", "ArrowRight", "Space", "ArrowRight", "Enter", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator(".hl-code")).to_have_text("001-952-8")
    expect(page.get_by_role("button", name="Wipe blue", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Paint blue", exact=True)).to_be_focused()
