"""The first visitor of a server that has just started: the recorded page first, and every link restored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from server import is_live, serve, settled
from visiting import Visit, opened_head, title

import attn_core as ac
from attn_core.text.numbers import percent

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def cold() -> Iterator[str]:
    """A server that nobody has asked for a page, and that none of these tests asks for another's model before it."""
    with serve() as address:
        yield address


@pytest.fixture
def visit(open_page: Visit, cold: str) -> Iterator[Visit]:
    """Open a page there, and close it before its server goes, or it would complain."""
    pages: list[Page] = []

    def go(page_name: str = "", **params: object) -> Page:
        pages.append(open_page(page_name, at=cold, **params))
        return pages[-1]

    yield go
    for page in pages:
        page.close()


def test_the_recording_comes_first_and_turns_live_by_itself(visit: Visit, trace: ac.Trace) -> None:
    page = visit()
    page.locator(".hl-badge", has_text="recorded").wait_for()
    page.locator(".tile").nth(71).wait_for()
    lead = page.locator("h1.hl-lead").inner_text()
    page.locator(".tile[data-layer='1'][data-head='8']").click()  # works before the model is there
    expect(page.locator(".st-key-card_head h2").first).to_have_text("Layer 1 · head 8")
    is_live(page)
    expect(page.locator(".hl-badge", has_text="recorded")).to_have_count(0)
    assert title(page, "head") == "Layer 1 · head 8"
    row = trace.pattern(0, 3)[4]
    others = f"fluffy ({percent(row[2])}) and blue ({percent(row[3])})"
    wanted = f"To update creature, head 0.3 looks at {others}, besides itself ({percent(row[4])})."
    assert lead.replace("\u00a0", " ") == wanted


def test_a_link_to_the_translator_is_restored(visit: Visit) -> None:
    page = is_live(visit("cross_attention", source="the european economic area"))
    expect(page.locator(".hl-sub", has_text="la zone économique européenne")).to_be_visible()
    assert page.locator(".js-plotly-plot").count() == 4


def test_a_link_to_the_parameters_is_restored(visit: Visit) -> None:
    page = visit("parameters", preset="llama-2-70b", beside="minilm", inside="block 3")
    page.locator(".hl-read", has_text="directions").last.wait_for()  # the real head comes last
    expect(settled(page).locator("h1.hl-lead")).to_contain_text("of Llama 2 70B")
    attention = "self-attention: 150,994,944 parameters"
    expect(page.locator(".st-key-boxes").get_by_role("button", name=attention)).to_be_visible()
    expect(page.locator(".hl-sub", has_text="LlamaForCausalLM 68,976,648,192")).to_be_visible()


def test_a_link_to_another_sentence_waits_and_is_restored(open_page: Visit) -> None:
    """On a server of its own: of its model nothing is there yet."""
    with serve() as cold:
        page = open_page(at=cold, text="the keys to the cabinet", layer=3, head=1, specials="hide", scale="linear")
        page.locator(".hl-skeleton").wait_for()
        assert page.locator(".hl-badge", has_text="recorded").count() == 0
        assert "creature" not in page.locator("body").inner_text()
        is_live(page)
        assert title(page, "head") == "Layer 3 · head 1"
        drawn = opened_head(page)
        assert drawn.shape == (5, 5)  # [CLS] and [SEP] are hidden
        np.testing.assert_allclose(drawn.sum(-1), 1, atol=1e-5)
        assert page.locator(".hl-note").count() == 0
        page.close()  # before its server goes
