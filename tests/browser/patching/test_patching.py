"""The page Patching in a real browser: a circuit of two heads found by clicking, narrow, dark and on one menu line."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from server import is_live, settled
from visiting import link

pytestmark = pytest.mark.browser


def test_a_circuit_of_two_heads_is_found_by_clicking(open_page) -> None:
    page = is_live(open_page("patching"))
    expect(page.locator("h1.hl-lead")).to_contain_text("Head 0.2 carries most")
    page.locator(".st-key-open_later button").click()
    expect(page.locator(".st-key-card_paths")).to_contain_text("Into the value of head 1.0, head 0.2 brings most: 56 %")
    settled(page)
    assert link(page)["layer"] == "1" and link(page)["head"] == "0"
    assert page.locator(".st-key-menu").bounding_box()["height"] < 70
    page.locator(".st-key-open_strongest button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-card_row h2")).to_have_text("Head 0.2, word by word")


LONG = {  # 72 heads of MiniLM, each with a sentence of a hundred words: some seconds
    "model": "minilm",
    "text": "the keys to the cabinet are on the table and " * 11,
    "second": "the keys to the cabinet is on the table and " + "the keys to the cabinet are on the table and " * 10,
    "query": 2,
}


def test_one_visitor_stops_and_the_other_one_who_waits_for_the_same_gets_it(open_page) -> None:
    page, other = (is_live(open_page("patching", **LONG)) for _ in range(2))
    asks = [each.locator(".st-key-ask_heads button") for each in (page, other)]
    expect(asks[1]).to_be_visible()
    asks[0].click()
    expect(page.locator(".st-key-stop_heads button")).to_be_visible()
    asks[1].click()
    expect(other.locator(".st-key-stop_heads button")).to_be_visible()
    page.locator(".st-key-stop_heads button").click()
    expect(asks[0]).to_be_visible()
    expect(other.locator(".st-key-effects canvas").first).to_be_visible()
    assert page.locator(".st-key-effects canvas").count() == 0 and asks[0].is_visible()
