"""Training in Chromium: Play goes on by itself, arrow keys move, the picture follows."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from server import is_live
from visiting import Visit, link, no_sideways_scroll

pytestmark = pytest.mark.browser


def test_the_training_plays_and_follows_the_arrow_keys(open_page: Visit) -> None:
    page = is_live(open_page("training", width=390, checkpoint=4))
    no_sideways_scroll(page)
    expect(page.locator(".hl-lead")).to_contain_text("After 1,300 of 3,500 steps")
    page.locator(".hl-lead").click()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".hl-lead")).to_contain_text("After 1,400 of 3,500 steps")
    slider = page.get_by_role("slider", name="Steps of training")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".hl-lead")).to_contain_text("After 1,200 of 3,500 steps")
    expect(slider).to_have_attribute("aria-valuetext", "after 1,200 steps")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(".hl-lead")).to_contain_text("After 1,400 of 3,500 steps")
    page.get_by_role("button", name="Pause", exact=True).click()
    assert link(page)["checkpoint"] in ("5", "6")
    page.set_viewport_size({"width": 768, "height": 900})  # where the legend lay on the title of the axis
    below = "chart => ['.xtitle', '.legend'].map(part => chart.querySelector(part).getBoundingClientRect())"
    page.wait_for_function(
        "document.querySelector('.st-key-training_skills .main-svg').getBoundingClientRect().width > 500"
    )
    title, legend = page.locator(".st-key-training_skills .js-plotly-plot").evaluate(
        f"{below}.map(b => [b.top, b.bottom])"
    )
    assert title[1] <= legend[0]
