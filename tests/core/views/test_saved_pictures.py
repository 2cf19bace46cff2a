"""Saved pictures of every arrangement: hidden specials, both scales, queries in columns, causal and cross-attention.

Masked is never drawn as 0, the right row is framed, the legend names the scale that is drawn, words stand at their
cells, the caption says what it is, and the file has the size of the picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from itertools import product
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from attn_core.figures import colours
from attn_core.figures.canvas.heads import pack_patterns
from attn_core.figures.canvas.links import pack_links
from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.figures.canvas.panels import Panel, pack_panels
from attn_core.figures.paper.draw import drawn
from attn_core.figures.paper.vectors import with_vector_cells
from attn_core.text.tokens import Tokens
from attn_core.views import files
from attn_core.views.array_reader import ArrayReader
from attn_core.views.view import View

LIGHT = colours.roles("light")


def tokens(*labels: str) -> Tokens:
    special = [label.startswith("[") for label in labels]
    words = [None if dim else sum(not s for s in special[:i]) for i, dim in enumerate(special)]
    return Tokens(" ".join(labels), list(range(len(labels))), list(labels), special, words, list(labels))


@dataclass(frozen=True, eq=False)
class Stored(ArrayReader):
    """A pass whose numbers are known: weights of 0 where a query may look, too."""

    kind: str
    tokens: Tokens
    key_tokens: Tokens
    weights: np.ndarray
    mask: np.ndarray
    model_name: str = "toy"

    @property
    def name(self) -> str:
        return "cross" if self.kind == "encoder-decoder" else "self"

    def may_look(self, layer: int) -> np.ndarray:
        return self.mask


ASKS, ANSWERS = tokens("[CLS]", "a", "<b>", "ox", "[SEP]"), tokens("der", "Ochse", "[SEP]")


def stored(kind: str) -> Stored:
    answers = ANSWERS if kind == "encoder-decoder" else ASKS
    mask = np.ones((5, len(answers.ids)), bool)
    if kind == "decoder":
        mask = np.tril(mask)
    scores = np.random.default_rng(4).random((2, 2, 5, len(answers.ids))) * mask
    scores[..., 2, 0] = 0  # may be looked at, and is not: no masked cell
    return Stored(kind, ASKS, answers, (scores / scores.sum(-1, keepdims=True)).astype(np.float32), mask)


def plain(text: str) -> str:
    return unescape(re.sub("<[^>]*>", "", text))


def words_along(axis: Any) -> list[str]:
    return [plain(text) for text in axis.ticktext]


def inks_along(axis: Any) -> list[str]:
    return [(re.findall("color:(#......)", text) or [""])[0] for text in axis.ticktext]


def cells_of(figure: go.Figure) -> np.ndarray:
    (cells,) = [trace for trace in figure.data if trace.type == "heatmap" and trace.meta != "masked"]
    return np.array(cells.z, float)


def drawn_as_paths(figure: go.Figure) -> dict[tuple[int, int], str]:
    """(row, column) → colour of each cell of a vector file."""
    return {
        (round(float(y) + 0.5), round(float(x) + 0.5)): shape.fillcolor
        for shape in with_vector_cells(figure).layout.shapes
        if shape.type == "path"
        for x, y in re.findall(r"M(-?[0-9.]+),(-?[0-9.]+)L", shape.path)
    }


def rgb(colour: str) -> list[int]:
    return colours.channels(colour) if colour.startswith("#") else [int(x) for x in re.findall(r"\d+", colour)]


CASES = [
    case
    for case in product(
        ("encoder", "decoder", "encoder-decoder"), (False, True), ("sqrt", "linear"), ("rows", "columns")
    )
    if not (case[0] == "encoder-decoder" and case[1])  # a translation has no arrangement
]


@pytest.mark.parametrize(("kind", "hidden", "scale", "queries_in"), CASES)
def test_a_file_shows_the_view_and_nothing_masked(kind: str, hidden: bool, scale: Any, queries_in: Any) -> None:
    trace = stored(kind)
    view = View(trace, 1, 0, stream=trace.name, hide_sink=hidden, scale=scale, queries_in=queries_in, query=3)
    figure = files.for_paper(files.figure(view), view.caption())
    kept = [1, 2, 3] if hidden else list(range(5))  # a causal sentence's first token is its sink: here [CLS]
    keys = kept if kind != "encoder-decoder" else [0, 1, 2]
    mask = trace.mask[np.ix_(kept, keys)]
    weights = trace.weights[1, 0][np.ix_(kept, keys)].astype(float)
    weights = weights / weights.sum(-1, keepdims=True)
    turned = queries_in == "columns"

    numbers = cells_of(figure)
    shown = numbers.T if turned else numbers
    np.testing.assert_array_equal(np.isnan(shown), ~mask)
    np.testing.assert_allclose(shown[mask], weights[mask], atol=1e-6)
    paths = drawn_as_paths(figure)
    assert paths.keys() == {(row, column) for row, column in zip(*np.nonzero(mask.T if turned else mask), strict=True)}
    for place, colour in paths.items():
        share = numbers[place] ** (0.5 if scale == "sqrt" else 1)
        right = colours.channels(colours.shade(colours.SEQUENTIAL["light"], share))
        np.testing.assert_allclose(rgb(colour), right, atol=6 if scale == "linear" else 16)  # of 256 steps
    assert bool(figure.layout.images) == (not mask.all())

    (bar,) = [trace_.colorbar for trace_ in figure.data if trace_.type == "heatmap"]
    assert plain(bar.title.text) == ("weight, √ scale" if scale == "sqrt" else "weight, linear scale")
    (frame,) = figure.layout.shapes
    row, long = kept.index(3), len(keys)
    across, down = (frame.x0, frame.x1), (frame.y0, frame.y1)
    assert (across if turned else down) == (row - 0.5, row + 0.5) and frame.line.color == LIGHT["query"]
    assert (down if turned else across) == (-0.5, long - 0.5)

    asks, answers = figure.layout.yaxis, figure.layout.xaxis
    if turned:
        asks, answers = answers, asks
    assert (plain(asks.title.text), plain(answers.title.text)) == ("query (asks)", "key (answers)")
    assert (asks.title.font.color, answers.title.font.color) == (LIGHT["query"], LIGHT["key"])
    assert words_along(asks) == [ASKS.labels[i] for i in kept]
    assert words_along(answers) == [trace.key_tokens.labels[i] for i in keys]
    dim = ["", "", LIGHT["query"]] if hidden else [LIGHT["soft"], "", "", LIGHT["query"], LIGHT["soft"]]
    assert inks_along(asks) == dim
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first word is on top
    assert figure.layout.xaxis.side == "top"

    said = plain(figure.layout.title.text.replace("<br>", " "))
    arranged = "special tokens hidden, renormalised · " if hidden else ""
    stream = "cross attention · " if kind == "encoder-decoder" else ""
    text = "der Ochse [SEP] → [CLS] a <b> ox [SEP]" if stream else "[CLS] a <b> ox [SEP]"
    name = "√" if scale == "sqrt" else "linear"
    assert said == f"toy · {stream}head 1.0 · “{text}” · {arranged}{name} colour scale · Headlight 0.1.0"


def test_a_row_without_a_rest_is_empty_and_its_cells_are_not_nothing() -> None:
    trace = stored("encoder")
    trace.weights[1, 0, 2] = [0.5, 0, 0, 0, 0.5]
    view = View(trace, 1, 0, hide_sink=True)
    figure = files.for_paper(files.figure(view), view.caption())
    assert np.isnan(cells_of(figure)[1]).all() and {row for row, _ in drawn_as_paths(figure)} == {0, 2}
    assert figure.layout.images


def test_a_file_is_as_large_as_its_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("kaleido.calc_fig_sync", lambda _figure, opts, **_: asked.append(opts) or b"")
    view = View(stored("decoder"), 1, 0)
    made = files.for_paper(files.figure(view), view.caption())
    files.picture(view, "png")
    files.picture(view, "svg")
    files.picture(view, "pdf", width="column")
    own = {"width": 760, "height": int(made.layout.height)}
    assert asked[:2] == [{"format": "png", "scale": 3, **own}, {"format": "svg", "scale": 1, **own}]
    assert (asked[2]["format"], asked[2]["width"], asked[2]["scale"]) == ("pdf", 312, 1)
    margin = made.layout.margin
    assert own["height"] > margin.t + margin.b + 100 and margin.b >= 62 + 16  # room for legend and caption


WEIGHTS = np.array([[0.25, 0.75, 0, 0], [0.5, 0.3, 0.2, 0], [0.05, 0.4, 0.55, 0]])
MAY_LOOK = np.tril(np.ones((3, 4), bool), 1)
ROWS, COLUMNS = ["a", "<b>", "ox"], ["w", "x", "y", "z"]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_a_matrix_on_screen_and_its_file_frame_the_same_query(turned: bool, scale: Any) -> None:
    packet = pack_cells(
        np.where(MAY_LOOK, WEIGHTS, np.nan), Side(ROWS, "query", "query"), Side(COLUMNS, "key", "key"),
        kind="weights", limit=1.0, square=True, turned=turned, scale=scale, says="", alt="", chosen=(1, None),
    )  # fmt: skip
    figure = drawn(packet)
    shown = np.where(MAY_LOOK, WEIGHTS, np.nan)
    np.testing.assert_allclose(cells_of(figure), shown.T if turned else shown, atol=1e-6)
    (frame,) = figure.layout.shapes
    assert frame.line.color == LIGHT["query"]
    across, down = (frame.x0, frame.x1), (frame.y0, frame.y1)
    assert (across if turned else down) == (0.5, 1.5)
    assert (down if turned else across) == (-0.5, 3.5)
    (cells,) = [trace for trace in figure.data if trace.meta != "masked"]
    assert cells.colorscale == tuple(colours.sequential("light", scale))
    assert plain(cells.colorbar.title.text) == ("weight, √ scale" if scale == "sqrt" else "weight")
    beside, above = (COLUMNS, ROWS) if turned else (ROWS, COLUMNS)
    assert (words_along(figure.layout.yaxis), words_along(figure.layout.xaxis)) == (beside, above)
    names = ("key", "query") if turned else ("query", "key")
    assert (plain(figure.layout.yaxis.title.text), plain(figure.layout.xaxis.title.text)) == names
    one = drawn(
        pack_cells(
            WEIGHTS,
            Side(ROWS, "query"),
            Side(COLUMNS, "key"),
            says="",
            alt="",
            chosen=(1, 2),
            square=True,
            turned=turned,
        )
    )
    cell = one.layout.shapes[-1]
    assert cell.line.color == LIGHT["accent"]
    assert (cell.x0, cell.y0) == ((0.5, 1.5) if turned else (1.5, 0.5))


@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_all_heads_in_a_file(scale: Any) -> None:
    patterns = np.random.default_rng(0).random((2, 2, 3, 4))
    packet = pack_patterns(list(patterns), 2, ROWS, COLUMNS, may_look=MAY_LOOK)
    figure = drawn(packet, {"scale": scale, "selected": [1, 0]})
    tiles = [trace for trace in figure.data if trace.meta != "masked"]
    assert [(tile.meta["layer"], tile.meta["head"]) for tile in tiles] == list(np.ndindex(2, 2))
    for tile in tiles:
        layer, head = tile.meta["layer"], tile.meta["head"]
        np.testing.assert_allclose(np.array(tile.z, float)[MAY_LOOK], patterns[layer, head][MAY_LOOK], atol=0.01)
        assert np.isnan(np.array(tile.z, float)[~MAY_LOOK]).all()
        assert abs(np.mean(tile.x) - head) < 1e-9 and abs(np.mean(tile.y) - layer) < 1e-9
        assert list(tile.meta["rows"]) == ["0 a", "1 <b>", "2 ox"] and tile.colorscale == tuple(
            colours.sequential("light", scale)
        )
    named = "weight, √ scale" if scale == "sqrt" else "weight, linear scale"
    assert [plain(tile.colorbar.title.text) for tile in tiles if tile.showscale] == [named]
    (frame,) = figure.layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (-0.5, 0.5, 0.5, 1.5)
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_panels_in_a_file(scale: Any) -> None:
    shown = np.where(MAY_LOOK, WEIGHTS, np.nan)
    panels = [
        Panel("A", "head 0.3", shown, ROWS, COLUMNS, note="MiniLM"),
        Panel("A − B", "A − B", shown - 0.3, ROWS, COLUMNS, signed=True),
    ]
    figure = drawn(pack_panels(panels), {"scale": scale, "query": 2})
    cells = [trace for trace in figure.data if trace.meta != "masked"]
    np.testing.assert_allclose(np.array(cells[0].z, float), shown, atol=1e-6)
    assert cells[0].colorscale == tuple(colours.sequential("light", scale))
    assert cells[1].colorscale == tuple(colours.diverging("light"))
    titles = ["weight, √ scale" if scale == "sqrt" else "weight, linear scale", "difference"]
    assert [plain(trace.colorbar.title.text) for trace in cells] == titles
    frames = figure.layout.shapes
    assert [(f.y0, f.y1, f.x0, f.x1, f.line.color) for f in frames] == [(1.5, 2.5, -0.5, 3.5, LIGHT["query"])] * 2
    assert [frame.xref for frame in frames] == ["x", "x2"]
    assert [plain(note.text) for note in figure.layout.annotations] == ["AMiniLM", "A − B"]
    assert figure.layout.annotations[0].x < figure.layout.annotations[1].x
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]
    for axis in (figure.layout.yaxis, figure.layout.yaxis2):
        assert tuple(axis.range) == (2.5, -0.5) and words_along(axis) == ROWS  # the first word is on top


def test_links_in_a_file_are_those_of_the_chosen_word() -> None:
    packet = pack_links(WEIGHTS[None], ROWS, COLUMNS, heads=["0.3"], may_look=MAY_LOOK)
    for side, at in (("query", 2), ("key", 1)):
        figure = drawn(packet, {"pinned": {"side": side, "position": at}})
        lines = [trace for trace in figure.data if trace.mode == "lines"]
        assert {line.line.color for line in lines} == {LIGHT[side]}
        ends = {(q, k) for line in lines for q, k in zip(line.y[0::3], line.y[1::3], strict=True)}
        own = {(at, k) for k in range(4)} if side == "query" else {(q, at) for q in range(3)}
        assert ends == {(q, k) for q, k in own if WEIGHTS[q, k] > 0}
        assert {x for line in lines for x in line.x[0::3]} == {0} and {x for line in lines for x in line.x[1::3]} == {1}
        captions = {note.text: (note.x, note.font.color) for note in figure.layout.annotations}
        assert captions == {"query asks": (0, LIGHT["query"]), "key answers": (1, LIGHT["key"])}
