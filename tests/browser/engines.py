"""Three browser engines behind one small interface: open an address, evaluate JavaScript, click, press keys.

Chromium speaks through Playwright, Firefox its own WebDriver BiDi, WebKit through Debian's WebKitWebDriver with a
screen of its own (Xvfb). Each is started as a visitor has it: with its content security policy on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from server import FLAGS, PATIENCE

WIDTH, HEIGHT = 1300, 1500
MINI_BROWSER = "webkit2gtk-4.1/MiniBrowser"
# How each program names a key that types nothing.
KEYS = {"Enter": "\ue007", "Control": "\ue009", "Escape": "\ue00c"}


class Driver(Protocol):
    """What the tests ask of an engine; places are in CSS pixels of the window."""

    def open(self, address: str) -> None: ...
    def evaluate(self, expression: str) -> Any: ...
    def click(self, x: float, y: float) -> None: ...
    def write(self, text: str) -> None: ...
    def press(self, *keys: str) -> None: ...


class Chromium:
    """Playwright's page."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def open(self, address: str) -> None:
        self.page.goto(address, timeout=PATIENCE)

    def evaluate(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(x, y)

    def write(self, text: str) -> None:
        self.page.keyboard.type(text)

    def press(self, *keys: str) -> None:
        self.page.keyboard.press("+".join(keys))


class Firefox:
    """Firefox's own protocol, WebDriver BiDi, over its socket: no geckodriver between."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.number = socket, 0
        self.ask("session.new", capabilities={})
        self.tab = self.ask("browsingContext.create", type="tab")["context"]
        self.ask("browsingContext.setViewport", context=self.tab, viewport={"width": WIDTH, "height": HEIGHT})

    def ask(self, method: str, **params: Any) -> Any:
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            said = json.loads(self.socket.recv(timeout=PATIENCE / 1000))
            if said.get("id") == self.number:
                assert said["type"] == "success", said
                return said["result"]

    def open(self, address: str) -> None:
        self.ask("browsingContext.navigate", context=self.tab, url=address, wait="interactive")

    def evaluate(self, expression: str) -> Any:
        asked = f"JSON.stringify([{expression}])"
        said = self.ask("script.evaluate", expression=asked, target={"context": self.tab}, awaitPromise=False)
        assert said["type"] == "success", said
        return json.loads(said["result"]["value"])[0]

    def _perform(self, kind: str, actions: list[dict[str, Any]]) -> None:
        device = {"type": kind, "id": kind, "actions": actions}
        self.ask("input.performActions", context=self.tab, actions=[device])

    def click(self, x: float, y: float) -> None:
        move = {"type": "pointerMove", "x": round(x), "y": round(y)}
        self._perform("pointer", [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}])

    def write(self, text: str) -> None:
        self._perform("key", [{"type": kind, "value": c} for c in text for kind in ("keyDown", "keyUp")])

    def press(self, *keys: str) -> None:
        values = [KEYS.get(key, key) for key in keys]
        up = [{"type": "keyUp", "value": value} for value in reversed(values)]
        self._perform("key", [*({"type": "keyDown", "value": value} for value in values), *up])


class WebKit:
    """Selenium's WebKitGTK."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        self.driver.get(address)

    def evaluate(self, expression: str) -> Any:
        return self.driver.execute_script(f"return {expression}")

    def click(self, x: float, y: float) -> None:
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        actions = ActionBuilder(self.driver)
        actions.pointer_action.move_to_location(round(x), round(y)).click()
        actions.perform()

    def write(self, text: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(text).perform()

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        *held, last = [KEYS.get(key, key) for key in keys]
        chain = ActionChains(self.driver)
        for key in held:
            chain.key_down(key)
        chain.send_keys(last)
        for key in reversed(held):
            chain.key_up(key)
        chain.perform()


def program(name: str, package: str) -> str:
    """Where a program is; a run that is asked for every engine fails where one is missing."""
    folders = os.pathsep.join(["/usr/bin", "/usr/local/bin", *map(str, Path("/usr/lib").glob("*-linux-gnu"))])
    found = shutil.which(name) or shutil.which(name, path=folders)
    if found is None and (hidden := [path for path in folders.split(os.pathsep) if Path(path, name).exists()]):
        found = str(Path(hidden[0], name))
    if found is None:
        pytest.fail(f"{name} is not installed (Debian: apt-get install {package})")
    return found


@contextmanager
def chromium(downloads: Path) -> Iterator[Driver]:
    from playwright.sync_api import sync_playwright

    own = os.environ.get("CHROMIUM") or program("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(args=FLAGS, executable_path=own, downloads_path=downloads)
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.on("download", lambda file: file.save_as(downloads / file.suggested_filename))
        yield Chromium(page)
        browser.close()


@contextmanager
def firefox(downloads: Path) -> Iterator[Driver]:
    from websockets.sync.client import connect

    profile = downloads / "profile"
    profile.mkdir()
    options = ["--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    process = subprocess.Popen(
        [program("firefox-esr", "firefox-esr"), *options], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stderr is not None
        lines = (re.search(r"ws://\S+", line) for line in process.stderr)
        address = next(found[0] for found in lines if found)
        with connect(f"{address}/session", max_size=None, ping_interval=None) as socket:
            driver = Firefox(socket)
            behaviour = {"type": "allowed", "destinationFolder": str(downloads)}
            driver.ask("browser.setDownloadBehavior", downloadBehavior=behaviour)
            yield driver
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def webkit(downloads: Path) -> Iterator[Driver]:
    from selenium import webdriver
    from selenium.webdriver.webkitgtk.options import Options
    from selenium.webdriver.webkitgtk.service import Service

    options = Options()
    options.binary_location = program(MINI_BROWSER, "webkit2gtk-driver")
    options.add_argument("--automation")
    screen = ["-screen", "0", f"{WIDTH + 100}x{HEIGHT + 200}x24", "-nolisten", "tcp"]
    xvfb = subprocess.Popen(
        [program("Xvfb", "xvfb"), "-displayfd", "1", *screen],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert xvfb.stdout is not None
        own = {
            "DISPLAY": f":{xvfb.stdout.readline().strip()}",
            "HOME": str(downloads),
            "XDG_DOWNLOAD_DIR": str(downloads),
        }
        service = Service(program("WebKitWebDriver", "webkit2gtk-driver"), env={**os.environ, **own})
        driver = webdriver.WebKitGTK(options=options, service=service)
        try:
            driver.set_window_rect(0, 0, WIDTH, HEIGHT + 100)
            yield WebKit(driver)
        finally:
            driver.quit()
    finally:
        xvfb.terminate()
        xvfb.wait(30)


ENGINES = {"chromium": chromium, "firefox": firefox, "webkit": webkit}
