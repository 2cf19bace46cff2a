"""What assets/canvas/overview.js draws, call by call: each head's cells at their place, numbers, kinds, preview."""

from __future__ import annotations

import numpy as np
import pytest
from canvas_recorder import Drawn, Recorder, shades

from attn_core.figures import colours
from attn_core.figures.canvas import heads
from attn_core.figures.canvas.heads import pack_kinds, pack_patterns, pack_values

ASKS, ANSWERS = ["a", "<b>", "ox"], ["w", "x", "y", "z"]  # as many rows as columns would hide a turned picture
MAY_LOOK = np.tril(np.ones((3, 4), bool), 1)
PATTERNS = np.random.default_rng(3).dirichlet(np.ones(4), size=(2, 3, 3)).astype(np.float32)  # [layer, head, …]


def patterns(**options: object) -> bytes:
    return pack_patterns(list(PATTERNS), 2, ASKS, ANSWERS, may_look=MAY_LOOK, **options)


def box_of(tile: dict) -> list[float]:
    return [float(tile["style"][side].removesuffix("px")) for side in ("left", "top", "width", "height")]


@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_each_tile_holds_the_cells_of_its_head(recorder: Recorder, theme: str, scale: str) -> None:
    seen = recorder.draw("overview", patterns(), theme=theme, view={"scale": scale})
    stamps, hatches, tiles = seen.on("stamp"), seen.on("hatch"), seen.all(".tile")
    assert len(stamps) == len(hatches) == len(tiles) == 6
    boxes = np.array([box_of(tile) for tile in tiles]).reshape(2, 3, 4)
    assert (boxes[..., 0] == boxes[:1, :, 0]).all() and (np.diff(boxes[0, :, 0]) > boxes[0, 0, 2]).all()  # heads across
    assert (boxes[..., 1] == boxes[:, :1, 1]).all() and boxes[1, 0, 1] > boxes[0, 0, 1] + boxes[0, 0, 3]  # layers down
    shown = PATTERNS if scale == "linear" else np.sqrt(PATTERNS)
    for stamp, hatch, tile, share in zip(stamps, hatches, tiles, shown.reshape(6, 3, 4), strict=True):
        assert stamp["box"] == hatch["box"] == box_of(tile) and not stamp["smooth"]
        assert hatch["colour"] == colours.roles(theme)["masked"]
        assert shades(stamp["cells"], colours.SEQUENTIAL[theme], np.where(MAY_LOOK, share, np.nan))
    assert [tile["aria-label"] for tile in tiles][4] == "Layer 1, head 1"


def test_layers_and_heads_are_numbered_beside_their_tiles(recorder: Recorder, theme: str) -> None:
    seen = recorder.draw("overview", patterns(), theme=theme)
    numbers, tiles = seen.on("text"), [box_of(tile) for tile in seen.all(".tile")]
    assert [number["text"] for number in numbers] == ["0", "1", "2", "0", "1"]
    assert {number["colour"] for number in numbers} == {colours.roles(theme)["soft"]}
    for number, (left, top, side, _) in zip(numbers[:3], tiles[:3], strict=True):
        assert number["at"] == [left + side / 2, 12] and number["align"] == "center" and top > 12
    for number, (left, top, _, high) in zip(numbers[3:], tiles[::3], strict=True):
        assert number["at"] == [4, top + high / 2 + 4] and number["align"] == "left" and left > 4 + 12 * 0.6


def test_the_legend_names_the_scale_that_is_drawn(recorder: Recorder) -> None:
    for scale, named in (("sqrt", "weight, √ scale"), ("linear", "weight, linear scale")):
        seen = recorder.draw("overview", patterns(), view={"scale": "sqrt"}, acts=[["update", "", {"scale": scale}]])
        assert seen.says(".legend") == [f"0 %100 %{named}masked: may not be looked at"]
    ramp = seen.all(".ramp")[0]["style"]["background"]
    assert ramp == f"linear-gradient(90deg, {','.join(colours.SEQUENTIAL['light'])})"
    free = recorder.draw("overview", pack_patterns(list(PATTERNS), 2, ASKS, ANSWERS))
    assert free.says(".legend") == ["0 %100 %weight, √ scale"] and not free.on("hatch")


@pytest.mark.parametrize("signed", [False, True])
def test_a_number_a_head(recorder: Recorder, theme: str, signed: bool) -> None:
    values = np.array([[0.5, 2.0, -1.0 if signed else 0.0], [1.25, 0.1, -2.0 if signed else 1.9]])
    texts = [[f"{value:.3g}" for value in row] for row in values]
    seen = recorder.draw("overview", pack_values(values, texts, name="size of ΔE", signed=signed), theme=theme)
    steps = (colours.DIVERGING if signed else colours.SEQUENTIAL)[theme]
    rects, words = seen.on("rect"), seen.on("text")[5:]
    assert shades(
        [[rect["colour"] for rect in rects]], steps, (values.reshape(1, 6) + 2 * signed) / (4 if signed else 2)
    )
    assert [rect["box"] for rect in rects] == [box_of(tile) for tile in seen.all(".tile")]
    assert [word["text"] for word in words] == sum(texts, [])
    for word, rect in zip(words, rects, strict=True):
        x, y, side, _ = rect["box"]
        assert word["at"][0] == x + side / 2 and y + side / 2 < word["at"][1] < y + side / 2 + 8
        assert word["colour"] == colours.ink_on(rect["colour"]) and word["align"] == "center"
    assert seen.says(".legend") == ["−2+2size of ΔE" if signed else "02size of ΔE"]
    ramp = seen.all(".ramp")[0]["style"]["background"]
    assert ramp == f"linear-gradient(90deg, {','.join(steps)})"


def test_a_kind_a_head(recorder: Recorder, theme: str) -> None:
    kinds = [["previous token", "odd", "induction"], ["induction", "previous token", "strange"]]
    packet = pack_kinds(kinds, {"previous token": "looks one back", "induction": "copies", "sink": "rests"})
    seen = recorder.draw("overview", packet, theme=theme)
    entries = {entry["name"]: entry for entry in heads._legend(sum(kinds, []), {"previous token": "", "induction": ""})}
    fills = [entries.get(kind, entries["other"])["fills"][theme] for kind in sum(kinds, [])]
    assert [rect["colour"] for rect in seen.on("rect")] == fills
    assert [word["text"] for word in seen.on("text")[5:]] == ["PT", "·", "IN", "IN", "PT", "·"]
    assert [word["colour"] for word in seen.on("text")[5:]] == [colours.ink_on(fill) for fill in fills]
    said = ["PTprevious token: looks one back (2)", "INinduction: copies (2)", "·other (2)"]
    assert seen.says(".legend") == ["".join(said)]
    swatches = seen.all("b")
    assert [swatch["style"]["background"] for swatch in swatches] == [fills[0], fills[2], fills[1]]
    assert [swatch["style"]["color"] for swatch in swatches] == [
        colours.ink_on(f) for f in (fills[0], fills[2], fills[1])
    ]


def pointed(recorder: Recorder, theme: str = "light", at: tuple[float, float] = (0.9, 0.4), **options: object) -> Drawn:
    """The pointer over head 1.2, so far across and down its tile."""
    plain = recorder.draw("overview", options.get("packet") or patterns())
    left, top, side, _ = box_of(plain.all(".tile")[5])
    where = {"clientX": left + at[0] * side, "clientY": top + at[1] * side}
    packet = options.pop("packet", None) or patterns()
    return recorder.draw("overview", packet, theme=theme, acts=[["pointermove", ".tile:5", where]], **options)


def test_a_cell_under_the_pointer_is_framed_and_read(recorder: Recorder, theme: str) -> None:
    seen = pointed(recorder, theme, (0.6, 0.4))  # query 1, key 2
    (preview,) = seen.all(".preview")
    assert preview["open"]
    assert preview["says"].startswith("Layer 1 · head 2") and "↓ query askskey answers →" in preview["says"]
    assert (
        preview["says"]
        .replace("\u00a0", " ")
        .endswith(f"To update <b> (query 1), head 1.2 takes ≈ {100 * PATTERNS[1, 2, 1, 2]:.0f} % from y (key 2).")
    )
    assert seen.says(".query") == ["↓ query asks", "<b> (query 1)"]
    assert seen.says(".key") == ["key answers →", "y (key 2)"]
    large = [canvas for canvas in seen.all("canvas") if canvas["size"] == [232, 232]][0]["drawn"]
    (stamp,) = [record for record in large if record["what"] == "stamp"]
    assert stamp["box"] == [0, 0, 232, 232]
    assert shades(stamp["cells"], colours.SEQUENTIAL[theme], np.where(MAY_LOOK, np.sqrt(PATTERNS[1, 2]), np.nan))
    row, column = [record for record in large if record["what"] == "frame"][1:]
    roles = colours.roles(theme)
    assert (row["colour"], column["colour"]) == (roles["query"], roles["key"])
    assert row["box"] == pytest.approx([0.75, 232 / 3, 230.5, 232 / 3], abs=0.01)
    assert column["box"] == pytest.approx([116, 0.75, 58, 230.5], abs=0.01)


def test_a_line_break_is_read_aloud_by_its_name(recorder: Recorder) -> None:
    packet = pack_patterns(list(PATTERNS), 2, ["a", "⏎", "ox"], ANSWERS, may_look=MAY_LOOK)
    asks = pointed(recorder, packet=packet, at=(0.6, 0.4)).all(".query")[1]
    assert (asks["says"], asks["role"], asks["aria-label"]) == ("⏎ (query 1)", "img", "line break (query 1)")


def test_a_masked_cell_says_so(recorder: Recorder) -> None:
    (preview,) = pointed(recorder, at=(0.9, 0.1)).all(".preview")
    assert preview["says"].endswith("a (query 0) may not look at z (key 3): masked.")


def test_positions_that_differ_are_said(recorder: Recorder) -> None:
    packet = patterns(query_positions=[3, 5, 9], key_positions=[2, 4, 6, 8])
    assert pointed(recorder, packet=packet, at=(0.6, 0.4)).says(".query")[1] == "<b> (query 5)"
    assert pointed(recorder, packet=packet, at=(0.6, 0.4)).says(".key")[1] == "y (key 6)"


def test_words_that_share_a_cell_are_named_from_to(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "pool_for", lambda *_: 2)
    packet = patterns(query_positions=[3, 5, 9], key_positions=[2, 4, 6, 8])
    seen = pointed(recorder, packet=packet, at=(0.6, 0.4))
    assert seen.says(".query")[1] == "a … <b> (queries 3–5)" and seen.says(".key")[1] == "y … z (keys 6–8)"
    assert "takes at most ≈" in seen.says(".preview")[0]
    assert seen.says(".legend")[0].endswith("≈ each cell is the strongest of 2 × 2")
    assert pointed(recorder, packet=packet, at=(0.1, 0.9)).says(".query")[1] == "ox (query 9)"


def test_where_pixels_are_too_few_the_strongest_cell_stays(recorder: Recorder) -> None:
    n = 230
    cells = np.tril(np.random.default_rng(0).random((n, n)) ** 4)
    packet = pack_patterns([cells[None]], 1, ["w"] * n, may_look=np.tril(np.ones((n, n), bool)))
    (stamp,) = recorder.draw("overview", packet).on("stamp")
    assert np.shape(stamp["cells"]) == (77, 77)  # of 96 pixels, three words each
    padded = np.pad(np.where(np.tril(np.ones((n, n))), np.sqrt(cells), -1), (0, 1), constant_values=-1)
    most = padded.reshape(77, 3, 77, 3).max((1, 3))
    assert shades(stamp["cells"], colours.SEQUENTIAL["light"], np.where(most < 0, np.nan, most))
    plain, fine = (recorder.draw("overview", packet, ratio=ratio) for ratio in (1, 2))
    (sharp,) = fine.on("stamp")
    assert np.shape(sharp["cells"]) == (115, 115) and sharp["box"] == [48, 40, 192, 192]
    assert fine.all("canvas")[0]["size"] == [2 * side for side in plain.all("canvas")[0]["size"]]


def test_the_chosen_head_is_marked_and_can_be_reached_by_keyboard(recorder: Recorder) -> None:
    seen = recorder.draw("overview", patterns(), view={"selected": [1, 0]}, acts=[["update", "", {"selected": [0, 2]}]])
    assert [tile["aria-selected"] for tile in seen.all(".tile")] == ["false"] * 2 + ["true"] + ["false"] * 3
    assert [tile["tab"] for tile in seen.all(".tile")] == [-1, -1, 0, -1, -1, -1]


def test_a_click_tells_head_query_and_key(recorder: Recorder) -> None:
    plain = recorder.draw("overview", patterns())
    left, top, side, _ = box_of(plain.all(".tile")[4])
    where = {"clientX": left + 0.9 * side, "clientY": top + 0.5 * side}
    seen = recorder.draw("overview", patterns(), acts=[["click", ".tile:4", where]])
    assert seen.told == [["open", {"layer": 1, "head": 1, "query": 1, "key": 3}]]
    assert seen.all(".tile")[4]["aria-selected"] == "true"


def test_the_keyboard_walks_tiles_and_cells(recorder: Recorder) -> None:
    keys = ["ArrowRight", "ArrowDown", " ", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowRight"]
    acts = [["focus", ".tile:0"], *(["keydown", "", {"key": key}] for key in keys)]
    seen = recorder.draw("overview", patterns(), acts=acts)
    assert seen.says(".query")[1:] == ["ox (query 2)"] and seen.says(".key")[1:] == ["y (key 2)"]
    assert seen.says(".title") == ["Layer 1 · head 1"]
    seen = recorder.draw("overview", patterns(), acts=[*acts, ["keydown", "", {"key": "Enter"}]])
    assert seen.told == [["open", {"layer": 1, "head": 1, "query": 2, "key": 2}]]
    seen = recorder.draw(
        "overview", patterns(), acts=[*acts[:2], ["keydown", "", {"key": "End"}], ["keydown", "", {"key": "Enter"}]]
    )
    assert seen.told == [["open", {"layer": 0, "head": 2, "query": None, "key": None}]]


def test_letters_step_through_heads_and_layers(recorder: Recorder) -> None:
    view = {"selected": [0, 2], "opened": [0, 2], "click": 1}
    for key, head in (("l", [0, 0]), ("h", [0, 1]), ("j", [1, 2]), ("k", [1, 2])):  # the last is followed by the first
        seen = recorder.draw("overview", patterns(), acts=[["update", "", view], ["keydown", ".tile:0", {"key": key}]])
        ((_, told),) = seen.told
        assert [told["layer"], told["head"]] == head and told["click"] > 1
        assert seen.all(".tile")[3 * head[0] + head[1]]["aria-selected"] == "true"


def test_an_answer_to_an_earlier_click_does_not_lead_back(recorder: Recorder) -> None:
    acts = [["update", "", {"opened": [0, 0], "selected": [0, 0], "click": 1}], ["click", ".tile:4", {}]]
    for answered, chosen in ((1, 4), (10**15, 0)):
        late = ["update", "", {"opened": [0, 0], "selected": [0, 0], "click": answered}]
        seen = recorder.draw("overview", patterns(), acts=[*acts, late])
        assert [tile["aria-selected"] for tile in seen.all(".tile")].index("true") == chosen


def test_another_theme_and_the_presenters_size_paint_anew(recorder: Recorder) -> None:
    dark = recorder.draw("overview", patterns(), acts=[["theme", "", "dark"]])
    assert dark.canvas() == recorder.draw("overview", patterns(), theme="dark").canvas()
    style = dark.all(".figure")[0]["style"]
    assert {role: style[f"--{role}"] for role in colours.roles("dark")} == colours.roles("dark")
    large = recorder.draw("overview", patterns(), scale=1.5)
    assert {text["size"] for text in large.on("text")} == {18}
    assert box_of(large.all(".tile")[0]) == [36, 30, 144, 144] == large.on("stamp")[0]["box"]
