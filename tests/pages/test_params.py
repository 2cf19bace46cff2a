"""A parameter is declared once: one name has one meaning, and its control repeats nothing of its declaration."""

from __future__ import annotations

import ast
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
import streamlit as st
from page_driver import PAGES, ROOT
from streamlit.testing.v1 import AppTest

import ui.page
from ui.param import Param, choice

MADE_BY_THE_FRAME = ("model", "text")  # every page offers its own models and begins with its own sentence
CONTROLS = ROOT / "ui" / "drawing" / "controls.py"


@cache
def declared() -> dict[str, list[Param]]:
    """What each page declares, by the page's script."""
    found: dict[str, list[Param]] = {}

    def record(page: str, params: list[Param]) -> None:
        found[page] = params
        st.stop()  # nothing needs to be drawn

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ui.page, "open_link_state", record)
        for script in PAGES:
            run = AppTest.from_file(str(ROOT / script), default_timeout=300).run()
            assert not run.exception
    assert len(found) == len(PAGES)
    return found


def two_meanings(pages: dict[str, list[Param]]) -> list[str]:
    """The names that are declared more than once."""
    by_name: dict[str, list[Param]] = {}
    for params in pages.values():
        for param in params:
            by_name.setdefault(param.name, []).append(param)
    return sorted(
        name
        for name, (first, *others) in by_name.items()
        if name not in MADE_BY_THE_FRAME and any(other is not first for other in others)
    )


def test_one_name_has_one_meaning_on_every_page() -> None:
    assert two_meanings(declared()) == [], "declare it once in ui/shared_params.py, or give each page a name of its own"
    pair = {"one": [choice("pair", ("ab", "bc"))], "other": [choice("pair", ("0-1", "1-2"))]}
    assert two_meanings(pair) == ["pair"]


@pytest.mark.parametrize("name", MADE_BY_THE_FRAME)
def test_what_the_frame_declares_for_each_page_differs_in_its_default_alone(name: str) -> None:
    made = [param for params in declared().values() for param in params if param.name == name]
    assert len({(param.label, param.travels, param.in_caption) for param in made}) == 1


# What no hand would write: numbers beyond any, lists in lists, and texts of which each part begins in vain.
IMPOSSIBLE = [
    "[" * 100_000, '{"a":' * 50_000, "1" * 100_000, "-" * 100_000, "9e999", "Infinity", "-Infinity", "NaN", "1_0", "١",
    '[["a","",Infinity],["b","",0]]', '[["a","",-1e999],["b","",NaN]]', '[[null,null,null],[null,null,null]]',
    "w_q.0.1:3;" * 40_000, "gpt2," * 80_000, "no-scale," * 40_000, "1.1," * 80_000, "block 3/" * 50_000, "[[],[]]",
    "self.1.1.1.1.q_" * 20_000, "self." * 5, "9.9_" * 50_000, "99999-99999_" * 9, "w_q.0.1:1e999", "w_q.9.9:1;" * 9_999,
    "tokens.0.0:" + "9" * 5_000, "//" * 50_000, ",".join(["0.0"] * 50_000), "\ud800", "\x00", "-0", "+1", " 1",
]  # fmt: skip


def test_a_value_is_read_or_refused_with_a_reason_and_at_once() -> None:
    """Anything may stand in a link: whatever a reader raises but a ValueError would end the page.

    A name that an earlier page had is read by the same reader (see above), so each is tried once.
    """
    tried: set[str] = set()
    for page, params in declared().items():
        earlier: dict[str, object] = {}
        for param in params:
            for raw in IMPOSSIBLE if param.name not in tried else ():
                begun = time.thread_time()
                with suppress(ValueError):
                    param.show(param.parse(raw, earlier))
                assert time.thread_time() - begun < 10, (page, param.name, raw[:40])
            tried.add(param.name)
            earlier[param.name] = param.default_for(earlier)


def keys_written_out(file: Path) -> set[str]:
    """The keys that a file gives to widgets of Streamlit as words of its own."""
    return {
        keyword.value.value
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        for keyword in node.keywords
        if keyword.arg == "key" and isinstance(keyword.value, ast.Constant) and isinstance(node.func.value, ast.Name)
        if node.func.value.id == "st" and node.func.attr not in ("container", "button")
    }


def test_a_declared_parameter_is_shown_by_its_declaration() -> None:
    names = {param.name for params in declared().values() for param in params}
    files = [ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "ui").rglob("*.py")]
    again = {f"{file.relative_to(ROOT)}: {key}" for file in files for key in keys_written_out(file) & names}
    assert again == set(), "show it with ui.drawing.controls, which takes label and values from the declaration"


def test_the_words_of_a_switch_are_those_of_its_values() -> None:
    for params in declared().values():
        for param in params:
            for value in param.options:
                assert param.set(value) == (param.name, value)
