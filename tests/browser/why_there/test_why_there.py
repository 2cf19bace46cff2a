"""The page Why there? in a real browser: the next click and the way back, a layer opened, narrow and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from server import is_live, settled
from visiting import link

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
