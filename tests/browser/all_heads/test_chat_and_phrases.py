"""A chat's roles and turns by keyboard on a phone, and a phrase chosen in the map, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from axe import faults
from families import save
from playwright.sync_api import Page, expect
from server import settled
from visiting import link, no_sideways_scroll

pytestmark = pytest.mark.browser
CHAT = "{% for m in messages %}<|endoftext|>{{ m.role }}\n{{ m.content }}\n{% endfor %}<|endoftext|>assistant\n"


def test_a_chat_is_typed_by_keyboard_on_a_phone(open_page, tmp_path: Path) -> None:
    save("gpt2", tmp_path / "chatty")
    Path(tmp_path, "chatty", "chat_template.jinja").write_text(CHAT)
    page: Page = open_page(width=390, model=str(tmp_path / "chatty"), text="one fox", frame="chat")
    counter = page.locator(".hl-count")
    expect(counter).to_contain_text("as a chat")
    roles = page.get_by_role("radiogroup", name="Role of turn 1")
    expect(roles.get_by_role("radio", name="user")).to_be_checked()
    page.get_by_role("button", name="+ turn").press("Enter")
    answer = page.get_by_role("textbox", name="Turn 2, assistant")
    answer.fill("two foxes")
    answer.press("Enter")  # one line: handed in, as in the sentence's own box
    expect(page).to_have_url(re.compile("foxes"))
    assert link(page)["turns"] == '[["user"],["assistant","two foxes"]]' and link(page)["text"] == "one fox"
    page.get_by_role("radiogroup", name="Role of turn 2").get_by_role("radio", name="user").press("Space")
    expect(page.get_by_role("textbox", name="Turn 2, user")).to_have_value("two foxes")
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.get_by_role("textbox", name="Turn 2, assistant")).to_have_value("two foxes")
    settled(page)
    no_sideways_scroll(page)
    box, below = (each.bounding_box() for each in (answer, counter))
    assert box and below and below["y"] >= box["y"] + box["height"] and box["width"] > 250
    assert faults(page) == []


def test_a_phrase_is_chosen_in_the_map_by_shift(open_page) -> None:
    page: Page = open_page(text="a fluffy blue creature roamed", layer=2, head=5, query=2)
    figure = page.locator(".st-key-heatmap .figure")
    expect(figure).to_have_attribute("aria-busy", "false")
    settled(page)
    place = figure.evaluate("figure => figure.shown.place")
    at = {"x": place["left"] + place["width"] / 2, "y": place["above"] + 4.5 * place["height"]}
    page.locator(".st-key-heatmap canvas").first.click(position=at, modifiers=["Shift"])
    reading = page.locator(".hl-read", has_text="fluffy blue creature (2–4)")
    expect(reading).to_contain_text("this is the mean of their rows")
    assert link(page)["spans"] == "2-4"
    settled(page)
    board = page.locator(".st-key-heatmap .board")
    board.focus()
    for key in ("Shift+ArrowUp", "Enter"):
        board.press(key)
    expect(page.locator(".hl-read", has_text="a fluffy blue creature (1–4)")).to_be_visible()
    assert link(page)["spans"] == "1-4"
