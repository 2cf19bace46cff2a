"""The teacher's kit in Chromium: a slide arrives, a frame shows one card alone, the worksheet has two pages."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from playwright.sync_api import expect
from server import settled
from visiting import Visit

pytestmark = pytest.mark.browser


def test_a_slide_arrives_as_a_picture_of_1920_pixels(open_page: Visit, tmp_path: Path) -> None:
    page = open_page("teachers_kit")
    page.get_by_text("Three moles").first.wait_for()
    settled(page)  # or a card that moves away leaves the next one's button under the click
    with page.expect_download() as arriving:
        page.locator(".st-key-slide_adjectives").get_by_role("button", name="Slide (16:9)").click()
    assert arriving.value.suggested_filename == "adjectives-slide.png"
    arriving.value.save_as(tmp_path / "slide.png")
    width, height = struct.unpack(">II", (tmp_path / "slide.png").read_bytes()[16:24])
    assert abs(width - 1920) <= 2 and abs(height - 1080) <= 8


def test_a_frame_shows_its_card_and_nothing_else(open_page: Visit) -> None:
    page = open_page(layer=3, head=1, embed="true", card="head")
    expect(page.locator(".st-key-card_head")).to_be_visible()
    expect(page.locator(".st-key-card_overview")).to_be_hidden()
    expect(page.get_by_role("textbox")).to_have_count(0)


def test_the_worksheet_prints_questions_and_answers_on_a_page_each(open_page: Visit) -> None:
    page = open_page("teachers_kit", sheet=1)
    page.get_by_text("Where does attention look?").wait_for()
    assert page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 2
