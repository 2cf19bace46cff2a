"""The parameter page in a real browser: boxes that open, numbers of one's own, links, both themes, a phone."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from server import settled
from visiting import link, resize

from attn_core.parameters.count import count_parameters

pytestmark = pytest.mark.browser


def ready(page: Page) -> Page:
    """Wait until both figures stand under the headline and the real head is drawn, which come last."""
    page.locator(".hl-badge").first.wait_for()
    page.locator(".hl-read", has_text="directions").last.wait_for()
    return settled(page)


def box(page: Page, name: str):
    """A box of the level shown, by how its name begins."""
    return page.locator(".st-key-boxes").get_by_role("button", name=name)


def test_a_click_goes_one_level_in_and_the_path_leads_back(open_page) -> None:
    page = ready(open_page("parameters"))
    reading = page.locator(".st-key-boxes .read")
    box(page, "block 5:").hover()
    expect(reading).to_contain_text("block 5 ›")
    box(page, "block 5:").click()
    box(page, "self-attention: 603,979,776").click()
    box(page, "head 40: 6,291,456").click()
    expect(box(page, "value (down): 1,572,864")).to_be_visible()
    page.wait_for_url("**inside=block+5%2Fself-attention%2Fhead+40**")
    expect(box(page, "value (down): 1,572,864")).to_be_visible()
    page.locator(".st-key-boxes nav button", has_text="block 5").click()
    expect(box(page, "MLP: 1,207,959,552")).to_be_visible()
    page.locator(".st-key-boxes nav button", has_text="GPT-3 175B").click()
    expect(box(page, "block 95:")).to_be_visible()


def test_boxes_are_to_scale(open_page) -> None:
    page = ready(open_page("parameters", preset="minilm"))
    expect(box(page, "block 5:")).to_be_visible()
    sizes = page.locator(".st-key-boxes .stage button").evaluate_all(
        "found => found.map(b => [b.ariaLabel, parseFloat(b.style.width) * parseFloat(b.style.height)])"
    )
    counts = [int(label.split(": ")[1].split(" ")[0].replace(",", "")) for label, _ in sizes]
    assert len(counts) == 7 and sum(counts) == 22_337_280
    whole = sum(area for _, area in sizes)
    for count, (label, area) in zip(counts, sizes, strict=True):
        assert area / whole == pytest.approx(count / sum(counts), rel=1e-3), label
    for width in (1280, 390):
        picture = resize(page, width).locator(".st-key-boxes canvas").bounding_box()
        assert picture is not None and picture["width"] > 0.6 * min(width, 700)


def test_boxes_open_from_the_keyboard(open_page) -> None:
    page = ready(open_page("parameters", preset="minilm"))
    box(page, "block 0:").focus()
    expect(page.locator(".st-key-boxes .read")).to_contain_text("block 0: 1,769,472 parameters")
    page.keyboard.press("Enter")
    expect(box(page, "self-attention: 589,824")).to_be_visible()


def test_numbers_of_ones_own_are_counted_explained_and_kept_in_the_link(open_page) -> None:
    page = ready(open_page("parameters", preset="gpt2"))
    page.locator(".st-key-own label").click()
    page.get_by_label("d_model", exact=True).fill("770")
    page.keyboard.press("Enter")
    expect(page.locator(".hl-problem")).to_contain_text("770 does not divide into 12 heads; take 768 or 780")
    page.get_by_label("heads", exact=True).fill("10")
    page.keyboard.press("Enter")
    expect(page.locator("h1.hl-lead")).to_contain_text("of your model, built like GPT-2")
    ready(page)
    said = page.locator("h1.hl-lead").inner_text()
    assert (link(page)["own"], link(page)["d_model"], link(page)["n_heads"]) == ("1", "770", "10")
    page.goto(page.url)
    expect(page.locator("h1.hl-lead")).to_have_text(said)
    ready(page)


def test_models_stand_side_by_side(open_page) -> None:
    page = ready(open_page("parameters"))
    page.locator(".st-key-beside").get_by_role("combobox").click()
    page.keyboard.type("Llama 3")
    page.keyboard.press("Enter")
    expect(page.locator(".hl-read", has_text="Llama 3 8B: attention 17 %")).to_be_visible()
    settled(page)
    assert link(page)["beside"] == "llama-3-8b"


def test_all_tensors_downloads_as_a_file(open_page, tmp_path: Path) -> None:
    page = ready(open_page("parameters", preset="minilm"))
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV of the table").click()
    assert waiting.value.suggested_filename == "parameters-minilm.csv"
    waiting.value.save_as(tmp_path / "table.csv")
    rows = list(csv.DictReader((tmp_path / "table.csv").open(encoding="utf-8")))
    assert sum(int(row["total"]) for row in rows) == 22_713_216
    assert [row["name"] for row in rows] == [row.name for row in count_parameters("minilm").rows]
