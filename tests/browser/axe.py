"""What axe-core finds wrong with a page and is ours to mend."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from playwright.sync_api import Page
from server import PATIENCE

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


# What is Streamlit's own and cannot be changed from a page, with the element it is about.
THEIRS = {
    "aria-allowed-attr": "[data-baseweb], [data-testid=stSelectbox] *",
    "nested-interactive": "[data-baseweb=select], [role=grid]",
    "scrollable-region-focusable": "[data-testid=stMain], .stMainBlockContainer, [data-testid=stDataFrame] *",
    "presentation-role-conflict": "[data-testid=stFileUploaderDropzone]",
    "landmark-unique": "*",
    "region": "*",
    "landmark-one-main": "*",
    "page-has-heading-one": "*",
}


# The rules whose answer depends on the theme.
OF_COLOURS = ("color-contrast", "link-in-text-block")

# Colours glide from one theme into the other: whoever reads them before that has ended reads what nobody sees.
SETTLED = "document.getAnimations().every(each => !(each instanceof CSSTransition) || each.playState !== 'running')"


def show_in(page: Page, scheme: str) -> None:
    """Turn a page light or dark, and wait until it is."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    dark = "getComputedStyle(document.querySelector('.stApp')).backgroundColor.startsWith('rgb(20')"
    page.wait_for_function(dark if scheme == "dark" else f"!{dark}", timeout=PATIENCE)


def faults(page: Page, *rules: str) -> list[tuple[str, str, list[Any], str]]:
    """(rule, what it wants, where, the element) of every violation of ours on the page, of all rules or some, once its
    colours stand."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    page.wait_for_function(SETTLED, timeout=PATIENCE)
    asked = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = page.evaluate("asked => axe.run(document, asked)", asked)["violations"]
    return [(f["id"], f["help"], node["target"], node["html"][:160]) for f in found for node in _ours(page, f)]


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
