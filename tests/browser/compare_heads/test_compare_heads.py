"""Compare in a real browser: one pointer for all panels, panels that come and go, heads set by a click, a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from server import settled
from visiting import link, no_sideways_scroll, resize

pytestmark = pytest.mark.browser
ARE, IS = "the keys to the cabinet are on the table", "the keys to the cabinet is on the table"


def reads(page: Page) -> list[str]:
    return [text.replace("\u00a0", " ") for text in page.locator(".st-key-card_panels .reads").all_inner_texts()]


def point_at_the_middle(page: Page, panel: int = 0) -> None:
    box = page.locator(".st-key-card_panels .panel canvas").nth(panel).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.7)


def test_one_pointer_marks_the_same_cell_in_every_panel(open_page) -> None:
    page = open_page("compare_heads")
    page.locator(".st-key-card_panels .panel canvas").nth(2).wait_for()
    settled(page)
    point_at_the_middle(page)
    a, b, difference = reads(page)
    assert a.startswith("To update") and b.startswith("To update") and "points" in difference
    places = {part for text in (a, b) for part in text.split("(")[1:]}
    assert len({place.split(")")[0] for place in places}) == 2, "one query and one key, the same in both"
    point_at_the_middle(page, panel=1)
    assert reads(page)[0] == a, "the panels have the same size and axes"


def test_a_click_chooses_the_word_that_is_read_below(open_page) -> None:
    page = open_page("compare_heads")
    page.locator(".st-key-card_panels .panel canvas").nth(2).wait_for()
    settled(page)
    point_at_the_middle(page)
    query = int(reads(page)[0].split("(query ")[1].split(")")[0])
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url(f"**query={query}&**")
    word = (["[CLS]"] + ARE.split() + ["[SEP]"])[query]
    expect(page.locator(".st-key-card_matters")).to_contain_text(f"A: head 0.3, to {word}")


def test_the_most_changed_head_is_put_into_both_panels_by_a_click(open_page) -> None:
    page = open_page("compare_heads")
    expect(page.locator("h1.hl-lead")).to_contain_text("When are becomes is, head 3.1 changes most")
    page.locator(".st-key-card_all .tile[data-layer='3'][data-head='1']").click()
    titles = page.locator(".st-key-card_panels h3")
    expect(titles.nth(0)).to_have_text("A · head 3.1")
    expect(titles.nth(1)).to_have_text("B · head 3.1")
    assert (link(page)["layer"], link(page)["head"], link(page)["head_b"]) == ("3", "1", "same")


def test_panels_are_added_and_the_link_brings_them_back(open_page) -> None:
    page = open_page("compare_heads")
    page.get_by_role("button", name="Duplicate").nth(1).click()
    titles = page.locator(".st-key-card_panels h3")
    expect(titles).to_have_count(4)
    page.get_by_role("button", name="Duplicate").nth(2).click()
    expect(titles).to_have_count(5)
    settled(page)
    again = open_page("compare_heads", **link(page))
    expect(again.locator(".st-key-card_panels h3")).to_have_text(
        ["A · head 0.3", "B · head 0.3", "C · head 0.3", "D · head 0.3", "A − B"]
    )
    assert again.locator(".hl-note").count() == 0
    no_sideways_scroll(again)


def test_another_model_and_all_pairs(open_page) -> None:
    page = open_page("compare_heads")
    page.get_by_role("button", name="two models").click()
    expect(page.locator("h1.hl-lead")).to_contain_text("MiniLM's head 0.3 and Tiny decoder's head 0.3 are")
    page.get_by_text("Every head of A against every head of B").click()
    page.get_by_role("button", name="Compare all pairs").click()
    page.locator(".st-key-card_all .js-plotly-plot .heatmaplayer").first.wait_for()
    shape = page.locator(".st-key-card_all .js-plotly-plot").evaluate(
        "p => [p._fullData[0].z.length, p._fullData[0].z[0].length]"
    )
    assert shape == [72, 8]


def test_on_a_phone_panels_stack_and_share_their_scale(open_page) -> None:
    page = open_page("compare_heads", width=390, height=2600, scheme="dark")
    canvases = page.locator(".st-key-card_panels .panel canvas")
    canvases.nth(2).wait_for()
    settled(page)
    boxes = [canvases.nth(i).bounding_box() for i in range(3)]
    assert len({round(box["x"]) for box in boxes}) == 1, "one below the other"
    assert len({(round(box["width"]), round(box["height"])) for box in boxes}) == 1
    assert page.locator(".st-key-card_panels .legend").count() == 1, "one scale for all"
    no_sideways_scroll(page)


def test_what_is_typed_is_never_markup(open_page) -> None:
    page = open_page("compare_heads", v=1, text="<img src=x onerror=alert(1)> fox", text_b="<b>fox</b> $x$")
    page.locator("h1.hl-lead").wait_for()
    settled(page)
    assert page.locator("img[src='x']").count() == 0


def test_panels_of_a_long_sentence_stay_in_their_places(open_page) -> None:
    text = "the keys to the cabinet are on the table " * 20
    page = open_page("compare_heads", width=390, v=1, text=text, text_b=text + "now")
    page.locator(".st-key-card_panels .panel canvas").nth(2).wait_for()
    settled(page)
    _stay_in_their_places(page)
    _stay_in_their_places(resize(page, 1280))


def _stay_in_their_places(page: Page) -> None:
    canvases = page.locator(".st-key-card_panels .panel canvas")
    card = page.locator(".st-key-card_panels").bounding_box()
    boxes = [canvases.nth(i).bounding_box() for i in range(3)]
    for box in boxes:
        assert box["x"] >= card["x"] and box["x"] + box["width"] <= card["x"] + card["width"]
    for a, b in zip(boxes, boxes[1:], strict=False):
        assert a["x"] + a["width"] <= b["x"] or a["y"] + a["height"] <= b["y"], "they do not overlap"
    no_sideways_scroll(page)
