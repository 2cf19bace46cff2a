"""The first visitor of a server that has just started: the recorded page first, and every link restored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from server import is_live, serve, settled
from visiting import Visit, opened_head, title

import attn_core as ac
from attn_core.text.numbers import percent

pytestmark = pytest.mark.browser


# Runs before all else in the server's process: no model is there as long as nobody lets its library come.
HOLDS = """
import sys, time
from importlib.abc import MetaPathFinder
from pathlib import Path

class Holds(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        while name == "torch" and not Path({go_on!r}).exists():
            time.sleep(0.05)

sys.meta_path.insert(0, Holds())
"""


@dataclass
class Cold:
    """A server that nobody has asked for a page, and whose models come once `go_on` is there."""

    address: str
    go_on: Path


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cold]:
    folder = tmp_path_factory.mktemp("cold")
    (folder / "sitecustomize.py").write_text(HOLDS.format(go_on=str(folder / "go on")))
    with serve(PYTHONPATH=str(folder)) as address:
        yield Cold(address, folder / "go on")


@pytest.fixture
def visit(open_page: Visit, cold: Cold) -> Iterator[Visit]:
    """Open a page there, and close it before its server goes, or it would complain."""
    pages: list[Page] = []

    def go(page_name: str = "", **params: object) -> Page:
        pages.append(open_page(page_name, at=cold.address, **params))
        return pages[-1]

    yield go
    for page in pages:
        page.close()


def test_the_recording_comes_first_and_turns_live_and_another_sentence_waits(
    visit: Visit, cold: Cold, trace: ac.Trace
) -> None:
    page = visit()
    page.locator(".hl-badge", has_text="recorded").wait_for()
    page.locator(".tile").nth(71).wait_for()
    lead = page.locator("h1.hl-lead").inner_text()

    other = visit(text="the keys to the cabinet", layer=3, head=1, specials="hide", scale="linear")
    other.locator(".hl-skeleton").wait_for()
    assert other.locator(".hl-badge", has_text="recorded").count() == 0
    assert "creature" not in other.locator("body").inner_text()
    expect(page.locator(".hl-badge", has_text="recorded")).to_be_visible()

    cold.go_on.touch()
    is_live(other)
    assert title(other, "head") == "Layer 3 · head 1"
    drawn = opened_head(other)
    assert drawn.shape == (5, 5)  # [CLS] and [SEP] are hidden
    np.testing.assert_allclose(drawn.sum(-1), 1, atol=1e-5)
    assert other.locator(".hl-note").count() == 0
    other.close()

    is_live(page)  # by itself
    expect(page.locator(".hl-badge", has_text="recorded")).to_have_count(0)
    page.locator(".tile[data-layer='1'][data-head='8']").click()
    expect(page.locator(".st-key-card_head h2").first).to_have_text("Layer 1 · head 8")
    row = trace.pattern(0, 3)[4]
    others = f"fluffy ({percent(row[2])}) and blue ({percent(row[3])})"
    wanted = f"To update creature, head 0.3 looks at {others}, besides itself ({percent(row[4])})."
    assert lead.replace("\u00a0", " ") == wanted


def test_a_link_to_the_translator_is_restored(visit: Visit, cold: Cold) -> None:
    cold.go_on.touch()
    page = is_live(visit("cross_attention", source="the european economic area"))
    expect(page.locator(".hl-sub", has_text="la zone économique européenne")).to_be_visible()
    assert page.locator(".js-plotly-plot").count() == 4


def test_a_link_to_the_parameters_is_restored(visit: Visit, cold: Cold) -> None:
    cold.go_on.touch()
    page = visit("parameters", preset="llama-2-70b", beside="minilm", inside="block 3")
    page.locator(".hl-read", has_text="directions").last.wait_for()  # the real head comes last
    expect(settled(page).locator("h1.hl-lead")).to_contain_text("of Llama 2 70B")
    attention = "self-attention: 150,994,944 parameters"
    expect(page.locator(".st-key-boxes").get_by_role("button", name=attention)).to_be_visible()
    expect(page.locator(".hl-sub", has_text="LlamaForCausalLM 68,976,648,192")).to_be_visible()
