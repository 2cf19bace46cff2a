"""What assets/canvas/links.js draws, call by call: which lines, from where to where, in whose colour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from canvas_recorder import Drawn, Recorder

from attn_core.figures import colours
from attn_core.figures.canvas.links import pack_links

ASKS, ANSWERS = ["a", "<b>", "ox"], ["w", "x", "y", "z"]
MAY_LOOK = np.tril(np.ones((3, 4), bool), 1)
WEIGHTS = np.array([[0.25, 0.75, 0, 0], [0.5, 0.3, 0.2, 0], [0.05, 0.395, 0.55, 0.005]])
OTHER = np.array([[0.6, 0.4, 0, 0], [0.1, 0.1, 0.8, 0], [0.3, 0.3, 0.3, 0.1]])
ROW = 22
QUERY, KEY = {"side": "query", "position": 2}, {"side": "key", "position": 1}


def packed(*patterns: np.ndarray, **options: Any) -> bytes:
    given = {"heads": ["0.3", "1.2"][: len(patterns)], "may_look": MAY_LOOK, **options}
    return pack_links(np.stack(patterns), ASKS, ANSWERS, query_positions=[3, 5, 9], **given)


def lines(seen: Drawn) -> dict[tuple[float, float], dict]:
    """The lines by their ends, in rows: (query, key) → line; all begin at one side and end at the other."""
    found = {}
    for line in seen.on("line"):
        (_, left, y1), (_, *bend, right, y2) = line["path"]
        assert left < 450 < right and bend[1] == y1 and bend[3] == y2 and left < bend[0] < bend[2] < right
        found[round(y1 / ROW - 0.5, 2), round(y2 / ROW - 0.5, 2)] = line
    assert len(found) == len(seen.on("line"))
    return found


def test_until_a_word_is_chosen_every_line_that_is_not_too_faint_is_drawn(recorder: Recorder, theme: str) -> None:
    found = lines(recorder.draw("links", packed(WEIGHTS), theme=theme))
    assert set(found) == {(q, k) for q, k in np.ndindex(3, 4) if MAY_LOOK[q, k] and WEIGHTS[q, k] >= 0.01}
    assert {line["colour"] for line in found.values()} == {colours.roles(theme)["soft"]}
    for (q, k), line in found.items():
        assert line["alpha"] == pytest.approx(min(1, 1.6 * WEIGHTS[int(q), int(k)] + 0.03) / 2, abs=0.002)
    said = recorder.draw("links", packed(WEIGHTS)).says(".said")
    assert said == ["Lines below 1 % are not drawn until a word is chosen."]


@pytest.mark.parametrize("pick", [QUERY, KEY])
def test_a_chosen_word_has_its_own_lines_in_its_roles_colour(recorder: Recorder, theme: str, pick: dict) -> None:
    seen = recorder.draw("links", packed(WEIGHTS), theme=theme, view={"pinned": pick})
    found, at = lines(seen), pick["position"]
    own = [(at, k) for k in range(4)] if pick is QUERY else [(q, at) for q in range(3)]
    assert list(found) == own
    assert {line["colour"] for line in found.values()} == {colours.roles(theme)[pick["side"]]}
    for (q, k), line in found.items():
        root = WEIGHTS[int(q), int(k)] ** 0.5
        assert line["width"] == pytest.approx(0.6 + 2.6 * root, abs=0.01)
        assert line.get("alpha", 1) == pytest.approx(min(1, 1.25 * root), abs=0.002)
    asks, answers = "To update ox (9), head 0.3 looks at ", "x (1) is looked at through head 0.3 by "
    if pick is QUERY:
        assert seen.says(".said") == [f"{asks}y (2) 55 %, x (1) 40 %, w (0) 5 %."]
        assert seen.says("small") == ["5 %", "40 %", "55 %"]
    else:
        assert seen.says(".said") == [f"{answers}a (3) 75 %, ox (9) 40 %, <b> (5) 30 %."]
        assert seen.says("small") == ["75 %", "30 %", "40 %"]
    words = seen.all(".word")
    asking = ["ox"] if pick is QUERY else ["a", "<b>", "ox"]
    assert [word["inside"][0] for word in words if "asks" in word["classes"]] == asking
    answering = ["x", "y"] if pick is QUERY else ["x"]
    assert [word["inside"][0] for word in words if "answers" in word["classes"]] == answering
    assert [word["inside"][0] for word in words if word["aria-pressed"] == "true"] == [
        (ASKS if pick is QUERY else ANSWERS)[at]
    ]
    roles = [part["classes"] for part in seen.all(".said")[0]["inside"] if isinstance(part, dict)]
    there = "key" if pick is QUERY else "query"
    assert roles == [[pick["side"]], *[[there]] * 3]


def test_masked_words_are_hatched_and_get_no_line(recorder: Recorder) -> None:
    seen = recorder.draw("links", packed(WEIGHTS), view={"pinned": {"side": "query", "position": 0}})
    assert set(lines(seen)) == {(0, 0), (0, 1)}
    masked = [word["inside"][0] for word in seen.all(".word") if "masked" in word["classes"]]
    assert masked == ["y", "z"]


def test_words_stand_beside_the_ends_of_their_lines(recorder: Recorder) -> None:
    seen = recorder.draw("links", packed(WEIGHTS, query_special=[True, False, False], query_words=[None, 1, 1]))
    left, right = (seen.all(f".{side}")[0]["inside"] for side in ("left", "right"))
    assert [word["says"] for word in left if word["tag"] == "button"] == ASKS
    assert [word["says"] for word in right] == ANSWERS
    for column in (left, right):
        tops = [word["style"]["top"] for word in column if word["tag"] == "button"]
        assert tops == [f"calc({ROW * i} * var(--hl-px, 1px))" for i in range(len(tops))]
    assert [word["says"] for word in seen.all(".special")] == ["a"]
    (join,) = seen.all(".join")
    assert join["style"]["top"] == "calc(33 * var(--hl-px, 1px))"  # between the second and the third row
    assert seen.says(".captions") == ["query askskey answers"]
    assert seen.says(".query") == ["query"] and seen.says(".key") == ["key"]
    assert left[2]["aria-label"] == "ox (query 9)" and right[2]["aria-label"] == "y (key 2)"


def test_several_heads_have_their_own_colours(recorder: Recorder, theme: str) -> None:
    seen = recorder.draw("links", packed(WEIGHTS, OTHER), theme=theme, view={"pinned": QUERY})
    drawn = seen.on("line")
    assert [line["colour"] for line in drawn] == sum(([c] * 4 for c in colours.CATEGORIES[theme][:2]), [])
    buttons = seen.all(".heads")[0]["inside"]
    assert [button["says"] for button in buttons] == ["head 0.3", "head 1.2"]
    assert [button["style"]["--colour"] for button in buttons] == colours.CATEGORIES[theme][:2]
    ends = [line["path"][0][2] for line in drawn]
    assert ends == [54.0] * 4 + [56.0] * 4  # beside each other, not over each other
    fewer = recorder.draw("links", packed(WEIGHTS, OTHER), view={"pinned": QUERY}, acts=[["click", "button:0"]])
    assert {line["colour"] for line in fewer.on("line")} == {colours.CATEGORIES["light"][1]}
    assert fewer.says(".said")[0].startswith("To update ox (9), head 1.2 looks at")
    assert "head 0.3" not in fewer.says(".said")[0]


def test_the_word_under_the_pointer_is_shown_and_a_click_keeps_it(recorder: Recorder, theme: str) -> None:
    seen = recorder.draw("links", packed(WEIGHTS), theme=theme, acts=[["pointermove", ".word:1"]])  # "<b>" asks
    strong = [line for line in seen.on("line") if line["colour"] == colours.roles(theme)["query"]]
    assert {line["path"][0][2] for line in strong} == {1.5 * ROW} and len(strong) == 3
    faint = [line["alpha"] for line in seen.on("line") if line["colour"] == colours.roles(theme)["soft"]]
    assert len(faint) == 8 and max(faint) < 0.17  # the others stay, far behind
    left = recorder.draw("links", packed(WEIGHTS), acts=[["pointermove", ".word:1"], ["pointerleave", ".scroll"]])
    assert {line["colour"] for line in left.on("line")} == {colours.roles("light")["soft"]}
    kept = recorder.draw("links", packed(WEIGHTS), acts=[["click", ".word:4"]])
    assert kept.told == [["pin", {"side": "key", "position": 1}]]
    again = recorder.draw("links", packed(WEIGHTS), acts=[["click", ".word:4"], ["click", ".word:4"]])
    assert again.told[1] == ["pin", None]


def test_the_keyboard_walks_along_a_side_and_across(recorder: Recorder) -> None:
    acts = [["focus", ".word:0"], *(["keydown", "", {"key": key}] for key in ("ArrowDown", "ArrowRight", "ArrowDown"))]
    seen = recorder.draw("links", packed(WEIGHTS), acts=acts)
    assert seen.says(".said")[0].startswith("y (2) is looked at through head 0.3")
    assert [word["says"] for word in seen.all(".word") if word["tab"] == 0] == ["<b>20\u00a0%", "y"]


def test_a_word_that_looks_at_itself(recorder: Recorder) -> None:
    own = np.array([[0.9, 0.1], [0.2, 0.8]])
    seen = recorder.draw(
        "links", pack_links(own[None], ["a", "b"], heads=["0.3"]), view={"pinned": {"side": "query", "position": 1}}
    )
    assert seen.says(".said") == ["To update b (1), head 0.3 looks at itself 80 %, a (0) 20 %."]
    nothing = pack_links(np.zeros((1, 2, 2)), ["a", "b"], heads=["0.3"])
    seen = recorder.draw("links", nothing, view={"pinned": {"side": "query", "position": 1}})
    assert seen.says(".said") == ["To update b (1), head 0.3 looks at nothing above 1 %."] and not seen.on("line")


def test_another_heads_lines_come_from_its_tile_until_they_are_there(recorder: Recorder) -> None:
    tile = np.where(MAY_LOOK, 127, 255)
    opened = {"head": [1, 2], "cells": tile.ravel().tolist(), "pool": 1}
    seen = recorder.draw("links", packed(WEIGHTS, of=(0, 3)), view={"pinned": QUERY}, acts=[["opened", "", opened]])
    assert len(lines(seen)) == 4
    assert seen.says(".said")[0].startswith("To update ox (9), head 1.2 (≈) looks at w (0) 25 %")
    waiting = recorder.draw("links", packed(WEIGHTS, of=(0, 3)), acts=[["opened", "", {"head": [1, 2]}]])
    assert waiting.says(".said") == ["Waiting for the lines of head 1.2 …"] and not waiting.on("line")


def test_a_line_break_is_read_aloud_by_its_name(recorder: Recorder) -> None:
    packet = pack_links(np.array([[[0.9, 0.1], [0.2, 0.8]]]), ["⏎", "a"], heads=["0.3"])
    seen = recorder.draw("links", packet, view={"pinned": {"side": "query", "position": 1}})
    first = seen.all(".word")[0]
    assert first["inside"][0] == "⏎" and first["aria-label"] == "line break (query 0)"
    spans = [part for part in seen.all(".said")[0]["inside"] if isinstance(part, dict)]
    assert [(span["says"], span.get("role"), span.get("aria-label")) for span in spans] == [
        ("a (1)", None, None),
        ("itself", None, None),
        ("⏎ (0)", "img", "line break (0)"),
    ]


def test_a_word_of_arabic_is_one_text_whose_letters_join(recorder: Recorder) -> None:
    words = ["السلام", "می\u200cخواهم", "שלום"]
    seen = recorder.draw("links", pack_links(np.full((1, 3, 3), 1 / 3), words, heads=["0.3"]))
    assert [word["inside"] for word in seen.all(".word")] == [[word] for word in words] * 2
