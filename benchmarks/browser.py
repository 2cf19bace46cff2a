"""What a visitor waits for, in a real Chromium, beside BertViz's model view of the same numbers in the same Chromium.

BertViz asks a content network for d3, jQuery and RequireJS; here they come from npm packages in `benchmarks/node`,
handed over under the addresses that it asks for.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.tables import report

ROOT = Path(__file__).parents[1]
NODE = Path(__file__).parent / "node"
WORDS = ("old", "grey", "fox", "ran", "over", "the", "hill", "and", "sat", "down", "by", "tree", "while", "sun", "went")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
LONGEST = 180_000
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")

# Remembers when something was last drawn: a canvas, or a change of the page, shadow roots included.
WATCH = """
window.lastChange = 0;
const note = () => { window.lastChange = performance.now(); };
for (const name of ["fillRect", "putImageData", "drawImage", "stroke", "fillText"]) {
  const own = CanvasRenderingContext2D.prototype[name];
  CanvasRenderingContext2D.prototype[name] = function (...a) { note(); return own.apply(this, a); };
}
const watch = (root) => new MutationObserver(note).observe(root, {childList: true, subtree: true, attributes: true});
const attach = Element.prototype.attachShadow;
Element.prototype.attachShadow = function (o) { const r = attach.call(this, o); watch(r); return r; };
addEventListener("DOMContentLoaded", () => watch(document.body));
"""
QUIET = "(quiet) => performance.now() - window.lastChange > quiet ? window.lastChange : false"


@contextmanager
def app(script: str = "app.py", folder: Path = ROOT, **environment: str) -> Iterator[tuple[str, float, int]]:
    """A running app: its address, when it was started, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = time.perf_counter()
    options = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", script, *options],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}", start, process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str) -> None:
    while True:
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.05)


def first_picture(browser: Any) -> float:
    """Seconds from `streamlit run` to the recorded picture on the canvas."""
    with app() as (url, start, _):
        page = browser.new_page()
        page.goto(url)
        page.get_by_role("gridcell").first.wait_for(timeout=LONGEST)
        seconds = time.perf_counter() - start
        page.close()
        return seconds


def sentence(n_tokens: int, seed: int) -> str:
    """A sentence of exactly so many tokens, [CLS] and [SEP] included: every word here is one token."""
    return " ".join(WORDS[(i * 7 + seed) % len(WORDS)] for i in range(n_tokens - 2))


def typed(page: Any, n_tokens: int, rounds: int) -> float:
    """Seconds from Enter to all heads painted, of a sentence that nobody typed before; the model is warm."""
    seconds = []
    for seed in range(rounds):
        box = page.get_by_label("Sentence")
        box.fill(sentence(n_tokens, seed))
        start = page.evaluate("performance.now()")
        box.press("Enter")
        page.get_by_text(f"{n_tokens} of 512 tokens").wait_for(timeout=LONGEST)
        end = page.wait_for_function(QUIET, arg=800, timeout=LONGEST).json_value()
        seconds.append((end - start) / 1000)
    return statistics.median(seconds)


def clicked(page: Any, rounds: int) -> float:
    """Seconds from a click on a tile to that head painted."""
    seconds = []
    for i in range(rounds):
        layer, head = i % 6, (5 * i + 1) % 12
        tile = page.locator(f'[role=gridcell][data-layer="{layer}"][data-head="{head}"]')
        start = page.evaluate("performance.now()")
        tile.click()
        page.get_by_role("heading", name=f"Layer {layer} · head {head}", exact=True).wait_for(timeout=LONGEST)
        end = page.wait_for_function(QUIET, arg=800, timeout=LONGEST).json_value()
        seconds.append((end - start) / 1000)
    return statistics.median(seconds)


# Milliseconds and frames from a click on a tile to the opened head's first change, both counted by the browser.
AT_ONCE = """([layer, head]) => new Promise((resolve) => {
    const roots = [...document.querySelectorAll("*")].map((e) => e.shadowRoot).filter(Boolean);
    const one = (selector) => roots.map((root) => root.querySelector(selector)).find(Boolean);
    const title = one("h2.title");
    const before = title.textContent;
    const start = performance.now();
    one(`.tile[data-layer="${layer}"][data-head="${head}"]`).click();
    let frames = 0;
    const look = () => {
        frames += 1;
        if (title.textContent !== before || frames > 600) resolve([performance.now() - start, frames]);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""


def at_once(page: Any, rounds: int) -> tuple[float, float]:
    """(seconds, frames) from a click on a tile to the opened head's first change, medians."""
    found = []
    for i in range(rounds):
        found.append(page.evaluate(AT_ONCE, [(i + 1) % 6, (7 * i + 2) % 12]))
        page.wait_for_function(QUIET, arg=800, timeout=LONGEST)
    return statistics.median(ms for ms, _ in found) / 1000, statistics.median(frames for _, frames in found)


EMPTY = """
import streamlit as st

js = "export default function ({ parentElement }) {\\n  parentElement.innerHTML = '<p>here</p>';\\n}"
st.components.v2.component("empty", js=js)(key="empty")
"""


def empty_page(browser: Any) -> float:
    """Seconds from `streamlit run` to a page of one empty component: the floor of a first picture."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "empty.py").write_text(EMPTY, encoding="utf-8")
        with app("empty.py", Path(folder)) as (url, start, _):
            page = browser.new_page()
            page.goto(url)
            page.get_by_text("here").wait_for(timeout=LONGEST)
            seconds = time.perf_counter() - start
            page.close()
            return seconds


def _hand_over(path: str, route: Any) -> None:
    route.fulfill(path=NODE / "node_modules" / path)


# The same of a click on one of BertViz's thumbnails, whose detail is drawn by its own script.
THEIRS_AT_ONCE = """(number) => new Promise((resolve) => {
    const isClicked = (element) => (element.__on ?? []).some((listener) => listener.type === "click");  // d3's
    const regions = [...document.querySelectorAll("rect")].filter(isClicked);
    const start = performance.now();
    regions[number].dispatchEvent(new MouseEvent("click", { bubbles: true }));
    let frames = 0;
    const look = () => {
        frames += 1;
        if (document.querySelector(".detail") || frames > 600) resolve([performance.now() - start, frames]);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""
CLOSED = "() => document.querySelectorAll('.detail').forEach((part) => part.remove())"


def bertviz(browser: Any, n_tokens: int) -> tuple[float | str, float | str, float | str]:
    """Seconds from the page's start to BertViz's model view of MiniLM drawn; seconds and frames of a click in it."""
    try:
        from bertviz import model_view
    except ImportError:
        return ("not installed",) * 3
    import torch
    from transformers import AutoModel, AutoTokenizer

    from attn_core.models.sources import bundled_folder

    tokenizer = AutoTokenizer.from_pretrained(bundled_folder())
    model = AutoModel.from_pretrained(bundled_folder(), attn_implementation="eager").eval()
    ids = torch.tensor([tokenizer(sentence(n_tokens, 0))["input_ids"]])
    with torch.inference_mode():
        weights = model(ids, output_attentions=True).attentions
    html = model_view(weights, tokenizer.convert_ids_to_tokens(ids[0]), html_action="return").data
    page = browser.new_page()
    page.add_init_script(WATCH)
    files = {"require.min": "requirejs/require.js", "d3.min": "d3/dist/d3.min.js", "jquery": "jquery/dist/jquery.js"}
    for part, path in files.items():
        page.route(f"**/*{part}*", partial(_hand_over, path))
    page.route("http://bertviz.test/", lambda route: route.fulfill(body=html, content_type="text/html"))
    start = time.perf_counter()
    page.goto("http://bertviz.test/", timeout=LONGEST)
    page.locator("svg").first.wait_for(timeout=LONGEST)
    began = time.perf_counter() - start - page.evaluate("performance.now()") / 1000
    end = page.wait_for_function(QUIET, arg=1500, timeout=LONGEST).json_value()
    clicks = []
    for number in (9, 25, 41, 57, 71):
        clicks.append(page.evaluate(THEIRS_AT_ONCE, number))
        page.evaluate(CLOSED)
    page.close()
    seconds, frames = statistics.median(ms for ms, _ in clicks) / 1000, statistics.median(n for _, n in clicks)
    return began + end / 1000, seconds, frames


def main() -> None:
    from playwright.sync_api import sync_playwright

    rows: list[dict[str, object]] = []

    def row(what: str, tokens: int, seconds: float | str, beside: float | str = "", frames: object = "") -> None:
        quotient = seconds / beside if isinstance(seconds, float) and isinstance(beside, float) else ""
        rows.append({"what": what, "tokens": tokens, "seconds": seconds, "÷ its yardstick": quotient, "frames": frames})

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        floor = statistics.median(empty_page(browser) for _ in range(3))
        row("`streamlit run` → a page of one empty component", 0, floor)
        row("`streamlit run` → recorded first picture", 13, first_picture(browser), floor)
        theirs = {n_tokens: bertviz(browser, n_tokens) for n_tokens in (16, 64, 128)}
        for n_tokens, (drawn, seconds, frames) in theirs.items():
            row("BertViz's model view of the same heads", n_tokens, drawn)
            row("BertViz: click on a head → its first change", n_tokens, seconds, frames=frames)
        with app() as (url, *_):
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.add_init_script(WATCH)
            page.goto(url)
            page.get_by_text("live", exact=True).wait_for(timeout=LONGEST)
            for n_tokens, rounds in ((16, 5), (64, 5), (128, 5), (512, 3)):
                drawn, their_click, _ = theirs.get(n_tokens, ("", "", ""))
                row("Headlight: sentence → all heads painted", n_tokens, typed(page, n_tokens, rounds), drawn)
                seconds, frames = at_once(page, rounds)
                row("Headlight: click on a head → its first change", n_tokens, seconds, their_click, frames)
                row("Headlight: click on a head → everything still", n_tokens, clicked(page, rounds))
        browser.close()
    report(
        "browser",
        "What a visitor waits for (Chromium, bundled model, 72 heads)",
        rows,
        [
            "Painted: the last change of page or canvas. The yardstick of a sentence and a click is BertViz, "
            "of a first picture the empty component.",
            "Aims: first picture 1.25 × its yardstick; sentence 0.65 × BertViz at 16 tokens, 1/10 at 64, 1/40 at 128; "
            "a click's first change within 6 frames up to 128 tokens, 12 at 512.",
        ],
    )


if __name__ == "__main__":
    main()
