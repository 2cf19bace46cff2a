"""What assets/canvas/boxes.js draws, call by call: areas to scale, fills, names, and the way in and out."""

from __future__ import annotations

from itertools import combinations

import pytest
from canvas_recorder import Recorder, middle

from attn_core.figures.canvas.boxes import boxes
from attn_core.figures.canvas.packet import unpack
from attn_core.figures.colours import roles

PARENTS = [0, 0, 0, 1, 1, 1, 2, 2]
LABELS = ["model", "block 0", "words", "query", "key", "MLP up", "positions", "types"]
COUNTS = [24_000_000, 16_000_000, 8_000_000, 4_000_000, 4_000_000, 8_000_000, 6_000_000, 2_000_000]
KINDS = ["model", "block", "block", "query", "key", "up", "position", "embedding"]
PACKET = boxes(PARENTS, LABELS, COUNTS, KINDS, "The whole model, to scale")
LEAVES = [3, 4, 5, 6, 7]


def apart(one: list[float], other: list[float]) -> bool:
    gap = 0.01
    beside = one[0] + one[2] <= other[0] + gap or other[0] + other[2] <= one[0] + gap
    return beside or one[1] + one[3] <= other[1] + gap or other[1] + other[3] <= one[1] + gap


def test_every_leaf_has_its_area_and_its_colour_and_none_lies_over_another(recorder: Recorder, theme: str) -> None:
    seen = recorder.draw("boxes", PACKET, theme=theme)
    rects, fills = seen.on("rect"), unpack(PACKET)[0]["fills"][theme]
    by_colour = {rect["colour"]: rect["box"] for rect in rects}
    assert set(by_colour) == {fills[KINDS[i]] for i in LEAVES} and len(rects) == 5
    wide, high = seen.all("canvas")[0]["size"]
    for i in LEAVES:
        _, _, width, height = by_colour[fills[KINDS[i]]]
        assert width * height == pytest.approx(wide * high * COUNTS[i] / COUNTS[0], rel=1e-3)
    assert all(apart(a, b) for a, b in combinations(by_colour.values(), 2))
    assert all(x >= 0 and y >= 0 and x + w <= wide + 0.01 and y + h <= high + 0.01 for x, y, w, h in by_colour.values())
    assert max(max(w / h, h / w) for *_, w, h in by_colour.values()) < 4  # as square as they come
    assert {frame["colour"] for frame in seen.on("frame")} == {roles(theme)["card"]}
    buttons = [button for button in seen.all("button") if button["classes"] != ["end"]]
    assert [button["aria-label"] for button in buttons] == [
        "block 0: 16,000,000 parameters, go inside",
        "words: 8,000,000 parameters, go inside",
    ]


def test_names_and_counts_stand_on_their_boxes(recorder: Recorder, theme: str) -> None:
    seen = recorder.draw("boxes", PACKET, theme=theme)
    texts, role = {text["text"]: text for text in seen.on("text")}, roles(theme)
    assert texts.keys() >= {"block 0", "16.0 M", "words", "8.00 M", "query", "MLP up"}
    assert texts["block 0"]["colour"] == role["ink"] and texts["16.0 M"]["colour"] == role["soft"]
    assert texts["16.0 M"]["at"][1] > texts["block 0"]["at"][1]
    boxes_of = {node["aria-label"].split(":")[0]: node["style"] for node in seen.all(".stage")[0]["inside"][1:]}
    for name, place in boxes_of.items():
        left, top, width, height = (
            float(place[side].removesuffix("px")) for side in ("left", "top", "width", "height")
        )
        x, y = texts[name]["at"]
        assert left < x < left + width / 2 and top < y < top + height / 2
    fills = unpack(PACKET)[0]["fills"][theme]
    (query,) = [rect["box"] for rect in seen.on("rect") if rect["colour"] == fills["query"]]
    x, y = texts["query"]["at"]
    assert query[0] < x < query[0] + query[2] and query[1] + query[3] / 2 < y < query[1] + query[3]  # at its foot


def test_a_click_goes_inside_and_the_path_leads_back(recorder: Recorder) -> None:
    inside = recorder.draw("boxes", PACKET, acts=[["click", "button:0"]])
    assert inside.told == [["enter", {"inside": "block 0"}]]
    assert inside.says("nav") == ["model›block 0"]
    assert inside.says(".read") == ["block 0: 16,000,000 parameters, 67 % of model."]
    assert len(inside.on("rect")) == 3
    assert [button["aria-label"] for button in inside.all(".end")] == [
        "query: 4,000,000 parameters",
        "key: 4,000,000 parameters",
        "MLP up: 8,000,000 parameters",
    ]
    back = recorder.draw("boxes", PACKET, acts=[["click", "button:0"], ["click", "button:0"]])
    assert back.told[1] == ["enter", {"inside": ""}] and back.says("nav") == ["model"]
    assert back.says(".read") == ["The whole model: 24,000,000 parameters. Point at a box to read it."]


def test_the_deepest_box_under_the_pointer_is_read(recorder: Recorder) -> None:
    plain = recorder.draw("boxes", PACKET)
    fills = unpack(PACKET)[0]["fills"]["light"]
    for i in LEAVES:
        (box,) = [rect["box"] for rect in plain.on("rect") if rect["colour"] == fills[KINDS[i]]]
        x, y = middle(box)
        seen = recorder.draw("boxes", PACKET, acts=[["pointermove", "button:0", {"clientX": x, "clientY": y}]])
        where = f"{LABELS[PARENTS[i]]} › {LABELS[i]}"
        assert seen.says(".read")[0].startswith(
            f"{where}: {COUNTS[i]:,} parameters, {100 * COUNTS[i] / COUNTS[0]:.2g} %"
        )


def test_what_the_page_shows_is_entered_and_an_old_answer_leads_nowhere(recorder: Recorder) -> None:
    shown = recorder.draw("boxes", PACKET, acts=[["update", "", {"inside": "words"}]])
    assert shown.says("nav") == ["model›words"] and shown.told == []
    old = recorder.draw("boxes", PACKET, acts=[["click", "button:0"], ["update", "", {"inside": "words"}]])
    assert old.says("nav") == ["model›block 0"]
    answered = recorder.draw(
        "boxes",
        PACKET,
        acts=[["click", "button:0"], ["update", "", {"inside": "block 0"}], ["update", "", {"inside": ""}]],
    )
    assert answered.says("nav") == ["model"]


def test_many_boxes_fill_the_picture_the_largest_first(recorder: Recorder) -> None:
    counts = [900, 50, 400, 30, 300, 250, 120, 80, 60, 10]
    packet = boxes([0] * 11, ["model", *(f"part {i}" for i in range(10))], [sum(counts), *counts], ["query"] * 11, "")
    seen = recorder.draw("boxes", packet)
    wide, high = seen.all("canvas")[0]["size"]
    found = [rect["box"] for rect in seen.on("rect")]
    assert all(apart(a, b) for a, b in combinations(found, 2))
    shares = [w * h / (wide * high) for *_, w, h in found]
    assert shares == pytest.approx([count / sum(counts) for count in counts], rel=1e-3)
    assert found[0][:2] == [0, 0] and all(
        x >= 0 and y >= 0 and x + w < wide + 1 and y + h < high + 1 for x, y, w, h in found
    )
    assert max(max(w / h, h / w) for *_, w, h in found) < 3  # as square as they come
