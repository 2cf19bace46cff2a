"""A running app and a browser, shared by the tests of one run; a page fails if its console or its network complains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from server import PATIENCE, chromium, runs_first, serve, watch
from visiting import Visit, empty, tabs

import attn_core as ac

expect.set_options(timeout=PATIENCE)
STARTER = "a fluffy blue creature roamed the verdant forest"


ADDRESS = pytest.StashKey[str]()
LONGEST = ("test_everywhere.py", "test_two_instances.py")  # of the files; one that begins last would end alone


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Where a run has several workers, they look at one app: what a page needs once is computed once."""
    config = node.config
    if ADDRESS not in config.stash:
        started = ExitStack()
        config.stash[ADDRESS] = started.enter_context(serve())
        config.add_cleanup(started.close)
    node.workerinput["app_address"] = config.stash[ADDRESS]


@pytest.fixture(scope="session")
def app_address(request: pytest.FixtureRequest) -> Iterator[str]:
    """The app, started once."""
    with ExitStack() as started:
        shared = getattr(request.config, "workerinput", {}).get("app_address")
        yield shared or started.enter_context(serve())


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
    """Where pages are opened: one cache and one tab for all tests of a run, which `visitor` clears of all else."""
    context = any_browser.new_context()
    yield context
    context.close()


@pytest.fixture(scope="session")
def looked_at() -> list[str]:
    """The address that the first tab still shows, after a test that only looked."""
    return []


@pytest.fixture
def visitor(visitors: BrowserContext, app_address: str, looked_at: list[str]) -> Iterator[BrowserContext]:
    """A visitor who has never been here: nothing is open, and neither cookie, permission nor stored value is left."""
    if looked_at:
        looked_at.clear()
        empty(visitors.pages[0])
        _forget(visitors, app_address)
    yield visitors
    _forget(visitors, app_address)


def _forget(visitors: BrowserContext, app_address: str) -> None:
    """Close all tabs but the first, and clear what the app has stored."""
    first, *others = visitors.pages or [visitors.new_page()]
    for page in others:
        page.close()
    visitors.clear_cookies()
    visitors.clear_permissions()
    stored = {"origin": app_address, "storageTypes": "local_storage,session_storage"}
    session = visitors.new_cdp_session(first)
    session.send("Storage.clearDataForOrigin", stored)
    session.detach()


@pytest.fixture
def look_at(visitors: BrowserContext, app_address: str, looked_at: list[str]) -> Iterator[Visit]:
    """As `open_page`, for tests that come one after the other and ask for the same page: it is opened once, and each
    finds it as the one before left it, at this width and in this theme."""
    wrong: list[str] = []
    ends = ExitStack()

    def go(
        page_name: str = "", *, width: int = 1280, height: int = 1500, scheme: str = "light", **params: object
    ) -> Page:
        page = visitors.pages[0] if visitors.pages else visitors.new_page()
        address = _address(app_address, page_name, params)
        if looked_at != [address]:
            empty(page)
            _forget(visitors, app_address)
        ends.callback(watch(page, wrong, lambda url: not _is_elsewhere(url, urlsplit(app_address).netloc)))
        page.set_default_timeout(PATIENCE)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(media="screen", color_scheme=scheme)  # type: ignore[arg-type]
        if looked_at != [address]:
            page.goto(address, timeout=PATIENCE)
            looked_at[:] = [address]
        return page

    with ends:
        yield go
    assert wrong == []


@pytest.fixture
def open_page(app_address: str, visitor: BrowserContext) -> Iterator[Visit]:
    """Open a page: `open_page("delta_e", layer=2, width=390, scheme="dark")`; nothing may go wrong in its console,
    and it may ask no other host for anything. A `script` runs before all others of each page in that tab."""
    wrong: list[str] = []
    ends = ExitStack()

    def go(
        page_name: str = "",
        *,
        width: int = 1280,
        height: int = 1500,
        scheme: str = "light",
        at: str = "",
        script: str = "",
        **params: object,
    ) -> Page:
        page = new_tab()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE)
        own = urlsplit(at or app_address).netloc
        ends.callback(watch(page, wrong, lambda url: not _is_elsewhere(url, own)))
        if script:
            ends.enter_context(runs_first(page, script))
        page.goto(_address(at or app_address, page_name, params), timeout=PATIENCE)
        return page

    with ends, tabs(visitor) as new_tab:
        yield go
    assert wrong == []


def _address(host: str, page_name: str, params: dict[str, object]) -> str:
    return f"{host}/{page_name}" + ("?" + urlencode(params) if params else "")


def _is_elsewhere(url: str, own: str) -> bool:
    return urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).netloc != own
