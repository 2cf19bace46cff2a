"""The box for a sentence: it takes text as it is, grows with its lines, and says while somebody types what is read."""

from __future__ import annotations

import re

import pytest
from conftest import Visit
from playwright.sync_api import expect
from server import PATIENCE, is_live

pytestmark = pytest.mark.browser
TYPING = "box => box.closest('.st-key-sentence').querySelector('.hl-count').dataset.typing ?? ''"


def test_one_line_needs_enter_and_several_need_more(open_page: Visit) -> None:
    page = is_live(open_page(model="tiny-decoder", text="a fluffy blue creature"))
    count = page.locator(".hl-count")
    expect(count).to_have_text("5 of 64 tokens, 1 of its frame")
    box = page.get_by_label("Sentence")
    low = box.bounding_box()
    box.press("End")
    box.type(" roamed")
    assert box.evaluate(TYPING) == "29 of 2,560 characters\nEnter reads it"
    box.press("Enter")
    expect(count).to_have_text("6 of 64 tokens, 1 of its frame", timeout=PATIENCE)
    assert box.input_value() == "a fluffy blue creature roamed" and box.evaluate(TYPING) == ""

    box.press("Shift+Enter")
    box.type("  the forest")
    assert box.evaluate(TYPING) == "42 of 2,560 characters\nCtrl+Enter reads it"
    box.press("Enter")  # one more line, since there are several
    assert box.input_value().endswith("  the forest\n")
    tall = box.bounding_box()
    assert low and tall and tall["height"] > 1.8 * low["height"]
    box.press("Control+Enter")
    page.wait_for_url(re.compile(r"text=a\+fluffy\+blue\+creature\+roamed%0A\+\+the\+forest%0A"), timeout=PATIENCE)
    assert box.evaluate(TYPING) == ""

    box.fill("fox " * 700)
    assert box.evaluate(TYPING) == "2,800 of 2,560 characters:\nthe rest is not read"
    box.press("Escape")
    box.blur()
    expect(count).to_contain_text("Cut after", timeout=PATIENCE)
    height, screen = box.bounding_box(), page.viewport_size
    assert height and screen and height["height"] < 0.4 * screen["height"]  # it scrolls from there on
