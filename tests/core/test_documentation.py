"""The documentation's examples run as they are printed, and its pages name every public name."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

import attn_core as ac

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ELSEWHERE = ("gradients.md", "notebook.md", "patching.md")  # run by tests that look at their numbers, too


def _module(name: str) -> Any:
    about = importlib.util.spec_from_file_location(name, DOCS / "site" / f"{name}.py")
    assert about is not None and about.loader is not None
    found = importlib.util.module_from_spec(about)
    about.loader.exec_module(found)
    return found


examples = _module("examples")
PAGES = [page for page in examples.pages() if page.name not in ELSEWHERE or page.parent != DOCS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run_and_give_what_it_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    drawn = [each for each in examples.run(text, str(page.relative_to(ROOT))) if each]
    assert len(drawn) == len(re.findall(r"^Figure: ", text, re.MULTILINE))
    if page.parent.name == "guides":
        assert len(drawn) == 1


def test_a_wrong_result_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"a page: 1 \+ 1 gives 2, and the page says 3"):
        list(examples.run("```python\n1 + 1  # → 3\n```\n", "a page"))


@pytest.mark.house
@pytest.mark.parametrize(
    ("text", "is_fetched"),
    [
        ('<a href="https://example.org/">a link that somebody follows</a>', False),
        ('<script src="main.js"></script><img alt="https://" src="data:image/png;base64,//8">', False),
        ('<script defer src="https://example.org/a.js"></script>', True),
        ('<link rel="stylesheet" href="//example.org/a.css">', True),
        ("@font-face { src: url(https://example.org/a.woff2) }", True),
        ("@import 'a.css'", True),
    ],
)
def test_what_a_page_would_fetch_from_elsewhere_is_found(text: str, is_fetched: bool) -> None:
    assert bool(_module("fetched").FETCHED.search(text)) == is_fetched


def test_there_are_ten_guides() -> None:
    assert len([page for page in PAGES if page.parent.name == "guides"]) == 10


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_not_run_here_is_run_elsewhere(name: str) -> None:
    tests = [file.read_text() for file in (ROOT / "tests" / "core").rglob("test_*.py") if file != Path(__file__)]
    assert any(f'"{name}"' in text or f'documentation("{name[:-3]}")' in text for text in tests)


@pytest.mark.house
def test_the_reference_has_every_public_name() -> None:
    said = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    modules = {**ac._MODULES, **{name: "errors" for name in ac.__all__ if isinstance(vars(ac).get(name), type)}}
    assert set(modules) == set(ac.__all__) - {"__version__"}
    assert [name for name, module in modules.items() if f"::: attn_core.{module}.{name}\n" not in said] == []


@pytest.mark.house
def test_every_page_is_in_the_menu_and_links_to_files_that_exist() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in DOCS.rglob("*.md"):
        assert re.search(rf"(- |: ){page.relative_to(DOCS)}$", menu, re.MULTILINE), page
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        assert [link for link in links if not (page.parent / link).exists()] == [], page
