"""A running app and a browser, shared by the tests of one run; a page fails if its console or its network complains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
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


@pytest.fixture
def open_page(app_address: str, any_browser: Browser) -> Iterator[Visit]:
    """Open a page: `open_page("delta_e", layer=2, width=390, scheme="dark")`; nothing may go wrong in its console,
    and it may ask no other host for anything."""
    wrong: list[str] = []
    contexts = []

    def go(
        page_name: str = "",
        *,
        width: int = 1280,
        height: int = 1500,
        scheme: str = "light",
        at: str = "",
        **params: object,
    ) -> Page:
        context = any_browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        own = urlsplit(at or app_address).netloc
        watch(page, wrong, lambda url: not _is_elsewhere(url, own))
        query = "?" + urlencode(params) if params else ""
        page.goto(f"{at or app_address}/{page_name}{query}", timeout=PATIENCE)
        return page

    yield go
    for context in contexts:
        context.close()
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
