"""The ΔE page in a real browser: clicks on the map and the table of parts, links into other pages, narrow and dark."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect
from server import is_live, settled
from visiting import link, title

import attn_core as ac

pytestmark = pytest.mark.browser
STARTER = "a fluffy blue creature roamed the verdant forest"
CREATURE = 4


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    """The judge: the same sentence, outside the app."""
    return ac.trace(ac.load("minilm"), STARTER)


def test_a_click_on_the_map_opens_a_head(open_page, trace) -> None:
    page = is_live(open_page("delta_e"))
    tile = page.locator(".tile[data-layer='5'][data-head='3']")
    tile.wait_for()
    tile.click()
    expect(page.locator(".st-key-card_from h2").first).to_have_text("Where head 5.3 takes it from")
    settled(page)
    assert (link(page)["layer"], link(page)["head"]) == ("5", "3")
    assert title(page, "layer") == "Layer 5, head by head"
    drawn = page.locator(".st-key-numbers_map .js-plotly-plot").evaluate(
        "p => Array.from(p._fullData[0].z, r => Array.from(r))"
    )
    np.testing.assert_allclose(np.array(drawn), trace.delta_e(5, 3), atol=1e-5)
    page.keyboard.press("l")  # the next head
    expect(page.locator(".st-key-card_from h2").first).to_have_text("Where head 5.4 takes it from")


def test_a_row_of_the_parts_opens_its_head_here_and_in_other_pages(open_page) -> None:
    page = is_live(open_page("delta_e"))
    grid = page.locator(".st-key-parts [data-testid=stDataFrame]")
    grid.scroll_into_view_if_needed()
    grid.click(position={"x": 17, "y": 36 + 36 * 6 + 18})  # the sixth row under E: head 0.5
    expect(page.locator(".st-key-page_links")).to_contain_text("Open head 0.5 in:")
    settled(page)
    page.locator(".st-key-page_links").get_by_text("Step by step").click()
    page.wait_for_url(re.compile("step_by_step"))
    expect(page.locator(".hl-here").first).to_have_text("Step by step")
    assert (link(page)["layer"], link(page)["head"], link(page)["query"]) == ("0", "5", str(CREATURE))


def test_arrows_turn_into_three_dimensions_and_show_the_whole_path(open_page) -> None:
    page = is_live(open_page("delta_e", moves="path", axes="3"))
    arrows = page.locator(".st-key-arrows .js-plotly-plot")
    kinds = arrows.evaluate("plot => plot._fullData.map(part => part.type)")
    assert "scatter3d" in kinds and "cone" in kinds
    page.locator(".st-key-card_arrows").get_by_text("2-D").click()
    flat = "_fullData.every(part => part.type === 'scatter')"
    page.wait_for_function(f"() => document.querySelector('.st-key-arrows .js-plotly-plot').{flat}")


def test_the_numbers_under_the_stacked_bar_are_whole(open_page) -> None:
    page = is_live(open_page("delta_e"))
    cut = """p => { const end = p.getBoundingClientRect().bottom;
        return [...p.querySelectorAll('.xtick text')].map(e => end - e.getBoundingClientRect().bottom); }"""
    below = page.locator(".st-key-stacked .js-plotly-plot").evaluate(cut)
    assert below and min(below) >= 0
