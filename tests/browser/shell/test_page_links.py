"""Links into other pages look alike everywhere: amber, with an arrow that no label writes itself."""

from __future__ import annotations

import pytest
from server import PATIENCE, is_live
from visiting import Visit

pytestmark = pytest.mark.browser
WHERE = [
    ("", {}, 6),
    ("delta_e", {}, 5),
    ("why_there", {}, 4),
    ("find_heads", {"find": "kinds"}, 3),
    ("cross_attention", {}, 6),
    ("step_by_step", {"step": 8}, 4),
]


@pytest.mark.parametrize(("page_name", "params", "many"), WHERE)
def test_links_into_other_pages_look_alike(open_page: Visit, page_name: str, params: dict, many: int) -> None:
    page = is_live(open_page(page_name, **params))
    links = page.locator("[class*='st-key-page_links'] [data-testid=stPageLink-NavLink] p")
    links.nth(many - 1).wait_for(timeout=PATIENCE)
    seen = links.evaluate_all(
        """all => all.map(p => [getComputedStyle(p).color, getComputedStyle(p, '::after').content, p.textContent])"""
    )
    assert len(seen) == many
    assert all(colour == "rgb(180, 83, 9)" and "→" in arrow and "→" not in said for colour, arrow, said in seen)
    lost = page.locator("[data-testid=stMain] [data-testid=stPageLink-NavLink]").evaluate_all(
        """all => all.filter(a => !a.closest('.st-key-menu, .st-key-ways_in, [class*=st-key-page_links]')).length"""
    )
    assert lost == 0
