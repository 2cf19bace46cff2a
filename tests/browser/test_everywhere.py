"""Every room at every width and in both themes: nothing cut, no sideways scroll, nothing that axe-core finds wrong."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from conftest import Visit
from playwright.sync_api import Page
from serving import PATIENCE, settled

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
ROOMS = ["", *sorted(file.stem for file in (ROOT / "pages").glob("*.py"))]
WIDTHS = (360, 390, 768, 1280, 1920)
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")

FITS = """() => ['[data-testid=stMain]', 'html'].every(where =>
    [...document.querySelectorAll(where)].every(part => part.scrollWidth <= part.clientWidth + 1))"""

# What is Streamlit's own and cannot be changed from a page, with the element it is about.
THEIRS = {
    "aria-allowed-attr": "[data-baseweb], [data-testid=stSelectbox] *",
    "nested-interactive": "[data-baseweb=select], [role=grid]",
    "scrollable-region-focusable": "[data-testid=stMain], .stMainBlockContainer, [data-testid=stDataFrame] *",
    "landmark-unique": "*",
    "region": "*",
    "landmark-one-main": "*",
    "page-has-heading-one": "*",
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_fits_every_width_and_has_no_fault_of_ours(open_room: Visit, room: str) -> None:
    page = open_room(room, scheme="light")
    page.locator(".hl-lead, .hl-stop-number").first.wait_for(timeout=PATIENCE)
    if room != "parameters":
        page.locator(".hl-badge", has_text="live").first.wait_for(timeout=PATIENCE)
    settled(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITS, timeout=PATIENCE)
    page.evaluate(AXE)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        dark = "() => getComputedStyle(document.querySelector('.stApp')).backgroundColor.startsWith('rgb(20')"
        page.wait_for_function(dark if scheme == "dark" else dark.replace("() => ", "() => !"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        ours = [(f["id"], f["help"], node["target"], node["html"][:160]) for f in found for node in _ours(page, f)]
        assert ours == [], scheme


def _ours(page: Page, finding: dict[str, Any]) -> list[dict[str, Any]]:
    theirs = THEIRS.get(finding["id"])
    if theirs is None:
        return list(finding["nodes"])
    belongs = "([where, theirs]) => [...document.querySelectorAll(where)].every(e => e.matches(theirs))"
    return [
        node
        for node in finding["nodes"]
        if not (isinstance(node["target"][0], str) and page.evaluate(belongs, [node["target"][0], theirs]))
    ]
