"""What a page computes from its traces: the badge says what was checked another way, and turns red with it."""

from __future__ import annotations

import re
from html import unescape
from typing import Any, cast

import pytest
from page_driver import html, load, open_page
from streamlit.testing.v1 import AppTest

from attn_core.capture import again
from attn_core.capture.patches import Patches
from attn_core.traces.call import Call
from attn_core.views.derived_checks import DerivedCheck
from ui.server import derived, shared
from ui.step_by_step.strip import LAST

NAMES = ("hidden, joined or averaged", "words read off layers", "switched off")
TEXT = "a hungry tall old fox"


def badge(page: AppTest) -> str:
    (found,) = re.findall(r'<details class="hl-checked">.*?</details>', html(page), flags=re.S)
    return unescape(found)


def fresh_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """What visitors share, in which nothing has been read or checked yet; models are those that are there."""
    fresh = shared.SharedState()
    fresh.models, fresh.lines = shared.STATE.models, shared.STATE.lines
    monkeypatch.setattr(shared, "STATE", fresh)


def checked(page: AppTest) -> dict[str, str]:
    """What the badge says was checked of what the page computes: its name, and the error as it is read."""
    each = re.findall(r"<b>([a-z, ]+?) ([0-9].*?|not compared:)</b>", badge(page))
    return {name: error for name, error in each if name in NAMES}


def test_of_several_models_the_worst_counts_and_none_where_one_was_not_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors = {"a": 1e-7, "b": 3e-7, "c": None}
    monkeypatch.setattr(shared, "memoize", lambda model, *_: DerivedCheck("off", errors[model], 1e-4))
    names: list[Any] = ["a", "b", "a"]
    assert derived.switched_off(*names) == [DerivedCheck("off", 3e-7, 1e-4)]
    assert derived.switched_off(*names, cast(Any, "c")) == [DerivedCheck("off", None, 1e-4)]
    assert derived.switched_off() == []


@pytest.mark.parametrize(
    ("page", "params", "names"),
    [
        ("all_heads", {"model": "minilm", "text": TEXT}, NAMES[2:]),
        ("all_heads", {"model": "minilm", "text": TEXT, "specials": "hide", "mean": "all"}, NAMES[:1]),
        ("all_heads", {"model": "tiny-decoder", "text": TEXT, "specials": "hide"}, NAMES),
        ("all_heads", {"model": "tiny-decoder", "text": TEXT}, NAMES[1:]),
        ("compare_heads", {"model": "minilm", "text": TEXT}, NAMES[2:]),
        ("find_heads", {"model": "tiny-decoder", "text": TEXT, "find": "matter", "off": "0.3"}, NAMES[2:]),
        ("find_heads", {"model": "tiny-decoder", "text": TEXT, "find": "kinds"}, ()),
        ("why_there", {"model": "tiny-decoder", "text": TEXT, "off": "0.1"}, NAMES[2:]),
        ("why_there", {"model": "tiny-decoder", "text": TEXT, "why": "flow", "off": "0.1"}, NAMES[2:]),
        ("why_there", {"model": "tiny-decoder", "text": TEXT}, ()),
    ],
)
def test_a_badge_names_what_its_page_computes(page: str, params: dict[str, str], names: tuple[str, ...]) -> None:
    load(params["model"])
    run = open_page(page, **params)
    found = checked(run)
    assert tuple(found) == names and not any(error.startswith("not") for error in found.values())
    assert 'hl-badge ok">✓ checked:' in badge(run)


def test_a_changed_pass_on_the_page_is_checked_too() -> None:
    load("tiny-decoder")
    both, one = (
        badge(open_page("find_heads", model="tiny-decoder", text=TEXT, find="matter", off=off)) for off in ("0.3", "")
    )
    assert "of any layer of 2 passes" in both and "of any layer, against" in one


@pytest.mark.parametrize("page", ["all_heads", "delta_e", "step_by_step", "why_there", "find_heads", "compare_heads"])
def test_a_page_says_that_its_numbers_are_not_the_models(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that are a little too large."""
    load("tiny-decoder")
    fresh_state(monkeypatch)
    right = Call.scores
    monkeypatch.setattr(Call, "scores", lambda call, which: right(call, which) * 1.01)
    said = badge(open_page(page, model="tiny-decoder", text=TEXT, **({"step": LAST} if page == "step_by_step" else {})))
    assert 'hl-badge bad">✕ off by' in said and "✓ checked" not in said


@pytest.mark.parametrize("wrong", NAMES)
def test_what_is_computed_another_way_turns_the_page_red(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load("tiny-decoder")
    if wrong == "hidden, joined or averaged":
        from ui.all_heads import head

        full = head.full_pattern
        monkeypatch.setattr(head, "full_pattern", lambda *which: full(*which) * [1, 1.01, *[1] * 4])
    elif wrong == "words read off layers":
        right = again.logits_without_blocks
        monkeypatch.setattr(again, "logits_without_blocks", lambda model, vectors: right(model, vectors) * 1.001)
    else:
        right = Patches.heads
        monkeypatch.setattr(
            Patches, "heads", lambda own, site: {head - 1: put for head, put in right(own, site).items()}
        )
    fresh_state(monkeypatch)
    said = badge(open_page("all_heads", model="tiny-decoder", text=TEXT, specials="hide"))
    assert f'hl-badge bad">✕ {wrong}: another way to compute it gives something else<' in said
