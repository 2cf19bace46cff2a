"""What assets/canvas/panels.js draws, call by call: the cells of each panel, its words, what is framed and read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from canvas_recorder import Drawn, Recorder, middle, shades

from attn_core.figures import colours
from attn_core.figures.canvas import panels as canvas_panels
from attn_core.figures.canvas.panels import Panel, pack_panels

ASKS, ANSWERS = ["a", "<b>", "ox"], ["w", "x", "y", "z"]
MAY_LOOK = np.tril(np.ones((3, 4), bool), 1)
A = np.where(MAY_LOOK, [[0.25, 0.75, 0, 0], [0.5, 0.3, 0.2, 0], [0.05, 0.4, 0.55, 0]], np.nan)
DIFFERENCE = np.where(MAY_LOOK, [[0.5, -0.5, 0, 0], [-0.25, 0.125, 0.125, 0], [0, 0.05, -0.05, 0]], np.nan)
BOTH = [
    Panel("A", "head 0.3", A, ASKS, ANSWERS, [True, False, False], [False, True, False, False], note="MiniLM"),
    Panel("A − B", "A − B", DIFFERENCE, ASKS, ANSWERS, signed=True),
]


def cells(seen: Drawn, panel: int) -> tuple[list[float], list[float], list[list[str | None]]]:
    """The middles of rows and columns, and the colours between; None where nothing covers the hatch."""
    shown = [record for record in seen.on("rect", panel) if record["box"][2] == record["box"][3] > 5][1::2]
    down, across = (sorted({round(middle(record["box"])[side], 2) for record in shown}) for side in (1, 0))
    found: list[list[str | None]] = [[None] * len(across) for _ in down]
    for record in shown:
        x, y = (round(at, 2) for at in middle(record["box"]))
        found[down.index(y)][across.index(x)] = record["colour"]
    return down, across, found


def over(seen: Drawn, query: int, key: int) -> dict[str, float]:
    down, across, _ = cells(seen, 0)
    return {"clientX": across[key], "clientY": down[query]}


@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_each_cell_lies_in_its_querys_row_and_its_keys_column(recorder: Recorder, theme: str, scale: str) -> None:
    seen = recorder.draw("panels", pack_panels(BOTH), theme=theme, view={"scale": scale})
    weights, differences = (cells(seen, panel)[2] for panel in (0, 1))
    assert shades(weights, colours.SEQUENTIAL[theme], np.sqrt(A) if scale == "sqrt" else A)
    assert shades(differences, colours.DIVERGING[theme], DIFFERENCE + 0.5)  # blue below 0, orange above, on any scale
    for panel in (0, 1):
        (hatch,) = seen.on("hatch", panel)
        assert hatch["colour"] == colours.roles(theme)["masked"]
        down, across, _ = cells(seen, panel)
        x, y = middle(hatch["box"])
        assert (x, y) == pytest.approx((np.mean(across), np.mean(down)), abs=1)
    named = "weight, √ scale" if scale == "sqrt" else "weight, linear scale"
    legend = f"0 %100 %{named}−50 points+50 pointsdifferencemasked: may not be looked at"
    assert seen.says(".legend") == [legend]
    ramps = [ramp["style"]["background"] for ramp in seen.all(".ramp")]
    steps = colours.SEQUENTIAL[theme], colours.DIVERGING[theme]
    assert ramps == [f"linear-gradient(90deg, {','.join(colour)})" for colour in steps]


def test_words_stand_at_their_rows_and_columns_in_their_roles_colours(recorder: Recorder, theme: str) -> None:
    packet, roles = pack_panels(BOTH), colours.roles(theme)
    plain = recorder.draw("panels", packet)
    acts = [["pointermove", "canvas:1", over(plain, 2, 3)]]
    for view, moves, marked in (
        ({"query": 1}, [], {"<b>": "query"}),
        ({"query": 1}, acts, {"ox": "query", "z": "key"}),
    ):
        seen = recorder.draw("panels", packet, theme=theme, view=view, acts=moves)
        down, across, _ = cells(seen, 0)
        labels = {text["text"]: text for text in seen.on("text", 0)}
        for word, y in zip(ASKS, down, strict=True):
            assert labels[word]["at"][1] == pytest.approx(y, abs=1) and labels[word]["base"] == "middle"
            assert labels[word]["align"] == "right" and labels[word]["at"][0] < across[0] - 16
        for word, x in zip(ANSWERS, across, strict=True):
            assert labels[word]["at"][0] == pytest.approx(x, abs=1) and labels[word]["at"][1] < down[0] - 16
            assert (labels[word]["align"], labels[word]["lean"]) == ("left", -56.25)
        special = dict.fromkeys(("a", "x"), roles["soft"])
        assert {word: label["colour"] for word, label in labels.items()} == {
            **dict.fromkeys(ASKS + ANSWERS, roles["ink"]),
            **special,
            **{word: roles[role] for word, role in marked.items()},
        }


def test_what_is_chosen_painted_and_pointed_at_is_framed_in_every_panel(recorder: Recorder, theme: str) -> None:
    packet, roles = pack_panels(BOTH), colours.roles(theme)
    plain = recorder.draw("panels", packet)
    down, across, _ = cells(plain, 0)
    view = {"query": 1, "painted": [[2, 0]]}
    acts = [["pointermove", "canvas:0", over(plain, 2, 3)]]
    seen = recorder.draw("panels", packet, theme=theme, view=view, acts=acts)
    for panel in (0, 1):
        painted, chosen, row, column, cell = seen.on("frame", panel)
        assert [frame["colour"] for frame in (painted, chosen, row, column, cell)] == [
            roles[role] for role in ("accent", "query", "query", "key", "ink")
        ]
        assert middle(painted["box"]) == pytest.approx((across[0], down[2]), abs=1.5)
        for frame, y in ((chosen, down[1]), (row, down[2])):
            assert middle(frame["box"]) == pytest.approx((np.mean(across), y), abs=1.5)
            assert frame["box"][2] == 4 * frame["box"][3]
        assert middle(column["box"]) == pytest.approx((across[3], np.mean(down)), abs=1.5)
        assert column["box"][3] == 3 * column["box"][2]
        assert middle(cell["box"]) == pytest.approx((across[3], down[2]), abs=1.5)
    later = recorder.draw("panels", packet, view={"query": 0}, acts=[["update", "", view]])
    assert later.canvas() == recorder.draw("panels", packet, view=view).canvas()
    gone = recorder.draw("panels", packet, acts=[*acts, ["pointerleave", "canvas:0"]])
    assert not gone.on("frame", 0)


def test_a_cell_under_the_pointer_is_read_under_every_panel(recorder: Recorder) -> None:
    packet = pack_panels(BOTH)
    plain = recorder.draw("panels", packet)
    assert plain.says(".reads") == ["Point at a cell: it is marked in every panel.", ""]
    seen = recorder.draw("panels", packet, acts=[["pointermove", "canvas:1", over(plain, 2, 1)]])
    assert seen.says(".reads") == [
        "To update ox (query 2), head 0.3 takes 40 % from x (key 1).",
        "From ox (query 2) to x (key 1): +5 points.",
    ]
    assert seen.says(".query") == ["ox (query 2)"] * 2 and seen.says(".key") == ["x (key 1)"] * 2
    masked = recorder.draw("panels", packet, acts=[["pointermove", "canvas:0", over(plain, 0, 3)]])
    assert masked.says(".reads") == ["a (query 0) may not look at z (key 3): masked."] * 2
    assert seen.says("h3") == ["A", "A − B"] and seen.says(".about") == ["MiniLM", ""]


def test_a_word_that_one_sentence_lacks_is_a_dot_and_not_masked(recorder: Recorder, theme: str) -> None:
    gap = Panel("B", "head 0.3", np.where(np.arange(4) == 2, np.nan, np.ones((3, 4)) / 4), ASKS, ["w", "x", None, "z"])
    seen = recorder.draw("panels", pack_panels([gap]), theme=theme)
    dots = [record for record in seen.on("rect") if record["box"][2] == 3]
    assert len(dots) == 3 and {dot["colour"] for dot in dots} == {colours.roles(theme)["line"]}
    assert seen.says(".legend") == ["0 %100 %weight, √ scalenot in this sentence"]
    assert [text["text"] for text in seen.on("text")] == [*ASKS, "w", "x", "z"]
    spot = {"clientX": middle(dots[0]["box"])[0], "clientY": middle(dots[0]["box"])[1]}
    read = recorder.draw("panels", pack_panels([gap]), acts=[["pointermove", "canvas:0", spot]])
    assert read.says(".reads") == ["This sentence has no such word."]


def test_a_click_tells_panel_query_and_key(recorder: Recorder) -> None:
    packet = pack_panels(BOTH)
    where = over(recorder.draw("panels", packet), 2, 3)
    seen = recorder.draw("panels", packet, acts=[["click", "canvas:1", where]])
    assert seen.told == [["choose", {"panel": 1, "query": 2, "key": 3}]]
    acts = [["keydown", "canvas:0", {"key": key}] for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Enter")]
    seen = recorder.draw("panels", packet, view={"query": 1}, acts=acts)
    assert seen.told == [["choose", {"panel": 0, "query": 2, "key": 2}]]  # from the row of the word that is followed


def test_words_that_share_a_cell(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["the", "<b>", "ox", "a", "fox"]
    numbers = np.linspace(0.05, 0.9, 25).reshape(5, 5)
    monkeypatch.setattr(canvas_panels, "BUDGET", 99)
    packet = pack_panels([Panel("A", "head 0.3", numbers, words, words)])
    plain = recorder.draw("panels", packet, view={"query": 3, "scale": "linear"})
    down, _, found = cells(plain, 0)
    shares = np.array([[numbers[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max() for j in range(3)] for i in range(3)])
    assert shades(found, colours.SEQUENTIAL["light"], shares)
    (frame,) = plain.on("frame")
    assert middle(frame["box"])[1] == pytest.approx(down[1], abs=1.5)
    seen = recorder.draw("panels", packet, acts=[["pointermove", "canvas:0", over(plain, 1, 2)]])
    assert seen.says(".query") == ["ox … a (queries 2–3)"] and seen.says(".key") == ["fox (key 4)"]
    assert seen.says(".legend")[0].endswith("≈ each cell is the strongest of 2 × 2")
    clicked = recorder.draw("panels", packet, acts=[["click", "canvas:0", over(plain, 1, 2)]])
    assert clicked.told == [["choose", {"panel": 0, "query": 2, "key": 4}]]


@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_a_long_sentence_is_one_picture_a_panel(recorder: Recorder, theme: str, scale: str) -> None:
    numbers = np.random.default_rng(1).random((90, 100)) ** 2
    numbers[np.triu_indices(90, 1)] = np.nan
    words = [f"w{i}" for i in range(100)]
    packet = pack_panels([Panel("A", "head 0.3", numbers, words[:90], words)])
    seen = recorder.draw("panels", packet, theme=theme, width=400, view={"scale": scale, "query": 31})
    (stamp,) = seen.on("stamp")
    assert shades(stamp["cells"], colours.SEQUENTIAL[theme], np.sqrt(numbers) if scale == "sqrt" else numbers)
    assert not stamp["smooth"] and not seen.on("rect")
    x, y, wide, high = stamp["box"]
    assert wide / high == pytest.approx(100 / 90)
    beside: list[Any] = [text for text in seen.on("text") if text["align"] == "right"]
    assert "w31" in [text["text"] for text in beside] and len(beside) < 45
    assert min(np.diff([text["at"][1] for text in beside])) >= 12.5
    for text in beside:
        assert text["at"][1] == pytest.approx(y + (int(text["text"][1:]) + 0.5) * high / 90, abs=0.1)


def test_panels_stand_beside_each_other_as_long_as_there_is_room(recorder: Recorder) -> None:
    for width, columns in ((900, 2), (500, 1)):
        seen = recorder.draw("panels", pack_panels(BOTH), width=width)
        assert seen.all(".panels")[0]["style"]["gridTemplateColumns"] == f"repeat({columns}, minmax(0, 1fr))"
        sizes = [canvas["size"] for canvas in seen.all("canvas")[:2]]
        assert sizes[0] == sizes[1] and sizes[0][0] <= width / columns


def test_a_line_break_is_read_aloud_by_its_name(recorder: Recorder) -> None:
    packet = pack_panels([Panel("A", "head 0.3", A, ["a", "⏎", "ox"], ANSWERS)])
    where = over(recorder.draw("panels", packet), 1, 0)
    seen = recorder.draw("panels", packet, acts=[["pointermove", "canvas:0", where]])
    (word,) = seen.all(".query")
    assert (word["says"], word["role"], word["aria-label"]) == ("⏎ (query 1)", "img", "line break (query 1)")
    assert "role" not in seen.all(".key")[0]
