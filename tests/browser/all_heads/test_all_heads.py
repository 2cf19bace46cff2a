"""All heads in a real browser: what a click, a key or a link really shows."""

from __future__ import annotations

import re

import numpy as np
import pytest
from axe import show_in
from playwright.sync_api import Page, expect
from server import is_live, settled
from visiting import link, opened_head, resize, strongest

pytestmark = pytest.mark.browser


BRIGHTNESS_OF_A_TILE = """canvas => { const g = canvas.getContext('2d'), r = canvas.width / canvas.clientWidth;
    const tile = canvas.parentElement.querySelector('.tile'), box = tile.getBoundingClientRect();
    const own = canvas.getBoundingClientRect(), sum = [0, 0, 0];
    const data = g.getImageData((box.x - own.x) * r, (box.y - own.y) * r, box.width * r, box.height * r).data;
    for (let i = 0; i < data.length; i += 4) for (let c = 0; c < 3; c++) sum[c] += data[i + c];
    return sum.reduce((all, one) => all + one) / (data.length / 4 * 3); }"""


def click_cell(page: Page, row: int, column: int) -> None:
    place = page.locator(".st-key-heatmap .figure").evaluate("figure => figure.shown.place")
    x, y = place["left"] + (column + 0.5) * place["width"], place["above"] + (row + 0.5) * place["height"]
    page.locator(".st-key-heatmap canvas").first.click(position={"x": x, "y": y})


def test_it_follows_the_theme_at_once(look_at) -> None:
    page = is_live(look_at())
    tiles = page.locator(".grid canvas").first
    grounds = {"light": "rgb(251, 250, 247)", "dark": "rgb(20, 19, 15)"}
    for scheme in ("light", "dark", "light"):
        show_in(page, scheme)
        assert page.locator(".stApp").evaluate("app => getComputedStyle(app).backgroundColor") == grounds[scheme]
        is_light = f"canvas => (({BRIGHTNESS_OF_A_TILE})(canvas) > 128) === {str(scheme == 'light').lower()}"
        page.wait_for_function(is_light, arg=tiles.element_handle())  # pattern 0.0 is mostly weak


def test_the_opened_head_is_large_enough_to_read_between_phone_and_desk(look_at) -> None:
    figure = resize(is_live(look_at()), 768).locator(".st-key-heatmap .figure")
    expect(figure).to_be_visible()
    assert figure.evaluate("figure => figure.shown.place.width * figure.shown.columns") > 300  # of a cell, of all


def test_the_badge_opens_on_what_was_compared_by_keyboard_too(look_at) -> None:
    page = is_live(look_at())
    page.locator(".hl-checked summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".hl-checked")).to_contain_text("against what the model's own attention gave")
    expect(page.locator(".hl-checked > div")).to_be_visible()


def test_a_click_on_a_tile_opens_exactly_that_head_and_back_is_the_view_before(open_page, trace) -> None:
    page = is_live(open_page())
    page.locator(".tile[data-layer='4'][data-head='9']").click(position={"x": 5, "y": 5})
    expect(page.locator(".st-key-card_head h2").first).to_have_text("Layer 4 · head 9")
    settled(page)
    np.testing.assert_allclose(opened_head(page), trace.pattern(4, 9), atol=1e-6)
    assert (link(page)["layer"], link(page)["head"]) == ("4", "9")
    page.go_back()
    expect(page.locator(".st-key-card_head h2").first).to_have_text("Layer 0 · head 3")


def test_a_click_on_a_cell_or_a_word_reads_its_row_aloud(open_page, trace) -> None:
    page = is_live(open_page(layer=2, head=9))
    click_cell(page, 7, 6)
    key, weight = strongest(trace, 2, 9, 7)
    expect(page.locator(".hl-read")).to_contain_text(f"To update {trace.tokens.labels[7]} (7), head 2.9 looks at")
    expect(page.locator(".hl-read")).to_contain_text(weight.replace(" %", "\u00a0%"))
    assert link(page)["query"] == "7" and key in page.locator(".hl-read").inner_text() + " itself"
    page.locator(".word[data-side='query'][data-position='2']").click()
    expect(page.locator(".hl-read")).to_contain_text("To update fluffy (2)")


def test_layer_and_head_step_by_keyboard(open_page, trace) -> None:
    page = is_live(open_page(layer=0, head=3))
    page.locator("h1.hl-lead").click()
    page.keyboard.press("l")
    expect(page.locator(".st-key-card_head h2").first).to_have_text("Layer 0 · head 4")
    settled(page)
    page.keyboard.press("k")
    expect(page.locator(".st-key-card_head h2").first).to_have_text("Layer 5 · head 4")
    settled(page)
    np.testing.assert_allclose(opened_head(page), trace.pattern(5, 4), atol=1e-6)


FOCUSED = """wanted => {
    let at = document.activeElement;
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    return wanted.startsWith(".") ? at.matches(wanted) : at.innerText?.startsWith(wanted);
}"""


def tab_to(page: Page, wanted: str, by: str = "Tab") -> None:
    """Press Tab until something that is of a class, or has a name, has the focus."""
    for _ in range(100):
        page.keyboard.press(by)
        if page.evaluate(FOCUSED, wanted):
            return
    raise AssertionError(f"{wanted} is not reached by {by}")


def test_the_keyboard_alone_reaches_a_head_a_cell_a_word_and_the_link(open_page) -> None:
    page = is_live(open_page(layer=0, head=3))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    aloud = page.locator(".hl-read")

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    tab_to(page, ".tile")
    press("ArrowDown", "ArrowDown", "ArrowRight", "Enter")
    expect(page.locator(".st-key-card_head h2").first).to_have_text("Layer 2 · head 4")
    settled(page)
    press("Space", "ArrowDown", "ArrowDown", "ArrowRight")
    expect(page.locator(".preview p")).to_contain_text("To update fluffy (query 2), head 2.4 takes")
    expect(page.locator(".preview p")).to_contain_text("from a (key 1)")
    press("Enter")  # opens the head, and keeps the word
    expect(page.locator(".preview")).to_be_hidden()
    expect(aloud).to_contain_text("To update creature (4), head 2.4 looks at")
    settled(page)
    tab_to(page, ".board")
    press("ArrowUp", "ArrowUp", "ArrowRight", "Enter")
    expect(aloud).to_contain_text("To update fluffy (2), head 2.4 looks at")
    settled(page)
    tab_to(page, ".word")
    press("ArrowDown", "Enter")
    expect(aloud).to_contain_text("To update a (1), head 2.4 looks at")
    settled(page)
    tab_to(page, "Share", by="Shift+Tab")
    press("Enter")
    tab_to(page, "Copy link")
    press("Enter")
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert "query=1" in page.evaluate("navigator.clipboard.readText()")


def test_a_typed_sentence_is_read_and_goes_into_the_link(open_page) -> None:
    page = is_live(open_page())
    box = page.get_by_label("Sentence")
    box.fill("two cats & <b>one</b> $dog$")
    box.press("Enter")
    expect(page.locator(".hl-count")).to_have_text(re.compile("^16 of 512 tokens, 2 of its frame$"))
    settled(page)
    assert link(page)["text"] == "two cats & <b>one</b> $dog$"
    assert page.locator(".stMain b", has_text=re.compile("^one$")).count() == 0
    assert box.input_value() == "two cats & <b>one</b> $dog$"


def test_markup_that_is_typed_does_nothing(open_page) -> None:
    page = open_page(
        text='<img src="http://elsewhere.invalid/x.png" onerror="window.pwned=1"> ![i](http://elsewhere.invalid)'
    )
    is_live(page)
    assert page.evaluate("() => window.pwned") is None
    assert page.locator("img[src*=elsewhere]").count() == 0


def test_a_wrong_link_says_what_was_wrong(open_page) -> None:
    page = is_live(open_page(layer=77, nonsense=1))
    notes = page.locator(".hl-note").all_inner_texts()
    assert any("layer=77" in note for note in notes) and any("nonsense" in note for note in notes)


def test_a_link_leads_on_with_the_same_head_and_sentence(open_page) -> None:
    page = is_live(open_page(text="the keys to the cabinet", layer=2, head=5))
    page.locator(".st-key-page_links").get_by_role("link", name="What it adds: ΔE").click()
    page.wait_for_url("**/delta_e?**")
    page.locator("h1.hl-lead").wait_for()
    assert page.get_by_label("Sentence").input_value() == "the keys to the cabinet"
    assert (link(page)["layer"], link(page)["head"]) == ("2", "5")
