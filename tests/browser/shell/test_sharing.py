"""What is shared comes back: the copied link in a fresh browser, the saved page offline and in the app, the frame."""

from __future__ import annotations

import io
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from axe import faults, show_in
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from server import PATIENCE, is_live, settled
from visiting import Visit

pytestmark = pytest.mark.browser
VIEW = {"v": 1, "text": "one mole & <b> of ☕", "layer": 2, "head": 5, "queries": "columns"}
WITHOUT_TLS = """async () => {
    await navigator.clipboard.writeText("something else");
    navigator.clipboard.writeText = () => Promise.reject(new Error("not allowed"));
}"""
FACES = """document.fonts.ready.then((faces) => Object.fromEntries(
    [...faces].filter((face) => face.status === "loaded").map((face) => [face.family.replaceAll('"', ""), true])))"""
PASTED = "navigator.clipboard.readText()"
COMES_LATE = {"Share": "For slides and blogs", "Save": "Open a saved view"}


def behind(page: Page, button: str) -> None:
    """Open a popover of the menu, and wait for all of what the server then makes for it."""
    page.locator(".st-key-menu_share").get_by_role("button", name=button).click()
    page.get_by_test_id("stPopoverBody").get_by_text(COMES_LATE[button]).first.wait_for()
    settled(page)


def shows_the_view(page: Page) -> None:
    expect(page.get_by_label("Sentence")).to_have_value(str(VIEW["text"]))
    expect(page.locator(".hl-title", has_text="Layer 2 · head 5")).to_be_visible()
    expect(page.get_by_role("radio", name="in columns")).to_be_checked()
    assert page.locator(".hl-note, .hl-problem").count() == 0


def _said(link: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))


def test_a_copied_link_restores_the_view_in_a_fresh_browser(open_page: Visit) -> None:
    page = is_live(open_page(width=390, **VIEW))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    behind(page, "Share")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    link = page.evaluate(PASTED)
    assert page.get_by_test_id("stCode").first.inner_text().replace("\n", "").strip() == link
    expect(page.get_by_alt_text("QR code of the link to this view")).to_be_visible()
    assert faults(page) == []

    page.evaluate(WITHOUT_TLS)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate(PASTED) == link

    again = open_page("?" + link.partition("?")[2])
    shows_the_view(is_live(again))
    assert _said(link).items() <= _said(again.url).items()  # the address bar says the defaults too


def test_a_saved_page_works_offline_and_opens_again(open_page: Visit, any_browser: Browser, tmp_path: Path) -> None:
    page = is_live(open_page(**VIEW))
    behind(page, "Save")
    show_in(page, "dark")
    assert faults(page) == []
    saved = {}
    for kind in ("HTML", "PNG", "SVG"):
        with page.expect_download(timeout=PATIENCE) as download:
            page.get_by_role("button", name=kind, exact=True).click()
        saved[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[kind])
    assert saved["PNG"].name == "headlight-minilm-head-2.5.png"
    png = saved["PNG"].read_bytes()
    assert png.startswith(b"\x89PNG") and int.from_bytes(png[16:20], "big") == 3 * 760  # three pixels a unit
    assert all(word in saved["SVG"].read_text() for word in ("mole", "query (asks)", "Headlight"))

    _carries_the_screens_faces(any_browser, page, saved)

    offline = any_browser.new_context(offline=True).new_page()
    offline.goto(saved["HTML"].as_uri())
    expect(offline.get_by_role("heading", name="Head 2.5", exact=True)).to_be_visible()
    assert offline.get_by_role("gridcell").count() == 72
    offline.context.close()

    other = settled(open_page("parameters"))
    behind(other, "Save")
    other.locator("input[type=file]").set_input_files(saved["HTML"])
    shows_the_view(is_live(other))
    assert "/parameters" not in other.url


def _carries_the_screens_faces(browser: Browser, page: Page, saved: dict[str, Path]) -> None:
    """Both pictures are drawn in the page's own letters, on a machine that has none of these faces installed."""
    headline = page.locator("h1.hl-lead").evaluate("h1 => getComputedStyle(h1).fontFamily")
    assert "Source Serif" in headline and {"Source Sans", "Source Serif"} <= page.evaluate(FACES).keys()
    with Image.open(saved["PNG"]) as png:
        drawn, (width, height) = np.asarray(png.convert("L"), float), png.size
    options = {"offline": True, "viewport": {"width": width // 3, "height": height // 3}, "device_scale_factor": 3}
    context = browser.new_context(**options)
    alone = context.new_page()
    alone.goto(saved["SVG"].as_uri())
    assert {"Headlight Sans", "Headlight Serif", "Headlight Code"} == alone.evaluate(FACES).keys()
    beside = np.asarray(Image.open(io.BytesIO(alone.screenshot())).convert("L"), float)
    context.close()
    assert np.abs(beside - drawn).mean() < 1  # of 255 shades; in other letters it is above 3


def test_a_frame_in_another_page_shows_the_view_alone(open_page: Visit) -> None:
    page = is_live(open_page(**VIEW))
    behind(page, "Share")
    frame = page.get_by_test_id("stCode").last.inner_text().replace("\n", "").strip()
    link = page.get_by_test_id("stCode").first.inner_text().replace("\n", "").strip()
    page.set_content(frame)
    inside = page.frame_locator("iframe")
    expect(inside.locator(".hl-title", has_text="Layer 2 · head 5")).to_be_visible()
    for gone in (".st-key-menu", ".st-key-examples", "[data-testid=stToolbar] button", ".hl-note"):
        expect(inside.locator(gone)).to_have_count(0)
    back = inside.get_by_role("link", name="Headlight")
    assert back.get_attribute("href") == link and back.get_attribute("target") == "_blank"


def test_a_picture_is_drawn_here_and_costs_the_socket_little(open_page: Visit) -> None:
    """The script comes once, over HTTP; of the picture itself only its description, or its address, is sent."""
    asked: list[str] = []
    page = open_page(**VIEW)
    page.on("request", lambda request: asked.append(request.url))
    received: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
    page.reload()
    is_live(page)
    behind(page, "Save")
    for name in ("Every head of every layer", "Links between words"):
        page.get_by_role("combobox", name=re.compile("Save a picture")).click()
        page.get_by_role("option", name=name).click()
        expect(page.get_by_text("Every head of every layer: rows" if "Every" in name else "as lines")).to_be_visible()
        before = sum(received)
        with page.expect_download(timeout=PATIENCE):
            page.get_by_role("button", name="PNG", exact=True).click()
        expect(page.get_by_text("is in your downloads")).to_be_visible()
        assert sum(received) - before <= 50_000
    scripts = [url for url in asked if "/media/" in url and url.endswith((".js", ".es"))]
    assert len(scripts) == 1
    page.close()
