"""Steps in a real browser: keys, swipes and clicks lead from one to the next, the strip stays, nothing is cut."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect
from server import PATIENCE, is_live, settled
from visiting import link, no_sideways_scroll, resize

from ui.step_by_step.layout import TITLES

pytestmark = pytest.mark.browser
STARTER = "a fluffy blue creature roamed the verdant forest"


def step_button(page: Page, step: int) -> Locator:
    return page.locator(f".st-key-step_map [data-id=step-{step}]")


def shows(page: Page, step: int) -> None:
    """The page is at a step: its title, the lit part of the map, and the link."""
    expect(page.locator(".hl-pocket h2")).to_contain_text(TITLES[step - 1].split("<")[0])
    expect(step_button(page, step)).to_have_attribute("aria-current", "step")
    expect(page.locator(".st-key-step_map [aria-current]")).to_have_count(1)
    settled(page)
    assert link(page)["step"] == str(step)


def test_arrow_keys_buttons_and_the_map_lead_from_step_to_step(open_page) -> None:
    page = is_live(open_page("step_by_step", v=1, text=STARTER))
    shows(page, 1)
    page.keyboard.press("ArrowRight")
    shows(page, 2)
    page.keyboard.press("ArrowRight")
    shows(page, 3)
    page.keyboard.press("ArrowLeft")
    shows(page, 2)
    page.get_by_role("button", name="Next step").click()
    shows(page, 3)
    page.mouse.down()
    page.keyboard.press("ArrowRight")
    shows(page, 4)
    page.mouse.up()  # on the button that the answer put in the place of the pressed one
    shows(page, 5)
    step_button(page, 6).click()
    shows(page, 6)
    expect(step_button(page, 6)).to_be_focused()  # who goes on with the keyboard is where they were
    page.get_by_role("button", name="Step before").click()
    shows(page, 5)
    page.locator(".st-key-step_after button").click()
    shows(page, 6)
    page.reload()
    shows(is_live(page), 6)


def test_an_arrow_key_in_a_picture_or_a_field_stays_there(open_page) -> None:
    page = is_live(open_page("step_by_step", v=1, text=STARTER, step=6))
    page.locator(".st-key-step_6_grid .board").focus()
    page.keyboard.press("ArrowRight")
    page.locator(".st-key-text textarea").focus()
    page.keyboard.press("ArrowLeft")
    settled(page)
    page.wait_for_timeout(800)
    shows(page, 6)


def test_the_strip_stays_and_another_step_begins_at_its_top(open_page) -> None:
    page = is_live(open_page("step_by_step", v=1, text=STARTER, step=4, height=700))
    strip, main = page.locator(".st-key-step_strip"), page.locator("[data-testid=stMain]")
    main.evaluate("main => main.scrollTo(0, main.scrollHeight)")
    box = strip.bounding_box()
    assert box is not None and -1 <= box["y"] <= 4
    for said in ("creature", "head 0.3", "÷ √d"):
        expect(strip.get_by_text(said, exact=True).first).to_be_in_viewport()
    page.keyboard.press("ArrowRight")
    shows(page, 5)
    expect(page.locator("h1.hl-lead")).to_be_in_viewport()
    box = strip.bounding_box()
    assert box is not None and -1 <= box["y"] <= 40


def test_a_click_on_a_word_of_the_strip_follows_it(open_page) -> None:
    page = is_live(open_page("step_by_step", v=1, text=STARTER, step=6))
    page.locator(".st-key-step_map .words").get_by_text("blue", exact=True).click()
    expect(page.locator(".st-key-step_map .query")).to_have_text("blue")
    expect(page.locator(".st-key-card_step_6 .hl-bars th").nth(1)).to_contain_text("share for blue")
    settled(page)
    assert link(page)["query"] == "3"


def test_a_swipe_leads_on_and_back(open_page) -> None:
    page = open_page("step_by_step", width=390, height=800, v=1, step=2)
    shows(is_live(page), 2)  # the strip hears of a finger once its script has arrived, a moment after the page

    def swipe(start: int, end: int) -> None:
        page.evaluate(
            """([from, to]) => { const at = document.querySelector('h1.hl-lead');
            const touch = (x) => new Touch({ identifier: 1, target: at, clientX: x, clientY: 300 });
            const send = (kind, x, touches) => at.dispatchEvent(new TouchEvent(kind,
                { bubbles: true, composed: true, touches: touches ? [touch(x)] : [], changedTouches: [touch(x)] }));
            send('touchstart', from, true); send('touchend', to, false); }""",
            [start, end],
        )

    swipe(300, 120)
    shows(page, 3)
    swipe(120, 300)
    shows(page, 2)
    swipe(200, 170)  # too short to mean a step
    page.wait_for_timeout(800)
    shows(page, 2)


def test_numbers_light_up_one_after_the_other_unless_motion_is_reduced(open_page) -> None:
    page = is_live(open_page("step_by_step", v=1, step=3))
    page.emulate_media(reduced_motion="no-preference")
    names = [name for name, _ in lit(page)]
    assert len(names) == 2 + 2 + 1 and set(names) == {"hl-turn", "hl-made"}
    assert len({delay for _, delay in lit(page)}) == 3  # a row's and a column's number at once, the result last
    assert max(lit(page), key=lambda each: each[1])[0] == "hl-made"
    page.emulate_media(reduced_motion="reduce")
    assert [name for name, _ in lit(page)] == ["none"] * 5


def lit(page: Page) -> list[tuple[str, float]]:
    """How each number of a product lights up, and after how long."""
    return page.locator(".hl-product .turn").evaluate_all(
        """cells => cells.map((cell) => getComputedStyle(cell))
            .map((style) => [style.animationName, parseFloat(style.animationDelay)])"""
    )


def test_no_step_scrolls_sideways_on_the_narrowest_phone_and_the_last_one_ends_the_way(open_page) -> None:
    page = is_live(open_page("step_by_step", width=320, height=800, v=1, text=STARTER, guess_told=1))
    for step in range(1, 9):
        shows(page, step)
        no_sideways_scroll(page)
        for table in page.locator(".hl-matrix, .hl-spreads").all():
            box = table.bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 321
        if step == 3:
            tall = page.locator(".st-key-step_3_grid canvas").bounding_box()
            assert tall is not None and tall["width"] <= 320 and tall["height"] > 150
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Next step")).to_have_attribute("aria-disabled", "true")
    page.wait_for_timeout(800)
    shows(page, 8)


def test_no_arrow_of_the_map_lies_under_a_step(open_page) -> None:
    """An arrow begins where its step ends and is over where the next one begins."""
    page = open_page("step_by_step", step=3)
    page.locator(".part[aria-current]").wait_for(timeout=PATIENCE)
    for width in (1280, 768):
        resize(page, width)
        _no_arrow_lies_under_a_step(page)


def _no_arrow_lies_under_a_step(page: Page) -> None:
    gaps = page.locator(".part").evaluate_all(
        """all => all.slice(0, -1).map((part, i) => {
            const own = part.getBoundingClientRect(), arrow = getComputedStyle(part, '::after');
            const from = own.left + parseFloat(arrow.left), next = all[i + 1].getBoundingClientRect().left;
            return [from - own.right, next - from - parseFloat(arrow.width)];
        })"""
    )
    assert len(gaps) == 7 and min(min(gap) for gap in gaps) >= -0.6
