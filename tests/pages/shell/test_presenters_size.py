"""The presenter's size: one switch that goes along from page to page, and no letter with a size of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_driver import PAGES, ROOT
from streamlit.testing.v1 import AppTest

SHEETS = sorted((ROOT / "assets" / "css").glob("*.css"))


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.stem)
def test_every_letter_follows_the_chosen_size(sheet: Path) -> None:
    own = re.findall(r"font(?:-size)?:[^;}]*?\b[\d.]+px[^;}]*", sheet.read_text())
    assert own == [] or sheet.stem == "presenter"


SCRIPTS = sorted([*(ROOT / "assets" / "app").glob("*.js"), *(ROOT / "assets" / "canvas").glob("*.js")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_every_letter_that_a_script_writes_follows_it_too(script: Path) -> None:
    """In its styles and on its canvas; the picture of a recording wrote with 12 pixels on every projector."""
    said = script.read_text().replace("var(--hl-px, 1px)", "")
    assert re.findall(r"font(?:-size)?\s*[:=][^;}\n]*?(?<![\w.}])[\d.]+px[^;}\n]*", said) == []


def heights(page: AppTest) -> list[float]:
    import json

    return [json.loads(chart.proto.spec)["layout"]["height"] for chart in page.get("plotly_chart")]


@pytest.mark.parametrize("page_name", [name for name in PAGES if "delta_e" in name])
def test_charts_follow_it(page_name: str) -> None:
    usual, large = AppTest.from_file(str(ROOT / page_name), default_timeout=300), None
    usual.run()
    large = AppTest.from_file(str(ROOT / page_name), default_timeout=300)
    large.query_params["large"] = "1"
    large.run()
    assert heights(large) == [1.5 * height for height in heights(usual)] != []
