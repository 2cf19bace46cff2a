"""What is folded away, by keyboard: each fold opens, has its numbers, and the link says that it stands open."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from server import settled
from visiting import Visit, link

SELDOM = [pytest.param(page_name, marks=pytest.mark.full) for page_name in ("delta_e", "parameters", "why_there")]


@pytest.mark.browser
@pytest.mark.parametrize("page_name", ["word_senses", "compare_heads", *SELDOM])
def test_each_fold_opens_by_keyboard_and_the_link_says_so(open_page: Visit, page_name: str) -> None:
    page = settled(open_page(page_name))
    folds = page.get_by_test_id("stExpander").filter(has_text=re.compile("The numbers|row in every panel"))
    closed = folds.filter(has_not=page.get_by_test_id("stDataFrame"))
    expect(closed.first).to_be_visible()
    for number in range(1, closed.count() + 1):
        fold = folds.filter(has_not=page.get_by_test_id("stDataFrame")).first
        label = fold.locator("summary").inner_text().split("\n")[-1]
        fold.locator("summary").focus()
        page.keyboard.press("Enter")
        opened = folds.filter(has_text=label).get_by_test_id("stDataFrame")
        expect(opened.first).to_be_visible()
        page.wait_for_function(
            f"() => new URLSearchParams(location.search).get('folds')?.split(',').length === {number}"
        )
    page.reload()
    expect(page.get_by_test_id("stExpander").filter(has_text=label).get_by_test_id("stDataFrame").first).to_be_visible()
    assert len(link(page)["folds"].split(",")) == number
