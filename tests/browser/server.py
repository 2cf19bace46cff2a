"""Start the app on a free port and a Chromium to look at it: for the browser tests and for pictures of the pages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserType, Page, sync_playwright

ROOT = Path(__file__).parents[2]
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    "--process-per-site",  # tabs share what they have compiled
    "--force-prefers-reduced-motion",  # or a page that waits paints sixty frames a second; tests of motion ask for it
]
PATIENCE = 90_000  # milliseconds: a busy machine is slow, and only a wrong page waits this long


@contextmanager
def serve(**environment: str) -> Iterator[str]:
    """The app in a process of its own, cold; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"]
    own = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment}
    command.append("--server.address=127.0.0.1")
    process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=subprocess.DEVNULL)  # where it greets
    try:
        wait_for_health(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for_health(address: str, process: subprocess.Popen[bytes]) -> None:
    """Until a server answers; an error where it ended, or where it never does."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            opener.open(f"{address}/_stcore/health", timeout=2)
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError("the server did not start")


def watch(page: Page, wrong: list[str], is_expected: Callable[[str], bool]) -> Callable[[], None]:
    """Write into `wrong` what goes wrong in a page's console, and every address that it was not expected to ask.

    Gives what ends the watch."""
    hear: dict[Any, Callable[[Any], None]] = {
        "pageerror": lambda error: wrong.append(str(error)),
        "console": lambda said: wrong.append(said.text) if said.type == "error" and not _harmless(said) else None,
        "request": lambda asked: None if is_expected(asked.url) else wrong.append(asked.url),
    }
    for event, heard in hear.items():
        page.on(event, heard)

    def end() -> None:
        for event, heard in hear.items():
            page.remove_listener(event, heard)

    return end


@contextmanager
def runs_first(page: Page, script: str) -> Iterator[None]:
    """A script runs before all others of each page that is opened in a tab; afterwards the tab is as it was."""
    session = page.context.new_cdp_session(page)
    session.send("Page.enable")
    session.send("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    yield
    if not page.is_closed():
        session.detach()


def _harmless(said: object) -> bool:
    """A deep link asks once for the server's health below its own path, which is not there; Streamlit then looks up."""
    return "/_stcore/" in str(getattr(said, "location", {}).get("url", ""))


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium without a window: the system's, or the one that Playwright installed."""
    with sync_playwright() as playwright, launched(playwright.chromium) as browser:
        yield browser


@contextmanager
def launched(chromium: BrowserType, *flags: str) -> Iterator[Browser]:
    """A Chromium started with further flags, for a test that has a Playwright already."""
    own = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    path = {"executable_path": own} if Path(own).exists() else {}
    browser = chromium.launch(args=[*FLAGS, *flags], **path)
    yield browser
    browser.close()


# Components that draw nothing: where their script has run cannot be seen.
SILENT = ".st-key-whole_page, .st-key-remember_visit, .st-key-recording_player, [class*='_view']"
SETTLED = """(silent) => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stSkeleton], .hl-skeleton, [data-stale=true]')
    && [...document.querySelectorAll('[data-testid=stPlotlyChart]')]
        .every(chart => chart.querySelector('.plot-container'))
    && (globalThis.headlightWholePage || !document.querySelector('.st-key-whole_page'))
    && [...document.querySelectorAll('[data-testid=stBidiComponentIsolated]')].every(each => {
        const [first, more] = each.shadowRoot?.children ?? [];
        const isSilent = each.closest('[class*=st-key-]')?.matches(silent);
        return isSilent || more || (first && !first.matches('div:empty')); })"""


def settled(page: Page) -> Page:
    """Wait until the page's script has ended, every element has arrived, every Plotly picture is drawn, and the scripts
    that hear a key or a click have come: each is fetched by its address, which may take longer than the page."""
    page.wait_for_function(
        SETTLED,
        arg=SILENT,
        polling=50,  # milliseconds: to ask at every frame makes sixty of them a second
        timeout=PATIENCE,
    )
    return page


def is_live(page: Page) -> Page:
    """Wait until the page says that its numbers are live."""
    page.locator(".hl-badge", has_text="live").first.wait_for(timeout=PATIENCE)
    return settled(page)
