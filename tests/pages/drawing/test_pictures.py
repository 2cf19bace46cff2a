"""Every page's pictures under Save: named, captioned, with the numbers that are on screen, and the Python for them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from page_driver import ROOT, array, checked, figure, load, open_menus, open_page, packets, table
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.figures.paper import csv as numbers
from attn_core.heads import rules
from attn_core.settings import VERSION
from ui.drawing.gallery import FigureGallery
from ui.shell.save_pictures import numbers_of

LINES = "Lines between the sentences"
STARTER = "a fluffy blue creature roamed the verdant forest"
PAGES: dict[str, tuple[dict[str, object], list[str]]] = {
    "all_heads": ({}, ["Every head of every layer", "Links between words", "Pattern of head 0.3"]),
    "step_by_step": (
        {"all_steps": 1},
        ["1 · E of every word", "3 · Scores", "3 · One score", "6 · Pattern", "8 · E, ΔE and their sum"],
    ),
    "step_by_step toy": ({"weights": "toy", "all_steps": 1}, ["3 · Scores", "6 · Shares of one row"]),
    "step_by_step broken": (
        {"breaks": "no-scale", "all_steps": 1},
        ["Break it · As it is", "Break it · Broken", "Break it · Difference"],
    ),
    "delta_e": (
        {},
        [
            "Every head of every layer",
            "Staircase of the layer",
            "Where it came from, stacked",
            "Where it came from, word by word",
            "What it writes",
            "Arrows in the space of meanings",
            "ΔE, number by number",
        ],
    ),
    "why_there": ({}, ["Writers of both words", "The ten largest pairs", "The ten largest pairs, as a list"]),
    "why_there flow": ({"why": "flow"}, ["The flow behind a word", "From which words"]),
    "why_there card": (
        {"why": "card", "model": "tiny-decoder", "layer": 1},
        ["Which words look at which", "Which words it raises", "Whom it reads", "The card of the head as one picture"],
    ),
    "word_senses": ({}, ["The same at first, then apart", "Their paths through the layers", "Who told them apart"]),
    "compare_heads": ({}, ["Side by side, and the difference", "All heads", "Pattern of A: head 0.3"]),
    "find_heads paint": ({}, ["What is looked for", "Every head, above its baseline"]),
    "find_heads kinds": ({"find": "kinds"}, ["The kind of every head", "All heads by two measures"]),
    "find_heads matter": ({"find": "matter", "off": "0.3"}, ["What each head does", "With and without"]),
    "cross_attention": (
        {},
        [
            "Cross-attention",
            LINES,
            "Encoder: source to source",
            "Decoder: target to target",
            "Cross: target to source",
            "Size of every cross head's ΔE",
            "What cross-attention adds",
        ],
    ),
    "parameters": (
        {},
        ["The whole model, to scale", "Shares", "Two thin matrices", "How it grows", "Singular values of a real head"],
    ),
    **{f"lesson {stop}": ({"stop": stop, "told": 1}, ["The picture of this stop"]) for stop in range(1, 9)},
}


@pytest.fixture(scope="module", autouse=True)
def model() -> ac.Model:
    load("tiny-translator")
    return load("minilm")


_opened: dict[str, AppTest] = {}


def opened(page_name: str) -> AppTest:
    """A page as it is listed, run once for all tests here."""
    if page_name not in _opened:
        folds = page_name == "step_by_step"  # its pictures of all words are folded
        _opened[page_name] = open_page(page_name.partition(" ")[0], menus=True, every_fold=folds, **PAGES[page_name][0])
    return _opened[page_name]


def gallery_of(page_name: str) -> FigureGallery:
    return opened(page_name).session_state["_gallery"]


def cells(page_name: str, name: str, trace: int = 0) -> np.ndarray:
    """The numbers of a saved heatmap; NaN where masked."""
    return np.array(gallery_of(page_name).figure(name).data[trace].z, float)


def lines_of(page_name: str) -> str:
    found = [block.value for block in opened(page_name).code if block.value.startswith("import attn_core")]
    assert len(found) == 1
    return found[0]


def ran(page_name: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(lines_of(page_name), names)
    return names


@pytest.mark.parametrize("page_name", PAGES)
def test_every_page_offers_its_pictures_by_name_with_a_caption(page_name: str) -> None:
    page, found = opened(page_name), gallery_of(page_name)
    assert set(PAGES[page_name][1]) <= set(found.pictures)
    assert [page.button(key=f"picture_{kind}").label for kind in ("png", "svg")] == ["PNG", "SVG"]
    assert page.get("download_button")[0].label == "CSV"
    if len(found.pictures) > 1:
        (box,) = [box for box in page.selectbox if box.key == "save_picture"]
        assert sorted(box.options) == sorted(found.pictures)
    for name in found.pictures:
        made = found.figure(name)
        caption = found.caption(name)
        assert caption.endswith(f"Headlight {VERSION}")
        assert made.layout.title.text.replace("<br>", " ") == caption.replace("<", "&lt;").replace(">", "&gt;"), name
        assert (made.layout.paper_bgcolor, made.layout.width) == ("#ffffff", 760) and made.layout.height < 1400
        rows = list(csv.reader(io.StringIO(numbers.table(made, caption))))
        assert len(rows) > 1 and rows[1][-1] == caption


@pytest.mark.parametrize("page_name", PAGES)
def test_save_has_one_button_called_csv(page_name: str) -> None:
    """There were two of them, the picture's and the pattern's."""
    assert [button.label for button in opened(page_name).get("download_button")].count("CSV") == 1


def test_a_caption_says_model_head_word_sentence_and_switches() -> None:
    page = open_menus(AppTest.from_file(str(ROOT / "pages/delta_e.py"), default_timeout=300))
    for key, value in {"layer": 2, "head": 5, "query": 3, "moves": "path", "axes": 3}.items():
        page.query_params[key] = str(value)
    said = checked(page.run()).session_state["_gallery"].caption("Arrows in the space of meanings")
    for part in (
        "minilm",
        "head 2.5",
        "blue (token 3)",
        f"“{STARTER}”",
        "moves: path",
        "axes: 3",
        "through all layers",
    ):
        assert part in said
    assert "query:" not in said and "measure" not in said


def test_a_dark_page_is_saved_light() -> None:
    page = open_menus(AppTest.from_file(str(ROOT / "pages/delta_e.py"), default_timeout=300))
    page.context = {**page.context, "theme": "dark"}
    checked(page.run())
    on_screen = figure(page, "staircase")["layout"]["font"]["color"]
    saved = page.session_state["_gallery"].figure("Staircase of the layer").layout.font.color
    assert (on_screen, saved) == ("#ece8df", "#23211d")


# --- The numbers are those on screen ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page_name", "name", "key"),
    [
        ("delta_e", "Every head of every layer", "delta_map"),
        ("word_senses", "Who told them apart", "senses_map"),
        ("compare_heads", "All heads", "all_heads"),
        ("find_heads paint", "Every head, above its baseline", "found"),
        ("find_heads matter", "What each head does", "effects"),
        ("cross_attention", "Size of every cross head's ΔE", "cross_sizes"),
    ],
)
def test_maps_of_all_heads(page_name: str, name: str, key: str) -> None:
    header, _ = packets(opened(page_name))[key]
    np.testing.assert_array_equal(cells(page_name, name), np.array(header["values"]))
    np.testing.assert_array_equal(gallery_of(page_name).figure(name).data[0].text, np.array(header["texts"]))


@pytest.mark.parametrize(
    ("page_name", "name", "key"),
    [
        ("compare_heads", "Side by side, and the difference", "side_by_side"),
        ("find_heads paint", "What is looked for", "board"),
        ("find_heads matter", "With and without", "before_after"),
    ],
)
def test_panels(page_name: str, name: str, key: str) -> None:
    header, on_screen = packets(opened(page_name))[key]
    saved = [trace for trace in gallery_of(page_name).figure(name).data if trace.meta != "masked"]
    assert [trace.name for trace in saved] == [panel["title"] for panel in header["panels"]]
    for trace, panel, numbers_ in zip(saved, header["panels"], on_screen, strict=True):
        np.testing.assert_array_equal(np.array(trace.z, float), numbers_)
        limit = header["limit"] if panel["signed"] else 1
        assert (trace.zmin, trace.zmax) == (-limit if panel["signed"] else 0, limit)


@pytest.mark.parametrize(
    ("page_name", "name", "key"),
    [
        ("delta_e", "Attention and MLP by layer", "layer_bars"),
        ("delta_e", "Staircase of the layer", "staircase"),
        ("delta_e", "Where it came from, stacked", "stacked"),
        ("delta_e", "What it writes", "words"),
        ("delta_e", "Arrows in the space of meanings", "arrows"),
        ("why_there", "The ten largest pairs", "pairs"),
        ("why_there card", "Whom it reads", "composition"),
        ("word_senses", "The same at first, then apart", "apart_lines"),
        ("word_senses", "Their paths through the layers", "paths"),
        ("find_heads kinds", "All heads by two measures", "scatter"),
        ("parameters", "Shares", "share_bars"),
        ("parameters", "How it grows", "growth_curves"),
        ("parameters", "Singular values of a real head", "singular_values"),
        ("lesson 8", "The second picture of this stop", "lesson_shares"),
    ],
)
def test_lines_and_bars(page_name: str, name: str, key: str) -> None:
    on_screen, saved = figure(opened(page_name), key)["data"], gallery_of(page_name).figure(name).data
    assert len(on_screen) == len(saved)
    for one, other in zip(on_screen, saved, strict=True):
        for axis in ("x", "y"):
            if one.get(axis) is not None and other[axis] is not None and not isinstance(other[axis][0], str):
                np.testing.assert_allclose(array(one[axis]), np.array(other[axis], float))


def test_heatmaps_of_a_translator() -> None:
    (page,) = [opened("cross_attention")]
    for name, key in (("Cross-attention", "cross_heatmap"), ("Decoder: target to target", "map_decoder")):
        (on_screen, *_), (saved, *more) = figure(page, key)["data"], gallery_of("cross_attention").figure(name).data
        np.testing.assert_array_equal(array(on_screen["z"]), np.array(saved.z, float))
        assert not more  # what is there for clicks alone is not saved


def test_all_heads_has_every_head_as_a_tile_and_the_pattern_exact() -> None:
    trace = ac.trace(load("minilm"), STARTER)
    tiles = [t for t in gallery_of("all_heads").figure("Every head of every layer").data if t.meta != "masked"]
    assert [(t.meta["layer"], t.meta["head"]) for t in tiles] == [(n, h) for n in range(6) for h in range(12)]
    for tile in tiles:
        exact = trace.pattern(tile.meta["layer"], tile.meta["head"])
        np.testing.assert_allclose(np.sqrt(np.array(tile.z, float)), np.sqrt(exact), atol=0.5 / 254 + 1e-6)
    np.testing.assert_allclose(cells("all_heads", "Pattern of head 0.3"), trace.pattern(0, 3), atol=1e-7)
    lines = list(csv.reader(io.StringIO(numbers_of(gallery_of("all_heads"), "Links between words").decode())))
    weights = {(row[1], row[2]): float(row[3]) for row in lines[1:]}
    assert weights["4 creature", "2 fluffy"] == pytest.approx(trace.pattern(0, 3)[4, 2], abs=1e-5)
    assert len(weights) == 13  # those of the chosen word, as on screen
    lines = list(csv.reader(io.StringIO(numbers_of(gallery_of("cross_attention"), LINES).decode())))
    cross = cells("cross_attention", "Cross-attention")
    assert len(lines) - 1 == (cross >= 0.01).sum()  # no word is chosen: all that are not too faint


def test_the_steps_are_those_of_the_walk() -> None:
    names = ran("step_by_step")
    stages = names["stages"]
    for name, numbers_ in (
        ("2 · Queries", stages.query),
        ("2 · Keys", stages.key),
        ("3 · Scores", stages.raw_scores),
        ("6 · Pattern", stages.pattern),
        ("7 · Values", stages.value),
    ):
        np.testing.assert_allclose(cells("step_by_step", name), numbers_.numpy(), atol=1e-6)
    q, k, product = (np.array(bar.y) for bar in gallery_of("step_by_step").figure("3 · One score").data)
    np.testing.assert_allclose(q * k, product)
    assert product.sum() == pytest.approx(float(stages.raw_scores[4, 2]), abs=1e-4)
    np.testing.assert_allclose(cells("step_by_step", "8 · E, ΔE and their sum")[1], stages.delta[4].numpy(), atol=1e-6)


def test_bars_keep_every_number_and_its_text() -> None:
    trace = ac.trace(load("minilm"), STARTER)
    weight, length, along = gallery_of("delta_e").figure("Where it came from, word by word").data
    np.testing.assert_allclose(weight.x, trace.pattern(0, 3)[4], atol=1e-6)
    assert weight.text[2] == "19 %" and list(weight.meta["rows"])[4] == "creature 4"
    size = np.linalg.norm(trace.delta_e(0, 3)[4])
    assert np.sum(along.x) == pytest.approx(size, rel=1e-4) and len(length.x) == 13


def test_kinds_are_named_in_the_picture_and_in_its_numbers() -> None:
    header, _ = packets(opened("find_heads kinds"))["kinds"]
    rows = list(csv.reader(io.StringIO(numbers_of(gallery_of("find_heads kinds"), "The kind of every head").decode())))
    assert [row[3] for row in rows[1:]] == [kind for row in header["kinds"] for kind in row]


def test_boxes_hold_the_same_counts_and_open_where_the_page_is() -> None:
    header, _ = packets(opened("parameters"))["boxes"]
    (boxes,) = gallery_of("parameters").figure("The whole model, to scale").data
    assert list(boxes.values) == [node[2] for node in header["nodes"]] and boxes.level == "model"
    assert boxes.values[0] == ac.count_parameters("gpt-3").lesson_total


# --- Python -----------------------------------------------------------------------------------------------------------


def test_the_lines_of_delta_e_give_its_decomposition() -> None:
    names = ran("delta_e")
    assert names["block"].adds_up
    heads = np.linalg.norm([part.vector for part in names["block"].parts if part.kind == "head"], axis=-1)
    np.testing.assert_allclose(heads, cells("delta_e", "Every head of every layer")[0], rtol=1e-4)
    weight, _, along = gallery_of("delta_e").figure("Where it came from, word by word").data
    np.testing.assert_allclose(names["sources"].weights, weight.x, atol=1e-6)
    np.testing.assert_allclose(names["sources"].along, along.x, atol=1e-5)


@pytest.mark.parametrize("stream", ["encoder", "decoder", "cross"])
def test_the_lines_name_the_stream_of_a_translator(stream: str) -> None:
    page = open_menus(AppTest.from_file(str(ROOT / "pages/delta_e.py"), default_timeout=300))
    given = {"model": "tiny-translator", "text": "the small blue car sees a white horse", "stream": stream, "head": 1}
    for key, value in given.items():
        page.query_params[key] = str(value)
    found = checked(page.run()).session_state["_gallery"]
    (lines,) = [block.value for block in page.code if block.value.startswith("import attn_core")]
    names: dict[str, Any] = {}
    exec(lines, names)
    assert names["block"].adds_up
    weight, _, along = found.figure("Where it came from, word by word").data
    np.testing.assert_allclose(names["sources"].weights, weight.x, atol=1e-5)
    np.testing.assert_allclose(names["sources"].along, along.x, atol=1e-4)


def test_the_lines_of_word_senses_give_its_cosines_and_its_map() -> None:
    names = ran("word_senses")
    lines = [
        t for t in gallery_of("word_senses").figure("The same at first, then apart").data if "and" in (t.name or "")
    ]
    np.testing.assert_allclose(names["cosines"], [np.array(line.y)[1:] for line in lines], atol=1e-5)
    assert names["separation"].heads.shape == (6, 12)


def test_the_lines_of_find_heads_give_what_each_aspect_shows() -> None:
    found = ran("find_heads paint")["above"]
    np.testing.assert_allclose(found, cells("find_heads paint", "Every head, above its baseline"), atol=1e-6)
    kinds, (header, _) = ran("find_heads kinds")["table"], packets(opened("find_heads kinds"))["kinds"]
    titles = [rules.KINDS[kind].title if kind in rules.KINDS else kind for kind in kinds.kind]
    assert titles == [kind for row in header["kinds"] for kind in row]
    effect = ran("find_heads matter")["effect"]
    turns = table(opened("find_heads matter"), "turn").turn
    assert effect.unit == "°" and effect.value == pytest.approx(turns[4], abs=1e-3)


def test_the_lines_of_a_translation_and_of_a_comparison_give_their_patterns() -> None:
    np.testing.assert_allclose(
        ran("cross_attention")["view"].pattern, cells("cross_attention", "Cross-attention"), atol=1e-6
    )
    a = cells("compare_heads", "Side by side, and the difference")
    np.testing.assert_allclose(ran("compare_heads")["a"], a, atol=1e-6)


def test_the_lines_of_the_parameter_page_count_the_same() -> None:
    assert ran("parameters")["table"].lesson_total == 175_181_291_520


@pytest.mark.parametrize("stop", range(1, 9))
def test_the_lines_of_every_stop_run(stop: int) -> None:
    names = ran(f"lesson {stop}")
    if stop == 5:
        np.testing.assert_allclose(
            names["trace"].pattern(1, 1), np.nan_to_num(cells("lesson 5", "The picture of this stop")), atol=1e-6
        )


# --- Words that somebody typed ----------------------------------------------------------------------------------------


def test_nothing_typed_is_markup_or_code() -> None:
    nasty = "<b>x</b> $y$ ''' {} \\ <a href='https://evil'>z</a>"
    page = open_menus(AppTest.from_file(str(ROOT / "pages/delta_e.py"), default_timeout=300))
    page.query_params["text"] = nasty
    found = checked(page.run()).session_state["_gallery"]
    for name in found.pictures:
        said = found.figure(name).to_json()
        assert "<b>x" not in said and "<a href" not in said and "$y$" not in said, name
    names: dict[str, Any] = {}
    (lines,) = [block.value for block in page.code if block.value.startswith("import attn_core")]
    exec(lines, names)
    assert names["trace"].tokens.text == nasty


def test_a_picture_that_has_left_the_page_says_so() -> None:
    with pytest.raises(ac.HeadlightError, match="not on the page any more"):
        numbers_of(FigureGallery(), "Arrows")


@pytest.mark.parametrize("page", ["delta_e", "lesson", "parameters", "teachers_kit", "why_there", "word_senses"])
def test_no_chart_has_a_toolbar_over_what_it_stands_on(page: str) -> None:
    charts = open_page(page, **({"stop": 8, "told": 1} if page == "lesson" else {})).get("plotly_chart")
    assert charts and all(json.loads(chart.proto.config)["displayModeBar"] is False for chart in charts)
