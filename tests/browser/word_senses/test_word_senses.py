"""The senses page in a real browser: an edited sentence, examples, a link handed on, narrow and dark."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from server import is_live, settled

import attn_core as ac
from attn_core.residual import geometry

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def model() -> ac.Model:
    return ac.load("minilm")


def end_of(model: ac.Model, sentence: str, word: str):
    trace = ac.trace(model, sentence)
    return trace.embedding(trace.n_layers)[trace.tokens.labels.index(word)]


def lead(page: Page):
    return page.locator("h1.hl-lead")


def test_an_edited_sentence_moves_and_its_link_can_be_handed_on(open_page, model) -> None:
    page = is_live(open_page("word_senses"))
    ends = "after the last layer A–B 0.66, A–C 0.87, B–C 0.70"
    expect(lead(page)).to_have_text(f"One embedding of mole, three meanings: cosine 1.00 in the vocabulary; {ends}.")
    edited = "the mole lives under the ground"
    box = page.get_by_role("textbox", name="Sentence B")
    box.fill(edited)
    box.press("Enter")
    ends = [end_of(model, s, "mole") for s in ("the american shrew mole digs a burrow", edited)]
    expect(lead(page)).to_contain_text(f"A–B {geometry.cosine(*ends):.2f},")
    settled(page)
    said, address = lead(page).inner_text(), page.url
    assert "board=" in address
    there = is_live(open_page(address.split("/", 3)[3].split("?")[0] + "?" + address.split("?", 1)[1]))
    assert lead(there).inner_text() == said
    expect(there.get_by_role("textbox", name="Sentence B")).to_have_value(edited)


def test_another_word_and_another_pair(open_page) -> None:
    page = is_live(open_page("word_senses"))
    page.get_by_role("button", name="tower", exact=True).click()
    expect(lead(page)).to_contain_text("One embedding of tower, three meanings")
    settled(page)
    page.locator(".st-key-card_separation").get_by_text("B and C").click()
    expect(page.locator(".st-key-card_apart .hl-numbers")).to_contain_text("token embeddings, B and C")


def test_the_ways_are_drawn_and_a_tile_opens_a_head(open_page) -> None:
    page = is_live(open_page("word_senses"))
    names = page.locator(".st-key-paths .js-plotly-plot").evaluate("plot => plot._fullData.map(part => part.name)")
    assert {"A", "B", "C"} <= set(names)
    page.locator(".tile[data-layer='1'][data-head='8']").click()
    expect(page.locator(".st-key-page_links")).to_contain_text("Open head 1.8:")
    settled(page)
    page.locator(".st-key-page_links").get_by_text("in B", exact=True).click()
    page.wait_for_url(re.compile(r"head=8"))
    expect(page.locator("[data-testid=stTextArea] textarea").first).to_have_value(
        "one mole of carbon dioxide weighs 44 grams"
    )
