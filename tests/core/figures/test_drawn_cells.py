"""What assets/canvas/cells.js draws, call by call: cells, words in their roles' colours, frames, turned or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from canvas_recorder import Drawn, Recorder, middle, shades

from attn_core.figures import colours
from attn_core.figures.canvas.matrix import OpenedHead, Side, pack_cells
from attn_core.figures.canvas.packet import packet, unpack
from attn_core.text.numbers import percent
from attn_core.text.pairs import Segments

ASKS, ANSWERS = ["a", "<b>", "ox"], ["w", "x", "y", "z"]
MAY_LOOK = np.tril(np.ones((3, 4), bool), 1)
WEIGHTS = np.array([[0.25, 0.75, 0, 0], [0.5, 0.3, 0.2, 0], [0.05, 0.4, 0.55, 0]])
HEAD = OpenedHead((0, 3), "Head 0.3", "head 0.3", "Head {layer}.{head}", "Rows: {row}, columns: {column}.")


def head(**options: Any) -> bytes:
    """A head's weights: three words ask, four answer."""
    given = {
        "kind": "weights",
        "says": "{row} takes {value} from {column} in {head}",
        "alt": "a head",
        "limit": 1.0,
        "square": True,
        "choose": True,
        "scale": "sqrt",
        "chosen": (1, None),
        "masked": "×",
        **options,
    }
    asks = Side(ASKS, "query", "query", special=[True, False, False], positions=[3, 5, 9])
    answers = Side(ANSWERS, "key", "key", special=[False, True, False, False], slanted=not given.get("turned"), first=2)
    return pack_cells(np.where(MAY_LOOK, WEIGHTS, np.nan), asks, answers, **given)


def grid(seen: Drawn) -> tuple[list[float], list[float]]:
    """The middles of the rows and of the columns of what is filled or hatched."""
    boxes = [record["box"] for record in seen.canvas() if record["what"] in ("rect", "hatch")]
    return tuple(sorted({round(middle(box)[side], 2) for box in boxes}) for side in (1, 0))  # type: ignore[return-value]


def cells(seen: Drawn) -> list[list[str | None]]:
    """The colours as they lie on the canvas, row by row; None where it is hatched."""
    down, across = grid(seen)
    found: list[list[str | None]] = [["nothing"] * len(across) for _ in down]
    for record in seen.canvas():
        if record["what"] in ("rect", "hatch"):
            x, y = (round(at, 2) for at in middle(record["box"]))
            found[down.index(y)][across.index(x)] = record["colour"] if record["what"] == "rect" else None
    return found


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_each_cell_lies_where_its_words_are_and_has_its_colour(
    recorder: Recorder, theme: str, scale: str, turned: bool
) -> None:
    seen = recorder.draw("cells", head(turned=turned, scale=scale), theme=theme)
    shares = np.where(MAY_LOOK, np.sqrt(WEIGHTS) if scale == "sqrt" else WEIGHTS, np.nan)
    found = cells(seen)
    assert shades(found, colours.SEQUENTIAL[theme], shares.T if turned else shares)
    assert {record["colour"] for record in seen.on("hatch")} == {colours.roles(theme)["masked"]}
    down, across = grid(seen)
    written = {(word["text"], *word["at"]): word for word in seen.on("text")}
    for (text, x, y), word in written.items():
        if x < across[0] - 16 or y < down[0] - 12:
            continue  # a word beside the cells
        row, column = (int(np.abs(np.array(side) - at).argmin()) for side, at in ((down, y - 3.5), (across, x)))
        q, k = (column, row) if turned else (row, column)
        assert text == (f"{100 * WEIGHTS[q, k]:.0f}" if MAY_LOOK[q, k] else "×")
        fill = found[row][column]
        assert word["colour"] == (colours.ink_on(fill) if fill else colours.roles(theme)["soft"])
    assert len(written) == 12 + 7


@pytest.mark.parametrize("turned", [False, True])
def test_words_stand_at_their_rows_and_columns_in_their_roles_colours(
    recorder: Recorder, theme: str, turned: bool
) -> None:
    seen = recorder.draw("cells", head(turned=turned, chosen=(2, 3)), theme=theme)
    roles, (down, across) = colours.roles(theme), grid(seen)
    beside, above = (ANSWERS, ASKS) if turned else (ASKS, ANSWERS)
    labels = {word["text"]: word for word in seen.on("text") if word["text"] in ASKS + ANSWERS}
    for word, y in zip(beside, down, strict=True):
        assert abs(labels[word]["at"][1] - 4 - y) < 1 and labels[word]["align"] == "right" and not labels[word]["lean"]
        assert labels[word]["at"][0] < across[0] - 16
    for word, x in zip(above, across, strict=True):
        assert abs(labels[word]["at"][0] - x) < 3 and labels[word]["at"][1] < down[0] - 16
        assert (labels[word]["align"], labels[word]["lean"]) == (("center", 0) if turned else ("left", -56.25))
    inks = {word: label["colour"] for word, label in labels.items()}
    assert inks == {
        **dict.fromkeys(ASKS + ANSWERS, roles["ink"]),
        "a": roles["soft"],
        "x": roles["soft"],
        "ox": roles["query"],
        "z": roles["key"],
    }
    assert [word for word, label in labels.items() if label["weight"] == "600"] == (
        ["z", "ox"] if turned else ["ox", "z"]
    )


@pytest.mark.parametrize("turned", [False, True])
def test_the_chosen_query_and_the_chosen_cell_are_framed(recorder: Recorder, theme: str, turned: bool) -> None:
    seen = recorder.draw("cells", head(turned=turned, chosen=(1, 2)), theme=theme)
    down, across = grid(seen)
    around, query, cell = seen.on("frame")
    assert [frame["colour"] for frame in (around, query, cell)] == [
        colours.roles(theme)[role] for role in ("line", "query", "accent")
    ]
    x, y = middle(query["box"])
    long, thick = (3, 2) if turned else (2, 3)
    assert (x if turned else y) == pytest.approx((across if turned else down)[1], abs=1.5)
    side = down if turned else across
    assert side[-1] - side[0] + 20 < query["box"][long] < side[-1] - side[0] + 50  # all of it, and one cell thick:
    assert query["box"][thick] < 50
    assert middle(cell["box"]) == pytest.approx((across[1], down[2]) if turned else (across[2], down[1]), abs=1.5)
    plain = recorder.draw("cells", head(turned=turned, chosen=(None, None)))
    assert len(plain.on("frame")) == 1


@pytest.mark.parametrize("turned", [False, True])
def test_the_legend_says_who_asks_and_who_answers(recorder: Recorder, turned: bool) -> None:
    seen = recorder.draw("cells", head(turned=turned))
    asks, answers = (
        ("columns ask (query)", "rows answer (key)") if turned else ("rows ask (query)", "columns answer (key)")
    )
    assert (seen.says(".query")[0], seen.says(".key")[0]) == (asks, answers)
    assert seen.says(".legend") == [f"{asks}{answers}0 %100 %weight, √ scalemasked"]
    ramp = seen.all(".ramp")[0]["style"]["background"]
    assert ramp == f"linear-gradient(90deg, {','.join(colours.SEQUENTIAL['light'])})"
    linear = recorder.draw("cells", head(scale="linear"))
    assert "weightmasked" in linear.says(".legend")[0] and "√" not in linear.says(".legend")[0]
    assert recorder.draw("cells", head(legend=False)).says(".legend") == [""]


@pytest.mark.parametrize("turned", [False, True])
def test_a_cell_under_the_pointer_is_read_and_a_click_chooses_it(recorder: Recorder, turned: bool) -> None:
    plain = recorder.draw("cells", head(turned=turned))
    down, across = grid(plain)

    def over(query: int, key: int) -> dict[str, float]:
        return {"clientX": across[query if turned else key], "clientY": down[key if turned else query]}

    seen = recorder.draw("cells", head(turned=turned), acts=[["pointermove", ".board", over(2, 1)]])
    assert seen.says(".reading")[0].startswith("ox (query 9) takes 40 % from x (key 3)")
    reading = seen.all(".reading")[0]["inside"]
    assert [part["classes"] for part in reading if isinstance(part, dict) and part["tag"] == "span"] == [
        ["query"],
        ["key"],
    ]
    masked = recorder.draw("cells", head(turned=turned), acts=[["pointermove", ".board", over(0, 3)]])
    assert masked.says(".reading") == ["a (query 3) may not look at z (key 5): masked."]
    clicked = recorder.draw("cells", head(turned=turned), acts=[["click", ".board", over(2, 1)]])
    assert clicked.told == [["choose", {"row": 2, "column": 1}]]
    assert len(clicked.on("frame")) == 3


def test_a_click_on_a_words_name_chooses_its_row(recorder: Recorder) -> None:
    down, _ = grid(recorder.draw("cells", head()))
    seen = recorder.draw("cells", head(), acts=[["click", ".board", {"clientX": 3, "clientY": down[2]}]])
    assert seen.told == [["choose", {"row": 2, "column": None}]]


def test_the_keyboard_walks_and_chooses(recorder: Recorder) -> None:
    for turned, right, down in ((False, "ArrowRight", "ArrowDown"), (True, "ArrowDown", "ArrowRight")):
        acts = [["keydown", ".board", {"key": key}] for key in (right, right, down, "Enter")]
        seen = recorder.draw("cells", head(turned=turned, chosen=(0, 0)), acts=acts)
        assert seen.told == [["choose", {"row": 1, "column": 2}]]
        assert seen.says(".reading")[0].startswith("<b> (query 5) takes 20 % from y (key 4)")


@pytest.mark.parametrize("turned", [False, True])
def test_several_rows_are_marked_by_shift_and_read_as_one(recorder: Recorder, turned: bool) -> None:
    on, back = ("ArrowRight", "ArrowLeft") if turned else ("ArrowDown", "ArrowUp")
    shift = [["keydown", ".board", {"key": key, "shiftKey": True}] for key in (back, on, on)]
    one = head(turned=turned, joins=True)
    marked = recorder.draw("cells", one, acts=shift)
    assert marked.says(".reading") == ["<b> … ox: Enter reads them as one, Escape lets go."] and not marked.told
    (around,) = [record for record in marked.on("frame") if record["colour"] == colours.roles("light")["query"]]
    box, (down, across) = around["box"], grid(marked)
    start, size = (box[0], box[2]) if turned else (box[1], box[3])
    inside = [at for at in (across if turned else down) if start < at < start + size]
    assert len(inside) == 2, "the frame is around both rows"
    enter = [["keydown", ".board", {"key": "Enter"}]]
    told = [["choose", {"row": 1, "column": None, "to": 2}]]
    assert recorder.draw("cells", one, acts=shift + enter).told == told
    escape = [["keydown", ".board", {"key": "Escape"}]]
    assert recorder.draw("cells", one, acts=shift + escape + enter).told == [["choose", {"row": 1, "column": 0}]]
    x, y = (across[0], down[2]) if turned else (across[2], down[0])
    click = {"clientX": x, "clientY": y, "shiftKey": True}
    told = [["choose", {"row": 0, "column": None, "to": 1}]]
    assert recorder.draw("cells", one, acts=[["click", ".board", click]]).told == told
    plain = recorder.draw("cells", head(turned=turned), acts=[["click", ".board", click]])
    assert "to" not in plain.told[0][1], "only where rows may be joined"


def test_minus_infinity_is_masked_as_nan_is(recorder: Recorder) -> None:
    scores = np.array([[1.0, -np.inf], [np.nan, -1.0]])
    seen = recorder.draw("cells", pack_cells(scores, Side(["a", "b"]), Side(["c", "d"]), says="", alt="", square=True))
    assert [[colour is None for colour in row] for row in cells(seen)] == [[False, True], [True, False]]


def test_strips_have_signed_colours_a_hairline_and_numbers(recorder: Recorder, theme: str) -> None:
    numbers = np.array([[1.0, -2.0, 0.0], [0.5, 2.0, -0.5]])
    packet = pack_cells(numbers, Side(["one", "two"], "value"), Side(), says="{row} {column} {value}", alt="")
    seen = recorder.draw("cells", packet, theme=theme)
    assert shades(cells(seen), colours.DIVERGING[theme], (numbers + 2) / 4)
    frames = seen.on("frame")
    assert {frame["colour"] for frame in frames} == {colours.roles(theme)["line"]} and len(frames) == 2
    assert [round(middle(frame["box"])[1]) for frame in frames] == [round(y) for y in grid(seen)[0]]
    written = [text["text"] for text in seen.on("text") if text["align"] == "center"]
    assert written == ["1", "−2", "0", "0.50", "2", "−0.50"]
    assert seen.says(".legend") == ["−22value"]
    ramp = seen.all(".ramp")[0]["style"]["background"]
    assert ramp == f"linear-gradient(90deg, {','.join(colours.DIVERGING[theme])})"


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_many_cells_are_one_picture(recorder: Recorder, scale: str, turned: bool) -> None:
    rows, columns = 70, 80
    numbers = np.random.default_rng(0).random((rows, columns)) ** 3
    numbers[:, 60:] = np.nan
    sides = Side([f"q{i}" for i in range(rows)], "query"), Side([f"k{i}" for i in range(columns)], "key", slanted=True)
    options = {"kind": "weights", "limit": 1.0, "square": True, "scale": scale, "turned": turned, "says": "", "alt": ""}
    seen = recorder.draw("cells", pack_cells(numbers, *sides, **options))
    (stamp,) = seen.on("stamp")
    shares = np.sqrt(numbers) if scale == "sqrt" else numbers
    assert shades(stamp["cells"], colours.SEQUENTIAL["light"], shares.T if turned else shares)
    (hatch,) = seen.on("hatch")
    assert stamp["box"] == hatch["box"] and not stamp["smooth"] and not seen.on("rect")


def test_another_head_is_painted_from_its_tile_until_its_numbers_come(recorder: Recorder) -> None:
    own = recorder.draw("cells", head(opened=HEAD))
    assert own.says("h2") == ["Head 0.3"] and own.says(".explains") == ["Rows: query, columns: key."]
    assert own.all(".figure")[0]["aria-busy"] == "false"
    tile = np.where(MAY_LOOK, 254, 255)
    tile[2, 1] = 127
    opened = {"head": [1, 2], "cells": tile.ravel().tolist(), "pool": 1}
    over = {"clientX": grid(own)[1][1], "clientY": grid(own)[0][2]}
    seen = recorder.draw("cells", head(opened=HEAD), acts=[["opened", "", opened], ["pointermove", ".board", over]])
    assert seen.says("h2") == ["Head 1.2 ≈"] and seen.all(".figure")[0]["aria-busy"] == "true"
    shares = np.where(MAY_LOOK, tile / 254, np.nan)
    assert shades(cells(seen), colours.SEQUENTIAL["light"], shares)
    assert seen.says(".reading") == ["ox (query 9) takes ≈ 25 % from x (key 3) in head 1.2"]
    waiting = recorder.draw("cells", head(opened=HEAD), acts=[["opened", "", {"head": [1, 2]}]])
    assert waiting.says(".reading") == ["Waiting for the numbers of this head …"] and not waiting.on("rect")
    pooled = {"head": [1, 2], "cells": [254, 255, 127, 254], "pool": 2}
    seen = recorder.draw("cells", head(opened=HEAD, chosen=(None, None)), acts=[["opened", "", pooled]])
    assert seen.says(".reading") == ["≈ from the overview, 2 words a cell."]
    shared = np.array([[1, 1, np.nan, np.nan], [1, 1, np.nan, np.nan], [0.5, 0.5, 1, 1]])
    assert shades(cells(seen), colours.SEQUENTIAL["light"], shared)
    for trouble, said in (
        ("connection", "The connection was lost: you see head 0.3 again."),
        ("answer", "The server did not answer: you see head 0.3 again."),
    ):
        lost = recorder.draw("cells", head(opened=HEAD), acts=[["opened", "", {"head": [0, 3], "trouble": trouble}]])
        assert lost.says(".reading") == [said]


def test_a_long_sentence_shows_as_many_words_as_fit_and_the_chosen_one(recorder: Recorder) -> None:
    n = 60
    words = [f"w{i}" for i in range(n)]
    packet = pack_cells(
        np.eye(n), Side(words, "query"), Side(words, "key", slanted=True),
        says="", alt="", square=True, kind="weights", limit=1.0, chosen=(31, None),
    )  # fmt: skip
    seen = recorder.draw("cells", packet, width=620)
    beside = [text for text in seen.on("text") if text["align"] == "right"]
    assert "w31" in [text["text"] for text in beside]
    heights = [text["at"][1] for text in beside]
    assert min(np.diff(sorted(heights))) >= 12.5  # none covers another
    assert 20 < len(beside) < n


def test_blanks_are_read_aloud_by_their_names_and_arabic_is_written_in_one(recorder: Recorder) -> None:
    arabic = "السلام"
    packet = pack_cells(
        np.eye(2), Side(["⏎", arabic], "query", "query"), Side(["⇥", arabic], "key", "key", slanted=True),
        kind="weights", says="{row} takes {value} from {column}", alt="", limit=1.0, square=True, choose=True,
    )  # fmt: skip
    plain = recorder.draw("cells", packet)
    assert [word["text"] for word in plain.on("text") if word["text"] == arabic] == [arabic] * 2
    down, across = grid(plain)
    at = {"clientX": across[0], "clientY": down[0]}
    seen = recorder.draw("cells", packet, acts=[["pointermove", ".board", at]])
    words = [part for part in seen.all(".reading")[0]["inside"] if isinstance(part, dict) and "role" in part]
    assert [word["aria-label"] for word in words] == ["line break (query 0)", "tab (key 0)"]


@pytest.mark.parametrize("turned", [False, True])
def test_a_pair_has_a_line_between_its_segments_and_four_named_quadrants(
    recorder: Recorder, theme: str, turned: bool
) -> None:
    weights = np.where(MAY_LOOK, WEIGHTS, np.nan)
    segments = Segments.of(weights, 2, 2)
    packed = head(segments=segments, turned=turned)
    header, body = unpack(packed)
    header["segments"] |= {
        "counted": True,
        "shares": [[0, 0], [0, 0]],
    }  # as in a saved page, where each head that is opened is counted anew
    counted = recorder.draw("cells", packet(header, body), theme=theme)
    seen = recorder.draw("cells", packed, theme=theme)
    down, across = grid(seen)
    (upright, level) = seen.on("line")
    at_row, at_column = (across, down) if turned else (down, across)  # the middles of rows and of columns
    between_rows, between_columns = (at_row[1] + at_row[2]) / 2, (at_column[1] + at_column[2]) / 2
    x, y = (between_rows, between_columns) if turned else (between_columns, between_rows)
    assert upright["path"][0][1] == pytest.approx(x, abs=1.1) and level["path"][0][2] == pytest.approx(y, abs=1.1)
    order = [0, 2, 1, 3] if turned else [0, 1, 2, 3]
    named = [f"{name} {percent(share)}" for name, share in segments.by_name.items()]
    assert seen.says(".quadrants") == counted.says(".quadrants") == ["".join(named[i] for i in order)]
    assert named == ["A→A 90 %", "A→B 10 %", "B→A 45 %", "B→B 55 %"]
    assert "from A to B 10 %, from B to A 45 %" in seen.all(".board")[0]["aria-label"].replace("\xa0", " ")


def test_scores_of_a_pair_have_the_line_and_no_shares(recorder: Recorder) -> None:
    seen = recorder.draw("cells", head(segments=Segments(2, 2), kind="signed"))
    assert len(seen.on("line")) == 2 and not seen.all(".quadrants")
    assert "Attention from" not in seen.all(".board")[0]["aria-label"]


def test_one_text_has_no_quadrants(recorder: Recorder) -> None:
    seen = recorder.draw("cells", head())
    assert not seen.all(".quadrants") and not seen.on("line")
