"""What tests of several pages ask of a tab: an empty one, the link, a title, whether a page scrolls sideways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from playwright.sync_api import BrowserContext, Page
from server import PATIENCE, settled

import attn_core as ac
from attn_core.text.numbers import percent

Visit = Callable[..., Page]


@contextmanager
def tabs(visitor: BrowserContext) -> Iterator[Callable[[], Page]]:
    """Give an empty tab at each call. The first one is the run's own: it has compiled the app's scripts already, and
    opens a page in half the time. A test that listens to a tab by itself closes it at its end.
    """
    given: list[Page] = []

    def give() -> Page:
        given.append(visitor.pages[0] if visitor.pages and not given else visitor.new_page())
        return given[-1]

    yield give
    for page in given[1:]:
        page.close()
    if given and not given[0].is_closed():
        empty(given[0])


def empty(page: Page) -> None:
    """As new: no page, none before it, nothing that the tab itself has stored, and no pointer over it."""
    page.evaluate("() => { try { sessionStorage.clear() } catch { /* a page without an address stores nothing */ } }")
    page.mouse.move(-1, -1)
    page.goto("about:blank")
    page.emulate_media(media="null", reduced_motion="null", color_scheme="null")
    session = page.context.new_cdp_session(page)
    session.send("Page.resetNavigationHistory")
    session.detach()


def resize(page: Page, width: int) -> Page:
    """Give the window another width, and wait until what follows it is drawn anew."""
    page.set_viewport_size({"width": width, "height": 1500})
    page.wait_for_function(f"innerWidth === {width}", timeout=PATIENCE)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return settled(page)


def link(page: Page) -> dict[str, str]:
    """What the address bar says once the page has answered: an answer's elements may come before its address."""
    settled(page)
    return dict(parse_qsl(urlsplit(page.url).query, keep_blank_values=True))


def title(page: Page, card: str) -> str:
    """The title of a card."""
    return page.locator(f".st-key-card_{card} h2").first.inner_text()


def no_sideways_scroll(page: Page) -> None:
    wide = page.evaluate("() => [...document.querySelectorAll('html, [data-testid=stMain]')].map(e => e.scrollWidth)")
    assert max(wide) <= page.viewport_size["width"]  # type: ignore[index]


def opened_head(page: Page) -> np.ndarray:
    """The numbers that the opened head's picture is drawn from."""
    shown = page.locator(".st-key-heatmap .figure").evaluate(
        "figure => ({...figure.shown, cells: Array.from(figure.shown.cells)})"
    )
    assert shown["isExact"]
    return np.array(shown["cells"], float).reshape(shown["rows"], shown["columns"])


def strongest(trace: ac.Trace, layer: int, head: int, query: int) -> tuple[str, str]:
    """The key that a word looks at most, and the weight as it is read."""
    row = trace.pattern(layer, head)[query]
    return trace.tokens.labels[int(row.argmax())], percent(float(row.max()))
