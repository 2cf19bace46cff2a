"""The links that docs/links.md gives a class open what they promise, without a remark."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[3]
LINKS = re.findall(r"<(http://localhost:8501/\S*\?\S+)>", (ROOT / "docs" / "links.md").read_text())


@pytest.mark.parametrize("link", LINKS)
def test_a_link_for_a_class_opens(link: str) -> None:
    place = urlsplit(link)
    page_name = f"pages{place.path}.py" if place.path != "/" else "app.py"
    page = AppTest.from_file(str(ROOT / page_name), default_timeout=300)
    for name, value in parse_qsl(place.query, keep_blank_values=True):
        page.query_params[name] = value
    page.run()
    html = "\n".join(block.proto.body for block in page.get("html"))
    assert not page.exception and "hl-lead" in html
    assert "cannot be shown" not in html and "not known on this page" not in html and "Something went wrong" not in html


def test_there_are_links() -> None:
    assert len(LINKS) >= 8
