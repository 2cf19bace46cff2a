"""Anything may come as a widget's value or as a click on a picture: what is wrong is as if it was never sent."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from page_driver import VIEWS, html
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.testing.v1 import AppTest

from ui.widget_values import SENT_AS

ROOT = Path(__file__).parents[2]
PAGES = ["app.py", *sorted(f"pages/{file.name}" for file in (ROOT / "pages").glob("*.py"))]
DEEP = "[" * 100_000
KINDS = {
    "bool_value": True,
    "int_value": 10**9,
    "double_value": float("nan"),
    "string_value": "no such thing",
    "int_array_value": [-1, 10**9],
    "double_array_value": [float("inf")],
    "string_array_value": ["no such thing", "99.99"],
    "json_value": '{"selection": {"rows": ["one"]}}',
    "json_trigger_value": '{"no": "event"}',
    "bytes_value": b"\xff",
}
# The texts that a widget which holds JSON is told: tables, charts, editors.
HELD = [
    DEEP, "{", "null", "7", '"x"', "[]", '{"selection": 7}', '{"selection": {"rows": [1000000000]}}',
    '{"selection": {"rows": ["one"], "cells": [7]}}', '{"selection": {"rows": 7}}', '{"selection": {"rows": [true]}}',
    '{"selection": {"rows": [-1]}}', '{"selection": {"points": [7]}}', '{"selection": {"points": [{}]}}',
    '{"selection": {"points": [{"customdata": ["a", {}], "point_index": "b"}]}}', '{"selection": {"points": 7}}',
    '{"selection": {"points": [{"customdata": [1000000000, 1000000000], "point_index": 1000000000}]}}',
    '{"edited_rows": 7}', '{"edited_rows": {"x": 1}}', '{"edited_rows": {"0": 7}}',
    '{"edited_rows": {"0": {"no such column": 1}}}', '{"edited_rows": {"1000000000": {"animal": 1}}}',
    '{"edited_rows": {"0": {"animal": "x", "number 0": []}}}', '{"edited_rows": {"0": {"animal": "nan"}}}',
]  # fmt: skip
# What a picture is told to have been clicked on.
CLICKS = [
    None, 7, "x", [], {}, {"layer": 0}, {"layer": 10**9, "head": 0}, {"layer": "0", "head": "0"},
    {"layer": -1, "head": -1}, {"layer": 0, "head": 0, "more": 1}, {"layer": True, "head": False},
    {"layer": 0, "head": 0, "query": 0, "key": 0, "click": "late"}, {"layer": [0], "head": {}},
    {"row": 10**9, "column": None}, {"column": 0}, {"row": "0", "column": 0}, {"row": 0.5, "column": 0.5},
    {"row": -1, "column": 0}, {"panel": 0, "query": 10**9, "key": 0}, {"panel": 0, "query": -1, "key": -1},
    {"panel": 9, "query": 0}, {"side": "query", "position": 10**9}, {"side": "up", "position": 0},
    {"side": "key", "position": None}, {"side": None, "position": 3}, {"side": ["query"], "position": 0},
    {"step": 9}, {"step": 0}, {"step": "2"}, {"step": True}, {"step": 2, "more": 1}, {"word": 10**9}, {"word": -1},
    {"word": "3"}, {"word": None}, {"inside": 7}, {"inside": ["a"]}, {"inside": "no/such/box"},
    {"inside": None}, {"__class__": 1},
]  # fmt: skip
EVENTS = ("opened", "pinned", "chosen", "entered", "changed", "went", "followed", "no such event")


def forged(widget: str, kind: str, value: object) -> WidgetState:
    state = WidgetState(id=widget)
    if kind.endswith("array_value"):
        getattr(state, kind).data.extend(value)
    else:
        setattr(state, kind, value)
    return state


def widgets(page: AppTest) -> dict[str, str]:
    """Every widget that the page has, and the kind of value that it holds."""
    known = page._session_state._state._new_widget_state.widget_metadata
    return {name: widget.value_type for name, widget in known.items()}


def told(own: str, dice: random.Random) -> tuple[str, object]:
    """Something wrong for a widget that holds this kind of value: another kind, or nonsense of its own."""
    nonsense: dict[str, list[object]] = {
        "json_value": HELD,
        "json_trigger_value": [
            *(json.dumps([{"event": event, "value": click} for event in EVENTS]) for click in CLICKS),
            *(DEEP, "{", "7", '[7, "x", {}]', '{"event": ["opened"]}', '[{"event": "opened"}]'),
        ],
        "double_array_value": [[float("nan")], [1e300], [-1e9], [-5.0, 5.0, 5.0]],
        "double_value": [float("nan"), 1e9, -1e9],
        "string_array_value": [["no such thing"], ["x"] * 1000],
    }
    if own == "double_value" and dice.random() < 0.3:
        return "int_value", 10**9  # a field's number as a browser sends it, beyond its end
    if own in nonsense and dice.random() < 0.7:
        return own, dice.choice(nonsense[own])
    kind = dice.choice([kind for kind in KINDS if kind not in SENT_AS.get(own, (own,))])
    return kind, KINDS[kind]


def forge(script: str, n_messages: int, view: dict[str, str] | None = None) -> None:
    """Send so many messages, in each of them something wrong for every widget of the page."""
    page = AppTest.from_file(str(ROOT / script), default_timeout=300)
    page.query_params.update({"v": "1", **(view or {})})
    page.run()
    assert not page.exception, page.exception
    dice, before, sent, wrong = random.Random(script), dict(page.query_params), 0, []
    for _ in range(n_messages):
        message = [forged(name, *told(own, dice)) for name, own in widgets(page).items()]
        sent += len(message)
        page._run(WidgetStates(widgets=message))
        wrong += [f"{error.message}: {error.stack_trace[-3:]}" for error in page.exception]
        if "Something went wrong" in html(page):
            wrong.append(f"the page failed: {message}"[:2000])
        if dict(page.query_params) != before:
            wrong.append(f"{before} became {dict(page.query_params)}")
    assert not wrong, "\n".join(wrong)
    assert sent >= 4 * n_messages, sent


def test_a_whole_number_counts_as_a_browser_sends_it() -> None:
    """A browser sends a field's whole number as such, though the field declares, and `AppTest` sends, a real one."""
    page = AppTest.from_file(str(ROOT / "pages/parameters.py"), default_timeout=300)
    page.query_params.update({"v": "1", "preset": "gpt2", "own": "1"})
    page.run()
    field = page.number_input("d_model")
    page._run(WidgetStates(widgets=[forged(field.id, "int_value", 780)]))
    assert page.number_input("d_model").value == 780
    assert page.query_params["d_model"] == "780"


@pytest.mark.parametrize("field", ["int_value", "double_value"])
@pytest.mark.parametrize("number", [10**9, -1, 0])
def test_a_number_beyond_a_fields_ends_counts_as_not_sent(field: str, number: int) -> None:
    """Not as the field's start, and not as the nearest one: what the visitor had stays."""
    page = AppTest.from_file(str(ROOT / "pages/parameters.py"), default_timeout=300)
    page.query_params.update({"v": "1", "preset": "gpt2", "own": "1", "d_model": "780"})
    page.run()
    page._run(WidgetStates(widgets=[forged(page.number_input("d_model").id, field, number)]))
    assert page.number_input("d_model").value == 780
    assert page.query_params["d_model"] == "780"


@pytest.mark.parametrize("script", PAGES)
def test_what_no_browser_would_send_changes_nothing_and_fails_nothing(script: str) -> None:
    """Every page, six messages each, at least four widgets in each message: 384 states and more."""
    forge(script, 6)


@pytest.mark.parametrize(("script", "view"), [(script, view) for script in VIEWS for view in VIEWS[script]])
def test_nor_where_a_page_shows_another_view(script: str, view: dict[str, str]) -> None:
    forge(script, 3, view)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("script", PAGES)
def test_hundreds_of_messages_of_nonsense_change_nothing(script: str) -> None:
    forge(script, 300)
