"""The canvas pictures in a real browser: what is painted, what a click tells Python, what the keyboard reaches."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from server import PATIENCE, settled, wait_for_health, watch

from attn_core.figures import colours
from attn_core.text.numbers import percent

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[3]
LONG = "layers=12&heads=12&n=512"

# One page with both pictures and, where its link asks, a heatmap (Plotly is as much script as all the rest); the link
# says how large, too, and the page prints what Python heard.
APP = """
import json
import numpy as np
import streamlit as st
from attn_core.figures.canvas.heads import pack_kinds, pack_patterns, pack_values
from attn_core.figures.canvas.links import pack_links
from attn_core.figures.charts.heatmap import clicked, heatmap
from ui.drawing import canvas as components

st.set_page_config(layout="wide")
ask = st.query_params
layers, heads, n = (int(ask.get(name, default)) for name, default in (("layers", 3), ("heads", 4), ("n", 8)))
cells = np.arange(layers * heads * n * n, dtype=np.float32).reshape(layers, heads, n, n) % 97 / 97
may_look = np.tril(np.ones((n, n), bool)) if "causal" in ask else None
words = json.loads(ask.get("words", "null")) or [f"w{i}" for i in range(n)]
heard = st.session_state.setdefault("heard", [])
components.follow_theme()
if ask.get("view") == "kinds":
    packet = pack_kinds([["sink", "odd"] * (heads // 2)] * layers, {"sink": "looks at the first token"})
elif ask.get("view") == "values":
    packet = pack_values(cells.mean((2, 3)), [["1.5"] * heads] * layers, name="size of ΔE")
else:
    packet = pack_patterns(iter(cells), layers, words, may_look=may_look)

def opened(tile):
    heard.append(["opened", tile.layer, tile.head, tile.query, tile.key])

def pinned(pin):
    heard.append(["pinned", pin.side, pin.position])
    st.session_state["pin"] = pin

scale = st.radio("Scale", ["sqrt", "linear"])
layer = st.number_input("Layer", 0, layers - 1)
components.overview(packet, key="overview", selected=(layer, 0), scale=scale, on_open=opened)
st.text(f"heard {json.dumps(heard)} theme {st.context.theme.type}")
shown = np.stack([cells[0, 0], cells[-1, -1]]) if "several" in ask else cells[:1, 0]
links = pack_links(
    shown, words, heads=["0.0", "2.3"][: len(shown)], may_look=may_look,
    query_special=[i == 0 for i in range(n)], query_words=[None, 1, 1, *range(2, n - 1)][:n],
)
components.links(links, key="links", on_pin=pinned)
if "heatmap" in ask:
    picture = heatmap(cells[0, 0], words, clickable=True)
    event = st.plotly_chart(picture, on_select="rerun", key="heatmap", theme=None)
    st.text(f"cell {clicked(event)}")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "app.py").write_text(textwrap.dedent(APP))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--server.fileWatcherType=none", "--browser.gatherUsageStats=false"], cwd=folder, env=environment
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for_health(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def tab(any_browser: Browser):
    """One tab for all of these tests."""
    context = any_browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()


@pytest.fixture
def visit(server, tab: Page):
    """Open the page, or go on with it where the test before asked for the same one: what Python heard before stays in
    its list. Afterwards nothing may have gone wrong in its console."""
    wrong: list[str] = []
    ends = ExitStack()

    def go(query: str = "", width=1280, height=1400, color_scheme="light") -> Page:
        tab.set_viewport_size({"width": width, "height": height})
        tab.emulate_media(color_scheme=color_scheme)
        ends.callback(
            watch(tab, wrong, lambda url: server in url.replace("ws:", "http:") or not url.startswith("http"))
        )
        if tab.url == f"{server}/?{query}":
            tab.evaluate("document.activeElement?.blur()")
            tab.mouse.move(2, 2)
        else:
            tab.goto("about:blank")
            tab.goto(f"{server}/?{query}")
        tab.locator(".tile").first.wait_for()
        tab.locator(".left .word").first.wait_for()
        if "heatmap" in query:
            tab.locator(".js-plotly-plot .hm").first.wait_for()
        return tab

    with ends:
        yield go
    assert wrong == []


def heard(page: Page, *entries: list) -> None:
    """What Python heard last."""
    last = ", ".join(json.dumps(entry) for entry in entries)
    expect(page.get_by_text(re.compile(rf"^heard \[.*{re.escape(last)}\] theme"))).to_be_visible()


def pixel(page: Page, selector: str, x: float, y: float):
    """The colour that a canvas shows at a place given in CSS pixels."""
    script = """([canvas], [x, y]) => { const r = canvas.width / canvas.clientWidth;
        return [...canvas.getContext('2d').getImageData(Math.round(x * r), Math.round(y * r), 1, 1).data]; }"""
    return page.locator(selector).evaluate_all(f"(found, at) => ({script})(found, at)", [x, y])


def middle_of_cell(page: Page, layer: int, head: int, query: int, key: int, n: int):
    """Where a cell of a tile is, relative to the overview's canvas."""
    tile = page.locator(f".tile[data-layer='{layer}'][data-head='{head}']")
    box, canvas = tile.bounding_box(), page.locator(".grid canvas").bounding_box()
    side = box["width"] / n
    return box["x"] - canvas["x"] + (key + 0.5) * side, box["y"] - canvas["y"] + (query + 0.5) * side


def weight(layer, head, query, key, heads=4, n=8):
    return ((layer * heads + head) * n * n + query * n + key) % 97 / 97


def shade(theme, share):
    steps = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours.SEQUENTIAL[theme]]
    return [np.interp(share * 10, range(11), [step[i] for step in steps]) for i in range(3)]


def test_special_words_are_dimmed_and_pieces_joined(visit):
    page = visit()
    assert page.locator(".left .word.special").all_inner_texts() == ["w0"]
    assert page.locator(".left .join").count() == page.locator(".right .join").count() == 1


def test_links_show_only_the_lines_of_the_word_under_the_pointer(visit):
    page = visit()
    answers = page.locator(".right .word")
    page.locator(".left .word").nth(5).hover()
    for key in range(8):
        said = percent(weight(0, 0, 5, key)).replace(" ", "\u00a0")
        expect(answers.nth(key).locator("small")).to_have_text(said)
    expect(page.locator(".said")).to_contain_text("To update w5 (5), head 0.0 looks at")
    page.mouse.move(2, 2)
    expect(answers.nth(0).locator("small")).to_have_count(0)


def test_the_theme_is_followed_live_and_python_hears_of_it(visit):
    page = visit(color_scheme="light")
    at = middle_of_cell(page, 0, 0, 0, 0, 8)
    expect(page.get_by_text("theme light")).to_be_visible()
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_text("theme dark")).to_be_visible()
    assert pixel(page, ".grid canvas", *at)[:3] == pytest.approx(shade("dark", weight(0, 0, 0, 0) ** 0.5), abs=2)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_cell_is_painted_with_the_colour_of_its_weight(visit, theme):
    page = visit(color_scheme=theme)
    expect(page.get_by_text(f"theme {theme}")).to_be_visible()
    for cell in [(0, 0, 0, 0), (1, 3, 7, 2), (2, 2, 4, 5)]:
        at = middle_of_cell(page, *cell, 8)
        assert pixel(page, ".grid canvas", *at)[:3] == pytest.approx(shade(theme, weight(*cell) ** 0.5), abs=2)
    page.get_by_text("linear", exact=True).click()
    expect(page.locator(".legend").first).to_contain_text("linear scale")
    cell = (1, 3, 7, 2)
    assert pixel(page, ".grid canvas", *middle_of_cell(page, *cell, 8))[:3] == pytest.approx(
        shade(theme, weight(*cell)), abs=2
    )
    page.get_by_text("sqrt", exact=True).click()
    expect(page.locator(".legend").first).not_to_contain_text("linear scale")


def test_a_real_click_tells_python_layer_head_query_and_key(visit):
    page = visit()
    clicks = []
    for layer, head, query, key in [(0, 0, 0, 0), (2, 3, 7, 1), (1, 2, 3, 6)]:
        tile = page.locator(f".tile[data-layer='{layer}'][data-head='{head}']")
        side = tile.bounding_box()["width"] / 8
        tile.click(position={"x": (key + 0.2) * side, "y": (query + 0.8) * side})
        clicks.append(["opened", layer, head, query, key])
        heard(page, *clicks)
        expect(tile).to_have_attribute("aria-selected", "true")


def test_the_keyboard_does_what_the_pointer_does(visit):
    page = visit()
    page.locator(".tile").first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "End", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator(".tile:focus")).to_have_attribute("aria-label", "Layer 1, head 2")
    expect(page.locator(".preview")).to_contain_text("Layer 1 · head 2")
    page.keyboard.press("Enter")
    heard(page, ["opened", 1, 2, None, None])
    assert page.locator(".tile[tabindex='0']").count() == 1


def test_a_click_pins_a_word_and_a_second_click_lets_it_go(visit):
    page = visit()
    page.locator(".right .word").nth(3).click()
    heard(page, ["pinned", "key", 3])
    page.mouse.move(2, 2)
    expect(page.locator(".right .word").nth(3)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".left .word").nth(7).locator("small")).to_be_visible()
    page.locator(".right .word").nth(3).click()
    heard(page, ["pinned", "key", 3], ["pinned", None, None])


def test_links_by_keyboard(visit):
    page = visit()
    page.locator(".left .word").first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.locator(".word:focus")).to_have_attribute("aria-label", "w1 (key 1)")
    page.keyboard.press("Enter")
    heard(page, ["pinned", "key", 1])


def test_a_finger_opens_a_head(visit):
    page = visit(width=390)
    box = page.locator(".tile[data-layer='2'][data-head='1']").bounding_box()
    finger = page.context.new_cdp_session(page)
    finger.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    at = [{"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}]
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.get_by_text(re.compile(r'\["opened", 2, 1, \d, \d\]\] theme'))).to_be_visible()
    finger.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    finger.detach()


def test_hover_shows_the_head_larger_and_the_cell_as_a_sentence_without_a_rerun(visit):
    page = visit("words=" + quote(json.dumps(["[CLS]", "a", "<b>x</b>", "d", "e", "f", "g", "h"])))
    tile = page.locator(".tile[data-layer='1'][data-head='2']")
    side = tile.bounding_box()["width"] / 8
    tile.hover(position={"x": 2.5 * side, "y": 4.5 * side})
    preview = page.locator(".preview")
    expect(preview).to_contain_text("Layer 1 · head 2")
    said = percent(weight(1, 2, 4, 2)).replace(" ", "\u00a0")
    expect(preview).to_contain_text(f"To update e (query 4), head 1.2 takes ≈ {said} from <b>x</b> (key 2).")
    assert preview.locator("canvas").bounding_box()["width"] > 3 * tile.bounding_box()["width"] / 2
    expect(page.get_by_text("heard []")).to_be_visible()
    page.mouse.move(2, 2)
    expect(preview).to_be_hidden()


def test_masked_cells_are_hatched_and_named(visit):
    page = visit("causal=1")
    tile = page.locator(".tile").first
    side = tile.bounding_box()["width"] / 8
    tile.hover(position={"x": 6.5 * side, "y": 2.5 * side})
    expect(page.locator(".preview")).to_contain_text("w2 (query 2) may not look at w6 (key 6): masked.")
    expect(page.locator(".legend").first).to_contain_text("masked")
    x, y = middle_of_cell(page, 0, 0, 1, 6, 8)
    seen = {tuple(pixel(page, ".grid canvas", x + d, y)) for d in range(-4, 5)}
    assert len(seen) > 1 and tuple(shade("light", 0)) not in {c[:3] for c in seen}


def test_a_masked_word_is_hatched_and_gets_no_line(visit):
    page = visit("causal=1")
    page.locator(".left .word").nth(2).hover()
    masked = page.locator(".right .word").evaluate_all("words => words.map((w) => w.classList.contains('masked'))")
    assert masked == [False] * 3 + [True] * 5


def test_each_tile_has_a_name_and_the_grid_says_its_size(visit):
    page = visit("view=kinds")
    names = page.get_by_role("gridcell").evaluate_all("tiles => tiles.map((tile) => tile.ariaLabel)")
    assert names[:2] == ["Layer 0, head 0: sink", "Layer 0, head 1: odd"] and len(names) == 12
    expect(page.locator(".legend").first).to_contain_text("sink: looks at the first token (6)")
    expect(page.locator(".legend").first).to_contain_text("other (6)")


def test_several_heads_have_their_own_colours_and_can_be_put_aside(visit):
    page = visit("several=1")
    page.locator(".left .word").nth(5).click()
    page.mouse.move(2, 2)
    expect(page.locator(".said")).to_contain_text("head 2.3 looks at")
    page.get_by_role("button", name="head 2.3").click()
    expect(page.locator(".said")).not_to_contain_text("head 2.3")
    expect(page.get_by_role("button", name="head 2.3")).to_have_attribute("aria-pressed", "false")


def test_what_python_selects_is_shown_without_sending_the_cells_again(visit):
    page = visit("n=64&layers=12&heads=12")
    sizes: list[int] = []
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.on("Network.webSocketFrameReceived", lambda frame: sizes.append(len(frame["response"]["payloadData"])))
    page.get_by_role("spinbutton").fill("5")
    page.get_by_role("spinbutton").press("Enter")
    expect(page.locator(".tile[aria-selected='true']")).to_have_attribute("aria-label", "Layer 5, head 0")
    assert 0 < sum(sizes) < 100_000


@pytest.mark.parametrize(
    ("layers", "heads", "n"),
    [
        (1, 1, 1),
        *(pytest.param(12, 12, n, marks=pytest.mark.full) for n in (16, 64, 128)),
        (32, 32, 64),
        (12, 12, 512),
    ],
)
def test_any_size_is_painted_and_clicks_stay_exact(visit, layers, heads, n):
    page = visit(f"layers={layers}&heads={heads}&n={n}")
    layer, head = layers - 1, heads // 2
    tile = page.locator(f".tile[data-layer='{layer}'][data-head='{head}']")
    tile.scroll_into_view_if_needed()
    side = tile.bounding_box()["width"]
    tile.click(position={"x": 0.9 * side, "y": 0.3 * side})
    said = page.get_by_text("heard [[").inner_text()
    _, *where, query, key = json.loads(said[6:].split(" theme")[0])[-1]
    assert where == [layer, head]
    assert abs(query - 0.3 * n) <= max(1, n / side + 4) and abs(key - 0.9 * n) <= max(1, n / side + 4)
    painted = page.locator(".grid canvas").evaluate(
        "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
    )
    assert painted > (20 if n > 1 else 2)


def test_a_large_overview_says_that_it_is_pooled(visit):
    page = visit(LONG)
    expect(page.locator(".legend").first).to_contain_text("≈ each cell is the strongest of 4 × 4")
    page.locator(".tile").nth(20).hover(position={"x": 1, "y": 1})
    expect(page.locator(".preview")).to_contain_text(re.compile(r"w\d+ … w\d+ \(queries \d+–\d+\), .* at most ≈"))


def test_512_words_scroll_inside_the_picture(visit):
    page = visit(LONG)
    box = page.locator(".figure > .scroll").nth(1).bounding_box()
    assert box["height"] <= 560
    page.locator(".left .word").nth(500).click()
    heard(page, ["pinned", "query", 500])


@pytest.mark.parametrize(
    "query",
    ["heads=32&layers=2", "n=512&heads=12", *(pytest.param(q, marks=pytest.mark.full) for q in ("", "several=1"))],
)
def test_nothing_makes_the_page_scroll_sideways(visit, query):
    page = visit(f"{query}&heatmap=1")
    for width in (1280, 390, 360):
        page.set_viewport_size({"width": width, "height": 1400})
        for whole in ("document.querySelector('.stMain')", "document.documentElement"):
            page.wait_for_function(f"innerWidth === {width} && {whole}.scrollWidth <= innerWidth", timeout=PATIENCE)


def test_words_are_text_and_never_markup(visit):
    nasty = ["<img src=x onerror=alert(1)>", "<b>x</b>", "&amp;", "$x$", "[a](http://x.org)", "שלום", "🤗", "::"]
    page = visit("heatmap=1&words=" + quote(json.dumps(nasty)))
    assert page.locator(".left .word").all_inner_texts() == ["<img␠src=x␠onerror=alert(1)>", *nasty[1:]]
    ticks = page.locator(".js-plotly-plot .ytick text").all_text_contents()
    assert ticks == ["<img␠src=x␠on…", "<b>x</b>", "&amp;", "$x$", "[a](http://x.…", "שלום", "🤗", "::"]
    page.locator(".left .word").first.click()
    number_after_hebrew = """word => {
        const text = document.createRange();
        text.selectNodeContents(word.firstChild);
        return word.querySelector('small').getBoundingClientRect().left - text.getBoundingClientRect().right;
    }"""
    assert page.locator(".right .word", has_text="שלום").evaluate(number_after_hebrew) > -1


def test_a_cell_of_the_heatmap_is_hit_up_to_its_corners(visit):
    page = visit("heatmap=1")
    said = page.locator(".js-plotly-plot .hoverlayer")
    for query, key, across, down in [(4, 2, 0.5, 0.5), (0, 7, 0.95, 0.05), (7, 0, 0.05, 0.95)]:
        box = page.locator(".js-plotly-plot .nsewdrag").bounding_box()  # the answer to a click may move the picture
        x, y = box["x"] + (key + across) * box["width"] / 8, box["y"] + (query + down) * box["height"] / 8
        page.mouse.move(x, y)
        expect(said).to_contain_text(f"To update w{query} (query {query}),")
        expect(said).to_contain_text(f"takes {percent(weight(0, 0, query, key))} from w{key} (key {key})")
        page.mouse.click(x, y)
        expect(page.get_by_text(f"cell ({query}, {key})")).to_be_visible()
        settled(page)
        page.wait_for_timeout(400)  # two clicks within 300 ms, wherever, are a double click to Plotly: nothing chosen
