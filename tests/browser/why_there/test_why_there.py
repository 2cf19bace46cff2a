"""The page Why there? in a real browser: the next click and the way back, a layer opened, narrow and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from server import is_live, settled
from visiting import link, no_sideways_scroll

pytestmark = pytest.mark.browser
DEEP = {"layer": 5, "head": 3, "query": 4, "key": 2}


def test_a_writer_opens_its_own_score_and_the_way_leads_back(open_page) -> None:
    page = is_live(open_page("why_there", **DEEP))
    first = page.locator("h1.hl-lead").inner_text()
    page.locator("[class*='st-key-open_'] button").first.click()
    expect(page.locator(".st-key-trail")).to_contain_text("You came from head 5.3, creature → fluffy.")
    settled(page)
    assert link(page)["trail"].startswith("self.5.3.4.2.") and link(page)["layer"] != "5"
    page.locator(".st-key-trail_back button").click()
    expect(page.locator(".st-key-trail")).to_have_count(0)
    expect(page.locator("h1.hl-lead")).to_have_text(first)


def test_a_layer_is_opened_and_the_menu_stays_one_line(open_page) -> None:
    page = is_live(open_page("why_there", **DEEP, opened=2))
    drawn = "p => p._fullLayout.xaxis.ticktext"
    names = page.locator(".st-key-writers .js-plotly-plot").evaluate(drawn)
    assert "head 0.3" in names and "layer 0" not in names
    assert page.locator(".st-key-menu").bounding_box()["height"] < 70


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_sticks_out(open_page, width, scheme) -> None:
    page = is_live(open_page("why_there", width=width, scheme=scheme, **DEEP))
    no_sideways_scroll(page)
    for card in ("matrix", "pairs", "next", "brought", "taken"):
        box = page.locator(f".st-key-card_{card}").bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width


@pytest.mark.parametrize(
    ("width", "scheme", "more"), [(390, "dark", {"model": "tiny-decoder", "top": "next"}), (768, "light", {})]
)
def test_nothing_of_a_flow_sticks_out(open_page, width, scheme, more) -> None:
    page = is_live(open_page("why_there", width=width, scheme=scheme, why="flow", query=4, **more))
    expect(page.locator(".st-key-card_words")).to_be_visible()
    no_sideways_scroll(page)
    for card in ("flow", "words"):
        box = page.locator(f".st-key-card_{card}").bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (768, "dark"), (1280, "light")])
def test_nothing_of_a_heads_card_sticks_out(open_page, width, scheme) -> None:
    page = is_live(
        open_page("why_there", width=width, scheme=scheme, why="card", model="tiny-decoder", layer=1, head=3)
    )
    expect(page.locator(".st-key-card_left_out")).to_be_visible()
    no_sideways_scroll(page)
    for card in ("scores", "reads", "writes", "composition", "near", "directions", "left_out"):
        box = page.locator(f".st-key-card_{card}").bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width


@pytest.mark.parametrize("layer", [0, 5])
def test_no_name_is_cut_on_a_phone(open_page, layer) -> None:
    """Every writer of the key is named below its column, none left of the picture of the pairs, no word in two."""
    page = is_live(open_page("why_there", width=390, **{**DEEP, "layer": layer}))
    columns = page.locator(".st-key-writers .js-plotly-plot").evaluate("p => p._fullLayout.xaxis.ticktext.length")
    assert page.locator(".st-key-writers .xtick text").count() == columns
    left = page.locator(".st-key-pairs .js-plotly-plot").evaluate(
        """p => Math.min(...[...p.querySelectorAll('.annotation-text')].map(e => e.getBoundingClientRect().left))
            - p.getBoundingClientRect().left"""
    )
    assert left >= 0
    label = "[...document.querySelectorAll('.st-key-card_pairs .hl-bars tbody th')]"
    assert page.evaluate(f"{label}.every(e => e.scrollWidth <= e.clientWidth && e.clientHeight <= 60)")
