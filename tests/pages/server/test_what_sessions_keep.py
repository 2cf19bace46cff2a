"""A session that is left open keeps no trace alive: eighty of them with long sentences would fill the memory."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from types import ModuleType

import pytest
from page_driver import VIEWS, checked, load, open_menus
from streamlit.testing.v1 import AppTest

from attn_core.traces.layer import Layer
from hosting.memory import resident
from ui.server import cache, shared
from ui.shell.folds import EVERY

ROOT = Path(__file__).parents[3]
PAGES = ["app.py", *sorted(f"pages/{file.name}" for file in (ROOT / "pages").glob("*.py"))]
COMPARED = {"pages/compare_heads.py": [{"shows_b": "random"}, {"shows_b": "shuffled"}]}
EACH = [(page, view) for page in PAGES for view in [{}, *(VIEWS | COMPARED).get(page, [])]]


def layers() -> int:
    """How many recorded layers there are in memory."""
    gc.collect()
    return sum(type(each) is Layer for each in gc.get_objects())


@pytest.mark.parametrize(("script", "view"), EACH)
def test_a_page_that_was_drawn_with_its_menus_and_folds_open_keeps_no_trace(script: str, view: dict[str, str]) -> None:
    """What is offered there is held by buttons, for as long as the visitor stays."""
    assert kept(script, view, menus=True) == 0


@pytest.mark.full
@pytest.mark.parametrize(("script", "view"), EACH)
def test_nor_does_one_whose_menus_and_folds_are_shut(script: str, view: dict[str, str]) -> None:
    assert kept(script, view, menus=False) == 0


def kept(script: str, view: dict[str, str], *, menus: bool) -> int:
    """How many recorded layers a session holds after its page was drawn, beside those that are kept for everybody."""
    _forget()
    before = layers()
    page = AppTest.from_file(str(ROOT / script), default_timeout=300)
    page.query_params.update({"v": "1", "text": "a fox saw the hill and the tree", **view})
    if menus:
        open_menus(page).session_state[EVERY] = True
    page.run()
    assert not page.exception, page.exception
    _forget()
    return layers() - before


def _forget() -> None:
    """Let go of what is kept for everybody, and of the last script's own names, which the next one replaces."""
    sys.modules["__main__"] = ModuleType("__main__")
    shared.STATE.traces._sized.clear()
    cache.begin_page()


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("models_are_set_aside")
def test_200_visits_with_20_changes_of_model_leave_memory_flat() -> None:
    """A visitor who is there while a model is loaded is not set aside with it for ever."""
    sizes = []
    for change in range(20):
        shared.STATE.models._sized.clear()  # the model gives way to another one, …
        load("tiny-decoder")  # … and comes back
        for visit in range(10):
            page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
            page.session_state["ballast"] = b"." * 5_000_000
            model = ("minilm", "tiny-decoder")[visit % 2]
            page.query_params.update({"v": "1", "model": model, "text": f"a bird saw hill {change} and {visit}"})
            checked(page.run())
        shared.STATE.traces._sized.clear()  # what is kept of sentences has a budget of its own
        gc.collect()
        sizes.append(resident() // 1_000_000)
    assert sizes[-1] - sizes[9] < 30, sizes
