"""A session that is left open keeps no trace alive: eighty of them with long sentences would fill the memory."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from types import ModuleType

import pytest
from streamlit.testing.v1 import AppTest

from attn_core.traces.layer import Layer
from ui.server import cache, shared

ROOT = Path(__file__).parents[3]
PAGES = ["app.py", *sorted(f"pages/{file.name}" for file in (ROOT / "pages").glob("*.py"))]
VIEWS = {"pages/compare_heads.py": [{}, {"shows_b": "random"}, {"shows_b": "shuffled"}]}


def layers() -> int:
    """How many recorded layers there are in memory."""
    gc.collect()
    return sum(type(each) is Layer for each in gc.get_objects())


@pytest.mark.parametrize(("script", "view"), [(page, view) for page in PAGES for view in VIEWS.get(page, [{}])])
def test_a_page_that_was_drawn_keeps_no_trace(script: str, view: dict[str, str]) -> None:
    shared.STATE.traces._sized.clear()
    before = layers()
    page = AppTest.from_file(str(ROOT / script), default_timeout=300)
    page.query_params.update({"v": "1", "text": "a fox saw the hill and the tree", **view})
    page.run()
    assert not page.exception, page.exception
    sys.modules["__main__"] = ModuleType("__main__")  # the last script's own names, which the next one replaces
    shared.STATE.traces._sized.clear()
    cache.begin_page()
    assert layers() == before
