"""The translator's page in a real browser: lines, clicks, links, both themes, a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Route, expect
from server import is_live, settled
from visiting import link

from attn_core.models.cards import card_of

pytestmark = pytest.mark.browser
LAYER, HEAD = card_of("tiny-translator").best_head
WHO = f"head {LAYER}.{HEAD}"


def test_lines_join_the_two_sentences_and_a_click_reads_a_row(open_page) -> None:
    page = is_live(open_page("cross_attention"))
    expect(page.locator("h1.hl-lead")).to_contain_text(f"To write voiture, {WHO} looks at car")
    page.locator(".st-key-card_lines .left .word", has_text="cheval").click()
    expect(page.locator("h1.hl-lead")).to_contain_text(f"To write cheval, {WHO} looks at horse")
    settled(page)
    assert link(page)["row"] == "6"
    expect(page.locator(".st-key-card_delta h2").first).to_contain_text("cheval")


def test_stepping_changes_all_three_maps(open_page) -> None:
    page = is_live(open_page("cross_attention"))
    page.locator(".st-key-stepper_cross_head").get_by_role("button", name="›").click()
    expect(page.locator(".st-key-card_cross h2").first).to_have_text(
        f"Cross-attention · layer {LAYER} · head {HEAD + 1}"
    )
    expect(page.locator(".st-key-card_kinds .hl-hint", has_text=f"Layer {LAYER}, head {HEAD + 1}.")).to_have_count(3)
    settled(page)
    assert (link(page)["cross_layer"], link(page)["cross_head"]) == (str(LAYER), str(HEAD + 1))


def test_a_sentence_that_is_typed_is_translated(open_page, visitor: BrowserContext) -> None:
    """… also where Enter is pressed before the script that hears it has come."""
    held: list[Route] = []
    pressed: list[bool] = []
    visitor.route("**/whole_page-*.js", lambda route: route.continue_() if pressed else held.append(route))
    page = open_page("cross_attention")
    page.locator(".hl-badge", has_text="live").first.wait_for()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    box = page.get_by_label("Source sentence")
    box.fill("a small zorple eats an apple")
    page.keyboard.press("Enter")
    expect(box).to_have_value("a small zorple eats an apple\n")
    pressed.append(True)
    for route in held:
        route.continue_()
    expect(page.locator(".hl-note")).to_contain_text("zorple: this model has not met this word")
    expect(page.locator(".hl-sub").first).to_contain_text("un petit zorple° mange une pomme")
    expect(box).to_have_value("a small zorple eats an apple")
    visitor.unroute("**/whole_page-*.js")
