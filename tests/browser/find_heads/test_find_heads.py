"""Find heads in a real browser: painting with the pointer and the keyboard, opening heads, switching them off."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect
from server import settled
from visiting import link, no_sideways_scroll

import attn_core as ac
from attn_core.heads import ablation

pytestmark = pytest.mark.browser
STARTER = "a fluffy blue creature roamed the verdant forest"


def board(page: Page) -> Locator:
    return page.locator(".st-key-card_board .panel canvas")


def cell(page: Page, query: int, key: int, n: int = 13) -> tuple[float, float]:
    """Where a cell lies on the board: its places are found by pointing, as a visitor does."""
    canvas = board(page)
    reads = page.locator(".st-key-card_board .reads")
    box = canvas.bounding_box()
    assert box is not None
    for y in np.arange(box["y"] + box["height"] - 4, box["y"], -6.0):
        page.mouse.move(box["x"] + box["width"] * 0.6, y)
        if f"(query {query})" in reads.inner_text():
            break
    for x in np.arange(box["x"], box["x"] + box["width"], 6.0):
        page.mouse.move(x, y)
        if f"(key {key})" in reads.inner_text():
            return float(x), float(y)
    raise AssertionError("the cell was not found")


def test_a_click_paints_a_cell_and_the_link_says_so(open_page) -> None:
    page = open_page("find_heads", v=1, cells="", text=STARTER)
    expect(page.locator(".st-key-card_found .hl-note")).to_contain_text("Nothing is painted yet")
    settled(page)
    x, y = cell(page, 11, 10)
    page.mouse.click(x, y)
    expect(page.locator("h1.hl-lead")).to_contain_text("From forest to ##t")
    assert link(page)["cells"] == "11-10"
    page.locator(".st-key-card_found .tile").first.wait_for()
    settled(page)
    page.mouse.click(*cell(page, 11, 10))  # again: it is wiped
    expect(page.locator(".st-key-card_found .hl-note")).to_contain_text("Nothing is painted yet")


def test_the_keyboard_paints_too(open_page) -> None:
    page = open_page("find_heads", v=1, cells="", text=STARTER)
    settled(page)
    board(page).focus()
    start = link(page).get("query", "auto")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    reads = page.locator(".st-key-card_board .reads").inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("h1.hl-lead")).to_contain_text("stands out most")
    query, key = link(page)["cells"].split("-")
    assert f"(query {query})" in reads and f"(key {key})" in reads, start


def test_a_click_on_the_map_opens_that_head(open_page, trace) -> None:
    page = open_page("find_heads")
    tile = page.locator(".st-key-card_found .tile[data-layer='5'][data-head='6']")
    tile.click()
    expect(page.locator(".st-key-card_board h3")).to_have_text("Layer 5 · head 6")
    assert (link(page)["layer"], link(page)["head"]) == ("5", "6")
    settled(page)
    cell(page, 4, 3)
    weight = trace.pattern(5, 6)[4, 3]
    said = page.locator(".st-key-card_board .reads").inner_text().replace("\u00a0", " ")
    assert said == f"To update creature (query 4), head 5.6 takes {weight * 100:.2g} % from blue (key 3)."


def test_kinds_are_drawn_and_named(open_page) -> None:
    page = open_page("find_heads", v=1, find="kinds")
    tile = page.locator(".st-key-card_kinds .tile[data-layer='0'][data-head='2']")
    tile.wait_for()
    assert tile.get_attribute("aria-label") == "Layer 0, head 2: previous token"
    page.locator(".st-key-card_scatter .js-plotly-plot .scatterlayer").first.wait_for()
    points = page.locator(".js-plotly-plot").first.evaluate("plot => plot._fullData[0].x.length")
    assert points == 72
    no_sideways_scroll(page)

    plane = page.locator(".st-key-card_scatter .nsewdrag").first
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] - 4, steps=5)
    page.mouse.up()
    expect(page.locator(".st-key-card_numbers")).to_contain_text(" of 72 heads, selected in the picture.")


def test_switching_heads_off_one_after_the_other(open_page, trace) -> None:
    page = open_page("find_heads", v=1, find="matter", query=4, text=STARTER)
    page.locator(".st-key-card_effects .tile[data-layer='0'][data-head='3']").click()
    expect(page.locator("h1.hl-lead")).to_contain_text(
        "Without head 0.3, the final embedding of creature turns by 3.5°."
    )
    page.locator(".st-key-card_effects .tile[data-layer='1'][data-head='2']").click()
    expect(page.locator("h1.hl-lead")).to_contain_text("Without heads 0.3 and 1.2")
    assert link(page)["off"] == "0.3_1.2"
    page.reload()
    expect(page.locator("h1.hl-lead")).to_contain_text("Without heads 0.3 and 1.2")


def test_all_heads_in_turn_with_progress(open_page) -> None:
    text = "a hungry blue creature"
    page = open_page("find_heads", v=1, find="matter", model="tiny-decoder", text=text, query=4)
    page.get_by_role("button", name="Switch off each head in turn").click()
    expect(page.locator(".st-key-card_effects")).to_contain_text("effect of switching off, in bits")
    trace = ac.trace(model := ac.load("tiny-decoder"), text)
    judged = {(a, b): v for a, b, v in ablation.switch_off_each(trace.stream(), ablation.runner(model, trace), 4)}
    tile = page.locator(".st-key-card_effects .tile[data-layer='1'][data-head='3']")
    assert tile.get_attribute("aria-label") == f"Layer 1, head 3: {judged[1, 3]:.2g}"


def test_a_long_search_can_be_stopped(open_page) -> None:
    page = open_page("find_heads", v=1, find="matter", text="the animal did not cross the street " * 40)
    page.get_by_role("button", name="Switch off each head in turn").click()
    page.get_by_role("button", name="Stop").click()
    settled(page)
    expect(page.get_by_role("button", name="Switch off each head in turn")).to_be_visible()
    expect(page.locator(".st-key-card_effects")).to_contain_text("share of its layer's ΔE")
