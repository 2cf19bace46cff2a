"""Writing on in a real browser: words appear in the sentence, and each step shows where a head looked."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from server import is_live, settled
from visiting import link, no_sideways_scroll

pytestmark = pytest.mark.browser
FOX = "a hungry small brown fox"


def test_the_model_writes_on_in_the_visitors_sentence(open_page) -> None:
    page = is_live(open_page("", model="tiny-decoder", text=FOX, layer=1, head=1, scheme="dark"))
    card = page.locator(".st-key-card_next_word")
    expect(card.locator(".hl-bars tbody th").first).to_have_text("ate")
    rows = page.locator(".st-key-card_film .js-plotly-plot")
    expect(rows).to_have_count(0)

    card.get_by_role("button", name="Append this word").click()
    expect(page.get_by_label("Sentence")).to_have_value(f"{FOX} ate")
    expect(rows).to_have_count(1)

    card.get_by_role("button", name="Write 8").click()
    expect(page.get_by_label("Sentence")).not_to_have_value(f"{FOX} ate")
    settled(page)
    said = link(page)
    assert said["text"].startswith(f"{FOX} ate in the ") and len(said["text"].split()) == 5 + 9
    assert said["text"] == FOX + said["written"]
    no_sideways_scroll(page)


def test_a_film_is_played_and_stepped_through_by_keys(open_page) -> None:
    page = is_live(open_page("", model="tiny-decoder", text=FOX, layer=1, head=1, width=390))
    page.get_by_role("button", name="Write 8").click()
    film = page.get_by_role("group", name="How the text was written, word by word")
    where, lit = film.locator(".where"), film.locator(".chip.now")
    expect(where).to_have_text("word 1 of 8")
    expect(lit).to_have_text("ate")
    film.get_by_role("button", name="The next word").click()
    page.keyboard.press("ArrowRight")
    expect(lit).to_have_text("the")
    page.wait_for_function("new URLSearchParams(location.search).get('film') === '3'")
    settled(page)
    expect(where).to_have_text("word 3 of 8")
    film.get_by_role("button", name="Play").click()
    expect(where).to_have_text("word 8 of 8")
    expect(film.get_by_role("button", name="Play")).to_be_visible()  # it stops at the end by itself
    no_sideways_scroll(page)
