"""The page Study in a real browser: typing, a click on a head, a file, a study that is stopped, narrow and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_file_is_read_a_long_study_is_stopped_and_goes_on(open_page) -> None:
    page = open_page("study", sentences_from="file", model="minilm")
    rows = "".join(
        f"the creature number {i} slept in the old forest near the river and the tower,{i % 2}\n" for i in range(600)
    )
    upload = page.locator('.st-key-card_sentences input[type="file"]')
    upload.set_input_files({"name": "t.csv", "mimeType": "text/csv", "buffer": f"text,half\n{rows}".encode()})
    page.locator(".st-key-read_study button").click()
    expect(page.locator(".st-key-card_sentences")).to_be_visible()
    page.get_by_text("of 600 sentences, about").wait_for()
    page.locator(".st-key-stop_study button").click()
    expect(page.locator(".st-key-read_study button")).to_have_text("Go on")
    expect(page.get_by_text("of 600 sentences are read, and counted below")).to_be_visible()
    expect(page.locator(".st-key-study_map canvas").first).to_be_visible()
