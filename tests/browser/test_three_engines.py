"""Every page in Chromium, Firefox and WebKit, under the hosted app's own content security policy.

The shipped nginx stands in front, and puts a script of the test's into the page that listens for errors and for
violations of the policy; the policy itself is as it is served.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from engines import ENGINES, Driver
from hosted import ROOT, behind_nginx, hosted
from page_driver import VIEWS
from server import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.full]
HERE = Path(__file__).parent
PAGES = ["", *sorted(file.stem for file in (ROOT / "pages").glob("*.py"))]
OTHERS = [(Path(script).stem.removeprefix("app"), view) for script, views in VIEWS.items() for view in views]
VIEW = {"v": 1, "text": "the keys to the cabinet are on the table", "layer": 3, "head": 7}
SEEN = "[...all('[role=status], [data-testid=stPopoverBody]')].map(e => e.innerText)"  # told where a test waits in vain
# A worksheet is paper alone, and the recording's page without its model an offer to fetch it.
DRAWN = """all('.hl-lead, .hl-stop-number, .hl-sheet, .st-key-task').length > 0
    && document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
    && all('[data-testid=stSkeleton], .hl-skeleton').length === 0
    && all('[data-testid=stPlotlyChart]').every(chart => chart.querySelector('.plot-container'))
    && all('canvas, .plot-container, svg, .hl-sheet, .st-key-task').some(e => e.getClientRects().length)"""


class Tab:
    """One engine's window, and what it complains about."""

    def __init__(self, driver: Driver, address: str, downloads: Path) -> None:
        self.driver, self.address, self.downloads = driver, address, downloads

    def open(self, page: str = "", **view: object) -> None:
        self.driver.open(f"{self.address}/{page}?{urlencode(view)}")
        self.until(DRAWN)

    def until(self, expression: str) -> Any:
        """What an expression gives, once that is something."""
        end, found = time.monotonic() + PATIENCE / 1000, None
        while not found:
            assert time.monotonic() < end, f"never: {expression}\n{self.wrong()} {self.driver.evaluate(SEEN)}"
            time.sleep(0.1)
            found = self.driver.evaluate(expression)
        return found

    def click(self, selector: str, text: str = "") -> None:
        """Click what a visitor sees there, once it stands still."""
        place, before = self._place(selector, text), None
        while place != before:
            time.sleep(0.3)
            place, before = self._place(selector, text), place
        self.driver.click(*place)

    def _place(self, selector: str, text: str) -> list[float]:
        found: list[float] = self.until(f"placeOf({json.dumps(selector)}, {json.dumps(text)})")
        return found

    def wrong(self) -> list[str]:
        return list(self.driver.evaluate("globalThis.wentWrong ?? ['the test does not listen']"))

    def link(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.driver.evaluate("location.href")).query))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The hosted app behind nginx, which adds the script that listens."""
    folder = tmp_path_factory.mktemp("engines")
    listens = f"location = /watch.js {{ default_type text/javascript; alias {HERE}/watch.js; }}\n"
    listens += (
        'proxy_set_header Accept-Encoding "";\nsub_filter "<head>" "<head><script src=\\"/watch.js\\"></script>";\n'
    )
    with hosted(folder) as server, behind_nginx(folder, [server.port], more=listens) as address:
        yield address


@pytest.fixture(scope="module", params=ENGINES)
def tab(request: pytest.FixtureRequest, address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    downloads = tmp_path_factory.mktemp(request.param)
    with ENGINES[request.param](downloads) as driver:
        yield Tab(driver, address, downloads)


@pytest.fixture(autouse=True)
def nothing_went_wrong(tab: Tab) -> Iterator[None]:
    yield
    assert tab.wrong() == []


@pytest.mark.parametrize(("page", "view"), [*((page, {}) for page in PAGES), *OTHERS])
def test_a_page_opens(tab: Tab, page: str, view: dict[str, str]) -> None:
    tab.open(page, **view)
    problems = tab.driver.evaluate("all('.hl-problem, [data-testid=stException]').map(problem => problem.innerText)")
    asked = "Recordings cannot be transcribed here" if view.get("task") == "transcribe" else None  # no model listens
    assert [said.splitlines()[0] for said in problems] == ([asked] if asked else [])


def test_a_click_on_a_tile_opens_the_head(tab: Tab) -> None:
    tab.open(**VIEW)
    tab.click('.tile[data-layer="2"][data-head="5"]')
    tab.until("all('h2').some(title => title.innerText === 'Layer 2 · head 5')")
    tab.until("new URLSearchParams(location.search).get('head') === '5'")


def test_a_sentence_is_typed(tab: Tab) -> None:
    tab.open(**VIEW)
    tab.click("textarea[aria-label=Sentence]")
    tab.driver.press("Control", "a")
    tab.driver.write("one small red fox")
    tab.driver.press("Enter")
    tab.until("new URLSearchParams(location.search).get('text') === 'one small red fox'")
    tab.until("all('.hl-count').some(count => count.innerText.startsWith('6 of 512 tokens'))")


def test_a_picture_in_three_dimensions_is_drawn(tab: Tab) -> None:
    tab.open("delta_e", **VIEW, axes=3)
    tab.until("all('.gl-container canvas').some(e => e.getClientRects().length)")


def test_a_picture_is_saved(tab: Tab) -> None:
    tab.open(**VIEW)
    tab.click(".st-key-menu_share button", "Save")
    tab.click("[data-testid=stPopoverBody] button", "PNG")
    tab.until("all('[role=status]').some(said => said.innerText.includes('is in your downloads'))")
    end = time.monotonic() + PATIENCE / 1000
    while not (files := [f for f in tab.downloads.glob("*.png") if f.stat().st_size]):
        assert time.monotonic() < end, list(tab.downloads.iterdir())
        time.sleep(0.1)
    assert files[0].name == "headlight-minilm-head-3.7.png" and files[0].read_bytes().startswith(b"\x89PNG")


def test_a_link_is_copied(tab: Tab) -> None:
    tab.open(**VIEW)
    tab.click(".st-key-menu_share button", "Share")
    tab.click("button", "Copy link")
    tab.until("all('[role=status]').some(said => said.innerText === 'Copied.')")
    tab.driver.press("Escape")
    tab.click("textarea[aria-label=Sentence]")
    tab.driver.press("Control", "a")
    tab.driver.press("Control", "v")
    value = "all('textarea[aria-label=Sentence]')[0].value"
    link = tab.until(f"{value}.startsWith('http') && {value}")
    said = dict(parse_qsl(urlsplit(link).query))
    assert {name: said.get(name) for name in VIEW} == {name: str(value) for name, value in VIEW.items()}
