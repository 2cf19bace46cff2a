"""A sample of the links that the page tests try by the hundred, in a real browser: no error, no markup, no request."""

from __future__ import annotations

from pathlib import Path

import pytest
from server import PATIENCE, settled
from test_fuzz import link
from visiting import Visit

pytestmark = pytest.mark.browser
# Five pages, with scripts, markup, control characters and long words among them; two of them every time.
SEEDS = [302, 309, *(pytest.param(seed, marks=pytest.mark.full) for seed in (304, 306, 311))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_link_with_anything_in_it_opens_in_a_browser(open_page: Visit, seed: int) -> None:
    file, params = link(seed)
    page = open_page("" if file == "app.py" else Path(file).stem, **params)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.locator(".hl-lead, .hl-problem, .hl-stop-number").first.wait_for(timeout=PATIENCE)
    settled(page)
    assert page.locator("[data-testid=stException], img[src=x], img[src*='example.org']").count() == 0, params
    page.close()
