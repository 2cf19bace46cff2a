"""Writing on in a real browser: words appear in the sentence, and each step shows where a head looked."""

from __future__ import annotations

import pytest
from conftest import link, no_sideways_scroll
from playwright.sync_api import expect
from server import is_live, settled

pytestmark = pytest.mark.browser
FOX = "a hungry small brown fox"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_model_writes_on_in_the_visitors_sentence(open_page, width: int, scheme: str) -> None:
    page = is_live(open_page("", model="tiny-decoder", text=FOX, layer=1, head=1, width=width, scheme=scheme))
    card = page.locator(".st-key-card_next_word")
    expect(card.locator(".hl-bars tbody th").first).to_have_text("ate")
    expect(card.locator(".js-plotly-plot")).to_have_count(0)

    card.get_by_role("button", name="Append this word").click()
    expect(page.get_by_label("Sentence")).to_have_value(f"{FOX} ate")
    expect(card.locator(".js-plotly-plot")).to_have_count(1)

    card.get_by_role("button", name="Write 8").click()
    expect(page.get_by_label("Sentence")).not_to_have_value(f"{FOX} ate")
    settled(page)
    said = link(page)
    assert said["text"].startswith(f"{FOX} ate in the ") and len(said["text"].split()) == 5 + 9
    assert said["text"] == FOX + said["written"]
    no_sideways_scroll(page)
