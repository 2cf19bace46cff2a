"""The offline file in a real browser without any network: it paints, reads aloud, opens heads, and asks nobody."""

from __future__ import annotations

import html
import json

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from server import watch

import attn_core as ac
from attn_core.text.numbers import percent
from attn_core.views import files
from attn_core.views.given import given_attention
from attn_core.views.view import View

pytestmark = pytest.mark.browser
SENTENCE = "a fluffy blue creature roamed the verdant forest"


@pytest.fixture
def open_file(any_browser: Browser, tmp_path):
    """Open a page from a file, offline; it may ask for nothing but itself, and nothing may go wrong."""
    wrong: list[str] = []
    contexts = []

    def go(page: str, width: int = 1280, scheme: str = "light") -> Page:
        path = tmp_path / "view.html"
        path.write_text(page, encoding="utf-8")
        context = any_browser.new_context(viewport={"width": width, "height": 1300}, color_scheme=scheme, offline=True)
        contexts.append(context)
        opened = context.new_page()
        watch(opened, wrong, lambda url: url == path.as_uri())
        opened.goto(path.as_uri())
        return opened

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


def tile(page: Page, layer: int, head: int):
    return page.locator(f".tile[data-layer='{layer}'][data-head='{head}']")


def unbroken(text: str) -> str:
    return text.replace(" %", "\u00a0%")


def test_every_head_is_there_and_a_click_opens_one(open_file, trace):
    page = open_file(files.html(View(trace, 0, 3, query=4)))
    expect(page.locator("h1")).to_have_text(f"“{SENTENCE}”")
    assert page.get_by_role("gridcell").count() == 72
    expect(page.locator(".said")).to_contain_text(f"fluffy (2) {unbroken(percent(trace.pattern(0, 3)[4, 2]))}")
    tile(page, 0, 2).click(position={"x": 2, "y": 2})
    expect(page.get_by_role("heading", name="Head 0.2", exact=True)).to_be_visible()
    expect(tile(page, 0, 2)).to_have_attribute("aria-selected", "true")
    page.locator(".left .word").nth(4).click()
    page.locator("summary").click()
    first = page.locator("table tr").nth(1).all_inner_texts()[0].split("\t")
    assert first[:2] == ["3", "blue"] and float(first[2]) == pytest.approx(trace.pattern(0, 2)[4, 3], abs=2e-5)


def test_hover_reads_the_overview_and_the_opened_head(open_file, trace):
    page = open_file(files.html(View(trace, 0, 3)))
    side = tile(page, 5, 7).bounding_box()["width"] / 13
    tile(page, 5, 7).hover(position={"x": 2.5 * side, "y": 4.5 * side})
    weight = trace.pattern(5, 7)[4, 2]
    expect(page.locator(".preview")).to_contain_text("To update creature (query 4), head 5.7 takes ≈")
    said = page.locator(".preview p").inner_text().split("≈ ")[1].split("\u00a0%")[0]
    assert float(said) == pytest.approx(100 * weight, abs=0.9)
    page.locator(".left .word").nth(6).hover()
    for key in (0, 4, 5):
        weight = unbroken(percent(trace.pattern(0, 3)[6, key]))
        expect(page.locator(".right .word").nth(key).locator("small")).to_have_text(weight)


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_it_fits_and_paints_in_both_themes(open_file, trace, width, scheme):
    page = open_file(files.html(View(trace, 0, 3)), width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for picture in (".overview canvas", ".grid > .figure canvas", ".links canvas"):
        canvas = page.locator(picture).first
        colours = canvas.evaluate(
            "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
        )
        assert colours > 20
    dark = np.mean([int(c) for c in page.evaluate("getComputedStyle(document.body).backgroundColor")[4:-1].split(",")])
    assert (dark < 60) == (scheme == "dark")


def test_masked_words_are_hatched_in_the_file_too(open_file):
    causal = ac.trace(ac.load("tiny-decoder"), "the blue creature and the green creature ate")
    page = open_file(files.html(View(causal, 0, 0)))
    page.locator(".left .word").nth(2).hover()
    masked = page.locator(".right .word").evaluate_all("words => words.map((w) => w.classList.contains('masked'))")
    assert masked == (~causal.may_look(0)[2]).tolist()


def test_the_lessons_orientation_turns_the_picture(open_file, trace):
    page = open_file(files.html(View(trace, 0, 3, queries_in="columns")))
    expect(page.get_by_text("Columns ask (query), rows answer (key). Every column sums to 1.")).to_be_visible()
    page.get_by_role("button", name="queries in rows").click()
    expect(page.get_by_text("Rows ask (query), columns answer (key). Every row sums to 1.")).to_be_visible()


def test_a_long_sentence_opens_only_the_head_it_holds(open_file):
    trace = ac.trace(ac.load("minilm"), " ".join(["bird"] * 300))
    page = open_file(files.html(View(trace, 2, 1)))
    tile(page, 3, 3).click()
    expect(page.get_by_role("status")).to_contain_text("this file holds head 2.1 in full")
    expect(tile(page, 2, 1)).to_have_attribute("aria-selected", "true")


def test_what_was_typed_stays_text(open_file):
    nasty = "</script><img src=x onerror=alert(1)> <b>bold</b> ${x}"
    trace = ac.trace(ac.load("minilm"), nasty)
    page = open_file(files.html(View(trace)))
    expect(page.locator("h1")).to_have_text(f"“{nasty}”")
    assert page.locator("img, h1 b").count() == 0
    assert page.locator(".left .word").all_inner_texts() == trace.tokens.labels


def test_a_notebook_shows_it_in_its_own_frame(open_file, trace):
    frame = ac.show(trace, 0, 3, query=4)._repr_html_()
    page = open_file(f"<!doctype html><meta charset=utf-8><title>{html.escape(json.dumps('notebook'))}</title>{frame}")
    inside = page.frame_locator("iframe")
    expect(inside.locator(".tile")).to_have_count(72)
    inside.locator(".tile[data-layer='1'][data-head='4']").click()
    expect(inside.get_by_role("heading", name="Head 1.4", exact=True)).to_be_visible()


RIGHT_TO_LEFT = ["السلام", "عليكم", "صديقي", "שלום", "עולם"]
# The text in which an element has its first word, and whether its first letter stands right of its last one.
SHAPED = """node => {
    const text = document.createTreeWalker(node, NodeFilter.SHOW_TEXT).nextNode(), range = document.createRange();
    const left = (at) => {
        range.setStart(text, at);
        range.setEnd(text, at + 1);
        return range.getBoundingClientRect().left;
    };
    return [text.data, left(0) > left(text.length - 1)];
}"""


@pytest.mark.parametrize("kind", ["html", "svg"])  # a PNG is the SVG's own figure, painted by the same renderer
def test_arabic_is_joined_and_with_hebrew_goes_from_right_to_left(open_file, kind):
    weights = np.full((1, 1, 5, 5), 0.2, np.float32)
    view = View(given_attention(weights, RIGHT_TO_LEFT), query=2)
    made = files.content(view, kind).decode()
    page = open_file(made if kind == "html" else f"<!doctype html><meta charset=utf-8>{made}")
    words = page.locator(".left .word" if kind == "html" else ".ytick text")
    expect(words.first).to_be_visible()
    for word in RIGHT_TO_LEFT:  # all of its letters in one text, so that they are joined
        assert words.filter(has_text=word).first.evaluate(SHAPED) == [word, True]
