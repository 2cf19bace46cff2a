"""Step by step in a real browser: what a click on a cell, a changed number or a broken stage really shows."""

from __future__ import annotations

import re
from contextlib import suppress

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as TooLate
from server import is_live, settled
from visiting import link

from attn_core.text.numbers import number, percent
from attn_core.walkthrough.head import run_stages

pytestmark = pytest.mark.browser
STARTER = "a fluffy blue creature roamed the verdant forest"


def board(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} .board")


def reading(page: Page, key: str) -> str:
    return page.locator(f".st-key-{key} .reading").inner_text().replace("\xa0", " ")


def spoken(weight: float) -> str:
    return percent(float(weight)).replace("\xa0", " ")


def middle_of(page: Page, key: str, row: int, column: int, size: int) -> dict[str, float]:
    """Where a cell of a grid lies, found by pointing: the sentence under the picture says what is there."""
    grid = board(page, key)
    box = grid.locator("canvas").bounding_box()
    assert box is not None

    def says(x: float, y: float, wanted: str) -> bool:
        grid.hover(position={"x": x, "y": y})
        return wanted in reading(page, key)

    step = box["width"] / (2.5 * size)
    x = 0.6 * box["width"]
    y = next(y for y in np.arange(box["height"] - 5, 0, -step).tolist() if says(x, y, f"(query {row})"))
    x = next(
        x
        for x in np.arange(5, box["width"], step).tolist()
        if says(x, y, f"(query {row})") and says(x, y, f"(key {column})")
    )
    return {"x": x, "y": y}


# The first tests look at one page, each where the one before left it.
def test_the_canvas_paints_the_strongest_cell_strongest(look_at, trace) -> None:
    """Pixels: in the attention pattern, [CLS] → [SEP] (78 %) is darker than [CLS] → a (1 %) on white."""
    page = is_live(look_at("step_by_step", v=1, all_steps=1))
    dark = middle_of(page, "step_6_grid", row=0, column=12, size=13)
    light = middle_of(page, "step_6_grid", row=0, column=1, size=13)

    def brightness(at: dict[str, float]) -> float:
        pixel = (
            board(page, "step_6_grid")
            .locator("canvas")
            .evaluate(
                """(canvas, at) => { const r = canvas.width / canvas.clientWidth;
                const d = canvas.getContext('2d').getImageData(at.x * r - 12, at.y * r - 10, 24, 3).data;
                return d.reduce((sum, v, i) => sum + (i % 4 < 3 ? v : 0), 0) / (d.length / 4 * 3); }""",
                at,
            )
        )
        return float(pixel)

    weights = trace.pattern(0, 3)[0]
    assert weights[12] > 0.7 and weights[1] < 0.05
    assert brightness(dark) + 60 < brightness(light)


def test_the_links_to_the_steps_lead_there(look_at) -> None:
    page = is_live(look_at("step_by_step", height=900, v=1, all_steps=1))
    page.get_by_role("button", name="Step 7: values").click()
    expect(page.locator("#step-7")).to_be_in_viewport()


def test_the_source_and_the_numbers_unfold(look_at) -> None:
    page = is_live(look_at("step_by_step", v=1, all_steps=1))
    card = page.locator(".st-key-card_step_4")
    card.get_by_text("The code that ran").click()
    expect(card.locator("code").first).to_contain_text("return scores / math.sqrt(d_head)")
    card.get_by_text("The numbers").click()
    expect(card.locator("[data-testid=stDataFrame]")).to_be_visible()


def test_a_click_on_a_cell_shows_that_very_dot_product(look_at, trace) -> None:
    page = is_live(look_at("step_by_step", v=1, all_steps=1))
    expect(board(page, "step_3_grid")).to_be_visible()
    place = middle_of(page, "step_3_grid", row=8, column=3, size=13)
    said = reading(page, "step_3_grid")
    board(page, "step_3_grid").click(position=place)
    score = trace.raw_scores(0, 3)[8, 3]
    assert f"{score:.4g}".replace("-", "−") in said
    expect(page.locator(".st-key-card_step_3")).to_contain_text(f"ve · blue = {number(score, 4)}")
    settled(page)
    assert (link(page)["query"], link(page)["key"]) == ("8", "3")
    products = trace.query(0, 3)[8] * trace.key(0, 3)[3]
    largest = page.locator(".hl-neurons .product u").nth(int(np.abs(products).argmax()))
    assert largest.get_attribute("title").endswith(f"{products[np.abs(products).argmax()]:+.3g}".replace("-", "−"))
    expect(page.locator("h1.hl-lead")).to_contain_text("ve")


def test_the_keyboard_chooses_a_cell_and_queries_in_columns_turn_the_picture_alone(open_page, trace) -> None:
    page = is_live(open_page("step_by_step", v=1, all_steps=1, text=STARTER, query=4, key=2))
    board(page, "step_6_grid").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".st-key-step_6_grid .reading")).to_contain_text(percent(float(trace.pattern(0, 3)[5, 3])))
    page.keyboard.press("Enter")
    expect(page.locator("h1.hl-lead")).to_contain_text("roam")
    settled(page)
    assert (link(page)["query"], link(page)["key"]) == ("5", "3")
    before = reading(page, "step_6_grid")
    page.get_by_text("in columns", exact=True).click()
    expect(page.locator(".st-key-step_6_grid .legend")).to_contain_text("columns ask (query)")
    assert reading(page, "step_6_grid") == before and spoken(trace.pattern(0, 3)[5, 3]) in before
    assert link(page)["queries"] == "columns"


def test_a_broken_stage_moves_the_meter_and_its_link_is_restored(open_page, trace) -> None:
    page = is_live(open_page("step_by_step", v=1, all_steps=1))
    meter = page.locator(".hl-meter b")
    expect(meter.first).to_contain_text("10⁻")
    page.get_by_text("no softmax", exact=True).click()
    expect(meter.first).not_to_contain_text("10⁻")
    settled(page)
    said = meter.first.inner_text()
    assert link(page)["breaks"] == "no-softmax"
    again = is_live(open_page("step_by_step", **link(page)))
    expect(again.locator(".hl-meter b").first).to_have_text(said)
    expect(again.get_by_role("button", name="no softmax")).to_be_visible()


def test_a_changed_number_of_the_toy_changes_what_follows(open_page) -> None:
    page = open_page("step_by_step", weights="toy", all_steps=1, v=1)
    expect(page.locator("h1.hl-lead")).to_contain_text("blue (59")
    settled(page)
    editor = page.locator(".st-key-card_step_2 [data-testid=stDataFrame]").nth(1)
    expect(editor.locator("canvas").first).to_be_visible()
    expect(board(page, "step_8_strips")).to_be_visible()  # pictures above have their height, nothing moves any more
    editor.scroll_into_view_if_needed()
    field = page.locator("#portal input")
    for _ in range(20):  # the grid takes its first clicks for nothing until its own script has run
        box = editor.bounding_box()
        assert box is not None
        page.mouse.dblclick(box["x"] + 0.4 * box["width"], box["y"] + 35 + 30 * 1.5)  # W_K: adjective, number 0
        with suppress(TooLate):
            field.wait_for(timeout=3_000)
            break
    field.fill("0")
    page.keyboard.press("Enter")
    expect(page.locator("h1.hl-lead")).not_to_contain_text("blue (59")
    settled(page)
    assert link(page)["toy"] == "w_k.1.0:0"
    expect(page.locator(".st-key-step_3_grid .reading")).to_contain_text("1")
    page.get_by_text("Reset the numbers").click()
    expect(page.locator("h1.hl-lead")).to_contain_text("blue (59")
    assert link(page)["toy"] == ""


def test_a_guess_is_answered(open_page, trace) -> None:
    page = is_live(open_page("step_by_step", v=1, step=3))
    page.locator(".st-key-key_guess input").click()
    page.keyboard.type("blue")
    page.keyboard.press("Enter")
    share = percent(float(trace.pattern(0, 3)[4, 3]))
    expect(page.locator(".st-key-card_guess")).to_contain_text(f"You said blue: with {share}")


def test_the_walk_on_screen_is_the_walk_in_a_notebook(open_page, trace) -> None:
    from attn_core.walkthrough.from_trace import from_trace

    page = is_live(open_page("step_by_step", v=1, all_steps=1, text=STARTER, layer=3, head=7, query=4))
    made = run_stages(from_trace(trace.stream(), 3, 7))
    shown = page.locator(".st-key-card_step_6 .hl-bars td b").all_inner_texts()
    assert [text.replace("\xa0", " ") for text in shown] == [spoken(w) for w in made.pattern[4]]
    turned = re.search(r"turns by (\S+)°", page.locator(".st-key-card_step_8").inner_text())
    e, delta = trace.embedding(3)[4].astype(float), made.delta[4].numpy().astype(float)
    angle = np.degrees(np.arccos(e @ (e + delta) / np.linalg.norm(e) / np.linalg.norm(e + delta)))
    assert turned is not None and turned[1] == number(angle)
