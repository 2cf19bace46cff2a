"""Canvas pictures as figures for paper: masked is not zero, tables of their numbers, captions."""

from __future__ import annotations

import csv
import io

import numpy as np
from numpy.testing import assert_array_equal

from attn_core.figures.canvas.boxes import boxes
from attn_core.figures.canvas.heads import pack_kinds, pack_patterns, pack_values
from attn_core.figures.canvas.links import pack_links
from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.figures.canvas.packet import unpack
from attn_core.figures.canvas.panels import Panel, pack_panels
from attn_core.figures.colours import ROLES
from attn_core.figures.paper import draw as paper
from attn_core.figures.paper.csv import table
from attn_core.views.files import for_paper

WORDS = ["the", "<b>", "the"]
CAUSAL = np.tril(np.ones((3, 3), bool))
PATTERN = np.array([[1, 0, 0], [0.75, 0.25, 0], [0, 0.5, 0.5]])  # one 0 that may be seen, three that may not


def read(figure) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table(figure, "a caption"))))


def hidden(figure) -> np.ndarray:
    """Where the figure lays its grey."""
    (grey,) = [trace for trace in figure.data if trace.meta == "masked"]
    assert {colour for _, colour in grey.colorscale} == {ROLES["light"]["masked"]}
    return np.isfinite(np.array(grey.z, float))


def test_masked_cells_of_panels_have_no_number():
    panel = Panel("one", "head 0.0", np.where(CAUSAL, PATTERN, np.nan), WORDS, WORDS)
    figure = paper.drawn(pack_panels([panel]), {"scale": "linear", "query": 1})
    assert_array_equal(np.array(figure.data[0].z, float), np.where(CAUSAL, PATTERN, np.nan))
    assert_array_equal(hidden(figure), ~CAUSAL)
    values = [row["value"] for row in read(figure)]
    assert [value == "" for value in values] == (~CAUSAL).ravel().tolist() and float(values[6]) == 0
    (frame,) = [shape for shape in figure.layout.shapes if shape.line.color == ROLES["light"]["query"]]
    assert (frame.y0, frame.y1) == (0.5, 1.5)


def test_minus_infinity_in_a_matrix_is_masked_and_a_turned_one_is_turned():
    scores = np.where(CAUSAL, PATTERN, -np.inf)
    sides = Side(WORDS, "query", "query"), Side(WORDS, "key", "key")
    figure = paper.drawn(pack_cells(scores, *sides, says="{value}", alt="", turned=True))
    assert_array_equal(np.array(figure.data[0].z, float), np.where(CAUSAL, PATTERN, np.nan).T)
    assert_array_equal(hidden(figure), ~CAUSAL.T)
    assert read(figure)[1] | {"caption": ""} == {
        "series": "value", "row": "0 the", "column": "1 <b>", "value": "0.75", "text": "", "caption": "",
    }  # fmt: skip


def test_masked_cells_of_a_tile_are_grey():
    figure = paper.drawn(pack_patterns([PATTERN[None]], 1, WORDS, may_look=CAUSAL))
    assert_array_equal(hidden(figure), ~CAUSAL)
    (tile,) = [trace for trace in figure.data if trace.meta != "masked"]
    assert_array_equal(np.isnan(np.array(tile.z, float)), ~CAUSAL)


def test_a_chosen_key_has_its_lines_and_no_others():
    packet = pack_links(PATTERN[None], WORDS, heads=["0.0"], may_look=CAUSAL)
    lines = read(paper.drawn(packet, {"pinned": {"side": "key", "position": 1}}))
    assert [(row["row"], row["column"], round(float(row["value"]), 3)) for row in lines] == [
        ("2 the", "1 <b>", 0.5),
        ("1 <b>", "1 <b>", 0.25),
    ]


def test_a_caption_takes_the_page_it_needs_and_is_no_markup():
    packet = pack_cells(PATTERN, Side(WORDS), Side(), says="", alt="")
    short, long = (for_paper(paper.drawn(packet), said) for said in ("a <b> $x$", "word " * 100))
    assert short.layout.title.text == "a &lt;b&gt; &#36;x&#36;"
    lines = long.layout.title.text.count("<br>")
    assert lines > 2 and long.layout.height - short.layout.height == 16 * lines
    assert long.layout.margin.b - short.layout.margin.b == 16 * lines


def test_every_kind_of_packet_has_a_saved_twin() -> None:
    side = Side(WORDS)
    packets = [
        pack_patterns([PATTERN[None]], 1, WORDS),
        pack_values(PATTERN, [["1"] * 3] * 3, name="size"),
        pack_kinds([["induction"]], {"induction": "copies"}),
        pack_links(PATTERN[None], WORDS, heads=["0.0"]),
        pack_panels([Panel("one", "head 0.0", PATTERN, WORDS, WORDS)]),
        pack_cells(PATTERN, side, side, says="{value}", alt=""),
        boxes([0, 0], ["model", "query"], [2, 2], ["model", "query"], ""),
    ]
    assert {unpack(packet)[0]["picture"] for packet in packets} == set(paper.PICTURES)
    for packet in packets:
        assert paper.drawn(packet).data


def test_letters_of_kinds_differ() -> None:
    names = ["previous token", "induction", "past time", "index"]
    header, _ = unpack(pack_kinds([names], dict.fromkeys(names, "")))
    assert [entry["letters"] for entry in header["legend"]] == ["PT", "IN", "3", "4", "·"]


def test_a_mean_of_heads_keeps_its_name() -> None:
    packet = pack_links(PATTERN[None], WORDS, heads=["the mean of all heads"])
    lines = [trace for trace in paper.drawn(packet).data if isinstance(trace.meta, dict)]
    assert {line.name for line in lines} == {"the mean of all heads"}
