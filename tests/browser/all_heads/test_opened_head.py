"""A click on a head is painted by the browser at once, and no older answer is ever painted over a newer click."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from server import is_live

pytestmark = pytest.mark.browser
LONG = "the old fox ran over the hill and sat down by the tree while the sun went " * 32  # 512 tokens, pooled tiles

# Every message takes 150 ms each way, or until `letGo()` where `held` was set; `cutOff()` ends the connection for good.
SLOW = """
const Fast = window.WebSocket;
const waiting = [];
const goOn = () => { while (waiting.length && !window.held) waiting.shift()(); };
const later = (act) => setTimeout(() => { waiting.push(act); goOn(); }, 150);
window.letGo = () => { window.held = false; goOn(); };
let cut = false;
const sockets = [];
window.cutOff = () => { cut = true; sockets.forEach((socket) => socket.close()); };
window.WebSocket = class extends Fast {
  constructor(address, protocols) { super(cut ? "ws://127.0.0.1:9" : address, protocols); sockets.push(this); }
  send(data) { later(() => super.send(data)); }
  set onmessage(hear) { super.onmessage = (event) => later(() => hear.call(this, event)); }
  addEventListener(type, hear, options) {
    super.addEventListener(type, type === "message" ? (event) => later(() => hear.call(this, event)) : hear, options);
  }
};
"""
# Every title of the opened head that was ever painted, one entry a change.
TITLES = """() => {
    const root = () => document.querySelector(".st-key-heatmap [data-testid=stBidiComponentRegular], .st-key-heatmap");
    const find = (node) => node?.querySelector?.("h2.title") ??
        [...(node?.querySelectorAll?.("*") ?? [])].map((e) => e.shadowRoot?.querySelector("h2.title")).find(Boolean);
    window.titles = [];
    const look = () => {
        const title = find(root())?.textContent;
        if (title && title !== window.titles.at(-1)) window.titles.push(title);
        requestAnimationFrame(look);
    };
    look();
}"""
FRAMES = """([layer, head]) => new Promise((resolve) => {
    const before = window.titles.length;
    const find = (node) => [...node.querySelectorAll("*")].flatMap((e) => e.shadowRoot ? [e.shadowRoot] : [])
        .map((root) => root.querySelector(`.tile[data-layer="${layer}"][data-head="${head}"]`)).find(Boolean);
    find(document).click();
    let frames = 0;
    const look = () => {
        frames += 1;
        if (window.titles.length > before || frames > 60) resolve(frames);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""


def opened(open_page, slow: bool = False, **params: object) -> Page:
    page = is_live(open_page(script=SLOW if slow else "", **params))
    expect(tile(page, 0, 3)).to_be_visible()
    expect(title(page)).to_have_text("Layer 0 · head 3")
    page.evaluate(TITLES)
    return page


def tile(page: Page, layer: int, head: int):
    return page.locator(f".tile[data-layer='{layer}'][data-head='{head}']")


def title(page: Page):
    return page.locator(".st-key-heatmap h2.title")


def test_a_click_changes_the_opened_head_within_six_frames_and_becomes_exact(open_page) -> None:
    page = opened(open_page, slow=True)
    page.evaluate("window.held = true")
    assert page.evaluate(FRAMES, [4, 9]) <= 6
    assert page.evaluate("window.titles").pop() == "Layer 4 · head 9 ≈"
    expect(page.locator(".tile[aria-selected=true]")).to_have_attribute("data-head", "9")
    expect(page.locator(".st-key-links .said")).to_contain_text("head 4.9 (≈)")
    page.evaluate("letGo()")
    expect(title(page)).to_have_text("Layer 4 · head 9")
    assert page.evaluate("window.titles") == ["Layer 0 · head 3", "Layer 4 · head 9 ≈", "Layer 4 · head 9"]


def test_a_pooled_overview_shows_its_cells_until_the_exact_numbers_come(open_page) -> None:
    page = opened(open_page, slow=True, text=LONG)
    page.evaluate("window.held = true")
    assert page.evaluate(FRAMES, [2, 1]) <= 12
    expect(page.locator(".st-key-heatmap .reading")).to_contain_text("words a cell")
    page.evaluate("letGo()")
    expect(title(page)).to_have_text("Layer 2 · head 1")


def test_an_older_answer_is_never_painted_over_a_newer_click(open_page) -> None:
    page = opened(open_page, slow=True)
    for layer, head in ((1, 1), (1, 2), (2, 5)):
        tile(page, layer, head).click()
        page.wait_for_timeout(90)
    expect(title(page)).to_have_text("Layer 2 · head 5")
    page.wait_for_timeout(900)  # whatever else is on its way
    seen = page.evaluate("window.titles")
    assert seen[0] == "Layer 0 · head 3" and seen[-2:] == ["Layer 2 · head 5 ≈", "Layer 2 · head 5"]
    assert seen.index("Layer 2 · head 5 ≈") > seen.index("Layer 1 · head 2 ≈") > seen.index("Layer 1 · head 1 ≈")
    after = seen[seen.index("Layer 1 · head 2 ≈") :]
    assert "Layer 1 · head 1" not in after and "Layer 1 · head 1 ≈" not in after


def test_keys_step_at_once_and_leave_what_is_typed_alone(open_page) -> None:
    page = opened(open_page, slow=True)
    page.locator("h1.hl-lead").click()
    page.evaluate("window.held = true")
    for key in "llj":
        page.keyboard.press(key)
    expect(title(page)).to_have_text("Layer 1 · head 5 ≈")
    page.evaluate("letGo()")
    expect(title(page)).to_have_text("Layer 1 · head 5")
    page.get_by_label("Sentence").click()
    page.keyboard.press("l")
    expect(title(page)).to_have_text("Layer 1 · head 5")


def test_without_a_connection_the_last_exact_head_comes_back_and_says_so(app_address, visitor) -> None:
    page = visitor.new_page()  # not `open_page`: its console complains that the server is gone
    page.add_init_script(SLOW)
    page.goto(app_address)
    is_live(page)
    page.evaluate("cutOff()")
    tile(page, 3, 3).click()
    expect(page.locator(".st-key-heatmap .reading")).to_contain_text("The connection was lost: you see head 0.3 again.")
    assert title(page).inner_text() == "Layer 0 · head 3"
    page.close()


def test_a_word_that_is_chosen_in_one_picture_is_followed_in_the_other_at_once(open_page) -> None:
    page = opened(open_page, slow=True)
    page.locator(".st-key-links .left .word").nth(7).click()
    chosen = "figure => figure.shown && new Promise((done) => requestAnimationFrame(() => done(figure.shown.row)))"
    assert page.locator(".st-key-heatmap .figure").evaluate(chosen) == 7  # long before the page has answered
    place = page.locator(".st-key-heatmap .figure").evaluate("figure => figure.shown.place")
    spot = {"x": place["left"] + 1.5 * place["width"], "y": place["above"] + 2.5 * place["height"]}
    page.locator(".st-key-heatmap canvas").first.click(position=spot)
    pressed = page.locator(".st-key-links .left .word[aria-pressed=true]")
    assert pressed.get_attribute("data-position") == "2"
    expect(page.locator(".hl-read")).to_contain_text("To update fluffy (2)")
