"""A running app and a browser, shared by the tests of one run; a page fails if its console or its network complains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from server import PATIENCE, chromium, serve, watch

import attn_core as ac
from attn_core.text.numbers import percent

expect.set_options(timeout=PATIENCE)
Visit = Callable[..., Page]
STARTER = "a fluffy blue creature roamed the verdant forest"


@pytest.fixture(scope="session")
def app_address() -> Iterator[str]:
    """The app, started once."""
    with serve() as address:
        yield address


@pytest.fixture(scope="session")
def any_browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def trace() -> ac.Trace:
    """The judge: the first sentence, outside the app."""
    return ac.trace(ac.load("minilm"), STARTER)


@pytest.fixture(scope="session")
def visitors(any_browser: Browser) -> Iterator[BrowserContext]:
    """Where pages are opened. Its cache stays warm, so a page costs less; all else is cleared by `visitor`."""
    context = any_browser.new_context()
    context.new_page()  # stays open, so that there is always a page to clear by
    yield context
    context.close()


@pytest.fixture
def visitor(visitors: BrowserContext, app_address: str) -> Iterator[BrowserContext]:
    """A visitor who has never been here: nothing is open, and neither cookie, permission nor stored value is left."""
    yield visitors
    blank, *opened = visitors.pages
    for page in opened:
        page.close()
    visitors.clear_cookies()
    visitors.clear_permissions()
    stored = {"origin": app_address, "storageTypes": "local_storage,session_storage"}
    visitors.new_cdp_session(blank).send("Storage.clearDataForOrigin", stored)


@pytest.fixture
def open_page(app_address: str, visitor: BrowserContext) -> Iterator[Visit]:
    """Open a page: `open_page("delta_e", layer=2, width=390, scheme="dark")`; nothing may go wrong in its console,
    and it may ask no other host for anything."""
    wrong: list[str] = []
    opened: list[Page] = []

    def go(
        page_name: str = "",
        *,
        width: int = 1280,
        height: int = 1500,
        scheme: str = "light",
        at: str = "",
        **params: object,
    ) -> Page:
        page = visitor.new_page()
        opened.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE)
        own = urlsplit(at or app_address).netloc
        watch(page, wrong, lambda url: not _is_elsewhere(url, own))
        query = "?" + urlencode(params) if params else ""
        page.goto(f"{at or app_address}/{page_name}{query}", timeout=PATIENCE)
        return page

    yield go
    for page in opened:
        page.close()
    assert wrong == []


def _is_elsewhere(url: str, own: str) -> bool:
    return urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).netloc != own


def link(page: Page) -> dict[str, str]:
    """What the address bar says."""
    return dict(parse_qsl(urlsplit(page.url).query, keep_blank_values=True))


def title(page: Page, card: str) -> str:
    """The title of a card."""
    return page.locator(f".st-key-card_{card} h2").first.inner_text()


def no_sideways_scroll(page: Page) -> None:
    wide = page.evaluate("() => [...document.querySelectorAll('html, [data-testid=stMain]')].map(e => e.scrollWidth)")
    assert max(wide) <= page.viewport_size["width"]  # type: ignore[index]


def strongest(trace: ac.Trace, layer: int, head: int, query: int) -> tuple[str, str]:
    """The key that a word looks at most, and the weight as it is read."""
    row = trace.pattern(layer, head)[query]
    return trace.tokens.labels[int(row.argmax())], percent(float(row.max()))
