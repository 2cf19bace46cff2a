"""One description, two drawings: what the canvas draws of a packet is what the saved picture draws of the same packet.

The canvas' own calls are recorded (which box has which colour, which word stands where in which ink)
and compared, cell by cell, with the traces of the figure for paper, in both themes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import numpy as np
import pytest
from canvas_recorder import Recorder

from attn_core.figures import colours
from attn_core.figures.canvas import panels as canvas_panels
from attn_core.figures.canvas.boxes import boxes
from attn_core.figures.canvas.heads import pack_kinds, pack_patterns, pack_values
from attn_core.figures.canvas.links import pack_links
from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.figures.canvas.packet import unpack
from attn_core.figures.canvas.panels import Panel, pack_panels
from attn_core.figures.paper.draw import drawn
from attn_core.text import numbers

WORDS = ["the", "<b>", "ox"]
CAUSAL = np.tril(np.ones((3, 3), bool))
PATTERN = np.array([[1, 0, 0], [0.7, 0.3, 0], [0.05, 0.45, 0.5]])
MEANINGS = {"previous token": "looks one back", "induction": "copies", "same position": "looks at itself"}


@pytest.fixture
def on_screen(recorder: Recorder, theme: str) -> Callable[..., dict[str, Any]]:
    """Draw a packet with a picture's JavaScript; gives what was drawn, and the theme that it was drawn in."""

    def draw(name: str, packet: bytes, view: dict[str, Any] | None = None) -> dict[str, Any]:
        seen = recorder.draw(name, packet, view=view or {}, theme=theme)
        drawn_ = [record for canvas in seen.all("canvas") for record in canvas["drawn"]]

        def each(what: str) -> list[dict[str, Any]]:
            return [record for record in drawn_ if record["what"] == what]

        return {
            "rects": [[*rect["box"], rect["colour"]] for rect in each("rect")],
            "words": [[text["text"], *text["at"], text["colour"]] for text in each("text")],
            "lines": [(line["path"], line["colour"], line.get("alpha", 1), line["width"]) for line in each("line")],
            "stamps": [stamp["cells"] for stamp in each("stamp")],
            "legend": [part["says"] for legend in seen.all(".legend") for part in legend["inside"]],
            "text": " ".join(figure["says"] for figure in seen.all(".figure")),
            "theme": theme,
        }

    return draw


def squares(drawn_: dict[str, Any], shape: tuple[int, int]) -> list[list[str]]:
    """The colours of the cells that fill a grid, row by row: "#rrggbb"."""
    found = {(round(y), round(x)): colour for x, y, _, _, colour in drawn_["rects"]}
    rows, columns = (sorted({place[i] for place in found}) for i in (0, 1))
    assert (len(rows), len(columns)) == shape
    return [[found.get((row, column), "") for column in columns] for row in rows]


def words_in(drawn_: dict[str, Any], shape: tuple[int, int]) -> list[list[tuple[str, str]]]:
    """For every cell the word in it and its ink."""
    rects = {(round(y), round(x)): (x, y, w, h) for x, y, w, h, _ in drawn_["rects"]}
    rows, columns = (sorted({place[i] for place in rects}) for i in (0, 1))
    found = [[("", "")] * shape[1] for _ in range(shape[0])]
    for text, across, down, ink in drawn_["words"]:
        for (top, left), (x, y, w, h) in rects.items():
            if x < across < x + w and y < down < y + h:
                found[rows.index(top)][columns.index(left)] = (text, ink)
    return found


def fill_of(trace: Any, bar: dict[str, Any], theme: str, scale: str) -> list[list[str]]:
    """What a saved heatmap paints, cell by cell. It is light; in a dark theme the colours at the same places."""
    assert (trace.zmin, trace.zmax) == tuple(bar["domain"])
    light = colours.diverging("light") if bar["signed"] else colours.sequential("light", scale)
    assert [tuple(step) for step in trace.colorscale] == light
    steps = (colours.DIVERGING if bar["signed"] else colours.SEQUENTIAL)[theme]
    places = [at for at, _ in light]
    share = (np.array(trace.z, float) - trace.zmin) / (trace.zmax - trace.zmin)
    return [
        ["" if np.isnan(s) else colours.shade(steps, np.interp(s, places, np.linspace(0, 1, len(places)))) for s in row]
        for row in share
    ]


def same_colours(one: list[list[str]], other: list[list[str]], within: int = 2) -> None:
    for a, b in zip(sum(one, []), sum(other, []), strict=True):
        assert (not a) == (not b), (a, b)
        if a:
            np.testing.assert_allclose(colours.channels(a), colours.channels(b), atol=within)


def bar_words(trace: Any) -> str:
    """A saved picture's colour bar as the legend reads: its ends, then its title."""
    bar = trace.colorbar
    ends = (bar.ticktext[0], bar.ticktext[-1]) if bar.ticktext else ("", "")
    return unescape("".join(ends) + bar.title.text).replace("\u00a0", " ")


def spaces(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize("signed", [False, True])
def test_a_number_a_head(on_screen, signed) -> None:
    values = np.array([[0.5, 2.0, 0.0], [1.25, 0.1, 1.9]]) * (np.array([1, -1, 1]) if signed else 1)
    texts = [[numbers.significant(v) for v in row] for row in values]
    packet = pack_values(values, texts, name="size of ΔE", signed=signed)
    seen, figure = on_screen("overview", packet), drawn(packet)
    squares_, written = figure.data
    bar = unpack(packet)[0]["bar"]
    fills = fill_of(squares_, bar, seen["theme"], "linear")
    same_colours(squares(seen, (2, 3)), fills, within=0)
    assert [[text for text, _ in row] for row in words_in(seen, (2, 3))] == texts
    assert [unescape(text) for text in written.text] == sum(texts, [])
    inks = [ink for row in words_in(seen, (2, 3)) for _, ink in row]
    assert inks == [colours.ink_on(fill) for fill in sum(fills, [])]
    if seen["theme"] == "light":
        assert list(written.textfont.color) == inks
    assert spaces(seen["legend"][0]) == bar_words(squares_)


def test_a_kind_a_head(on_screen) -> None:
    kinds = [["previous token", "odd", "induction"], ["induction", "previous token", "strange"]]
    packet = pack_kinds(kinds, MEANINGS)
    seen, figure = on_screen("overview", packet), drawn(packet)
    grid, written, *legend = figure.data
    header, _ = unpack(packet)
    assert [entry["letters"] for entry in header["legend"]] == ["PT", "IN", "SP", "·"]
    letters = [text for row in words_in(seen, (2, 3)) for text, _ in row]
    assert letters == list(written.text) == ["PT", "·", "IN", "IN", "PT", "·"]
    # The saved squares' colours are the steps of its scale; each is a kind of the packet.
    names = grid.meta["names"]
    steps = dict(zip(names, [colour for _, colour in grid.colorscale][::2], strict=True))
    entries = {entry["name"]: entry["fills"] for entry in header["legend"]}
    for row, shown in zip(kinds, squares(seen, (2, 3)), strict=True):
        for kind, colour in zip(row, shown, strict=True):
            fills = entries.get(kind, entries["other"])
            assert steps[kind] == fills["light"] and colour == fills[seen["theme"]]
    assert seen["legend"] == [unescape(entry.name).replace(" ", "", 1) for entry in legend]
    if seen["theme"] == "light":
        assert list(written.textfont.color) == [ink for row in words_in(seen, (2, 3)) for _, ink in row]


@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_a_pattern_a_head(on_screen, scale) -> None:
    packet = pack_patterns([np.stack([PATTERN, PATTERN.T])], 1, WORDS, may_look=CAUSAL)
    view = {"scale": scale, "selected": [0, 1]}
    seen, figure = on_screen("overview", packet, view), drawn(packet, view)
    bar = unpack(packet)[0]["bar"]
    tiles = [trace for trace in figure.data if trace.meta != "masked"]
    for stamp, tile in zip(seen["stamps"], tiles, strict=True):
        same_colours([[colour or "" for colour in row] for row in stamp], fill_of(tile, bar, seen["theme"], scale))
        assert [[colour is None for colour in row] for row in stamp] == (~CAUSAL).tolist()  # hatched, grey on paper
    assert spaces(seen["legend"][0]) == bar_words(tiles[0])
    (frame,) = figure.layout.shapes
    assert (frame.x0, frame.y0) == (0.5, -0.5)


@pytest.mark.parametrize(("kind", "limit"), [("signed", None), ("signed", 0.4), ("weights", 1.0)])
def test_a_matrix(on_screen, kind, limit) -> None:
    cells = np.where(CAUSAL, PATTERN - (0.2 if kind == "signed" else 0), -np.inf)
    sides = Side(WORDS, "query", "query", special=[True, False, False]), Side(WORDS, "key", "key", slanted=True)
    packet = pack_cells(cells, *sides, kind=kind, says="{value}", alt="", limit=limit, square=True, scale="linear")
    seen, figure = on_screen("cells", packet), drawn(packet)
    bar = unpack(packet)[0]["bar"]
    fills = fill_of(figure.data[0], bar, seen["theme"], "linear")
    on_canvas = squares(seen, (3, 3))
    same_colours(on_canvas, fills, within=1)
    labels = [text for text, *_ in seen["words"] if text in WORDS]
    assert labels == WORDS + WORDS  # the rows', then the columns'
    for axis in (figure.layout.yaxis, figure.layout.xaxis):
        assert [unescape(re.sub("<[^>]*>", "", text)) for text in axis.ticktext] == WORDS
    dim = {text: ink for text, _, _, ink in seen["words"][:12] if text == "the"}
    assert dim["the"] in (colours.roles(seen["theme"])["soft"], colours.roles(seen["theme"])["ink"])
    assert spaces(seen["legend"][1]) == bar_words(figure.data[0])
    inks = {ink for row in words_in(seen, (3, 3)) for text, ink in row if text}
    assert inks <= set(colours.INKS)


@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_panels(on_screen, scale) -> None:
    cells = np.where(CAUSAL, PATTERN, np.nan)
    panels = [
        Panel("A", "head 0.3", cells, WORDS, WORDS),
        Panel("A − B", "both", cells - 0.3, WORDS, WORDS, signed=True),
    ]
    packet = pack_panels(panels)
    seen, figure = on_screen("panels", packet, {"scale": scale}), drawn(packet, {"scale": scale})
    header, _ = unpack(packet)
    traces = [trace for trace in figure.data if trace.meta != "masked"]
    each = int(CAUSAL.sum())
    for i, (trace, what) in enumerate(zip(traces, ("weight", "difference"), strict=True)):
        fills = [fill for row in fill_of(trace, header["bars"][what], seen["theme"], scale) for fill in row if fill]
        # The card's colour, then the cell's own on top of it.
        shown = [rect[4] for rect in seen["rects"]][1 + 2 * each * i : 2 * each * (i + 1) : 2]
        same_colours([shown], [fills])
    assert [spaces(text) for text in seen["legend"][:2]] == [bar_words(trace) for trace in traces]


@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_panels_in_which_words_share_a_cell(on_screen, scale, monkeypatch) -> None:
    words = ["the", "<b>", "ox", "a", "fox"]
    cells = np.where(np.tril(np.ones((5, 5), bool)), np.linspace(0.05, 0.9, 25).reshape(5, 5), np.nan)
    monkeypatch.setattr(canvas_panels, "BUDGET", 99)
    packet = pack_panels([Panel("A", "head 0.3", cells, words, words, note="MiniLM")])
    seen, figure = (
        on_screen("panels", packet, {"scale": scale, "query": 3}),
        drawn(packet, {"scale": scale, "query": 3}),
    )
    header, _ = unpack(packet)
    assert header["pool"] == 2
    (trace,) = (trace for trace in figure.data if trace.meta != "masked")
    np.testing.assert_allclose(trace.z, canvas_panels.strongest(cells, 2).astype("<f4"))
    fills = [fill for row in fill_of(trace, header["bars"]["weight"], seen["theme"], scale) for fill in row if fill]
    shown = [rect[4] for rect in seen["rects"]][1 : 2 * len(fills) : 2]  # the card's colour comes before each
    same_colours([shown], [fills])
    assert [text for text, *_ in seen["words"]][:6] == ["the", "ox", "fox"] * 2
    (frame,) = figure.layout.shapes
    assert (frame.y0, frame.y1) == (0.5, 1.5)  # "ox" and "a", of which the second is followed
    assert any(spaces(text) == header["pooled"] for text in seen["legend"])
    assert f"MiniLM · {header['pooled']}" in spaces(figure.layout.annotations[0].text)
    assert list(trace.meta["rows"]) == ["0 the", "2 ox", "4 fox"]


def test_lines_between_words(on_screen) -> None:
    packet = pack_links(np.stack([PATTERN]), WORDS, heads=["0.3"], may_look=CAUSAL)
    view = {"pinned": {"side": "query", "position": 2}}
    seen, figure = on_screen("links", packet, view), drawn(packet, view)
    assert len(seen["lines"]) == 3
    on_paper = {
        (cell[0], cell[1]): (trace.line.color, trace.line.width, trace.opacity, trace.name)
        for trace in figure.data
        if isinstance(trace.meta, dict)
        for cell in trace.meta["cells"]
    }
    assert set(on_paper) == {("2 ox", f"{i} {word}") for i, word in enumerate(WORDS)}
    shades = 20
    for (path, colour, opacity, width), (key, word) in zip(seen["lines"], enumerate(WORDS), strict=True):
        saved = on_paper["2 ox", f"{key} {word}"]
        assert saved[0] == colours.roles("light")["query"] and colour == colours.roles(seen["theme"])["query"]
        assert saved[1] == pytest.approx(width, abs=2.6 / shades) and saved[2] == pytest.approx(
            opacity, abs=1.25 / shades
        )
        assert saved[3] == "head 0.3" and path
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["query asks", "key answers"] and all(title in seen["text"] for title in titles)


def test_lines_too_faint_are_left_out_of_both(on_screen) -> None:
    faint = np.array([[0.995, 0.005, 0], [0.5, 0.5, 0], [0.008, 0.002, 0.99]])
    packet = pack_links(faint[None], WORDS, heads=["the mean of all heads"])
    seen, figure = on_screen("links", packet), drawn(packet)
    saved = [cell for trace in figure.data if isinstance(trace.meta, dict) for cell in trace.meta["cells"]]
    assert len(seen["lines"]) == len(saved) == 4
    assert {colour for _, colour, *_ in seen["lines"]} == {colours.roles(seen["theme"])["soft"]}
    assert {t.line.color for t in figure.data if isinstance(t.meta, dict)} == {colours.roles("light")["soft"]}
    note = figure.layout.annotations[-1].text
    assert note == "Lines below 1 % are not drawn until a word is chosen." and note in spaces(seen["text"])


def test_boxes_in_boxes(on_screen) -> None:
    packet = boxes(
        [0, 0, 0], ["model", "query", "MLP up"], [4_000_000, 3_000_000, 1_000_000], ["model", "query", "up"], ""
    )
    seen, (saved,) = on_screen("boxes", packet), drawn(packet).data
    header, _ = unpack(packet)
    assert dict(zip(saved.labels, saved.text, strict=True)) == {
        "model": "4.00 M",
        "query": "3.00 M",
        "MLP up": "1.00 M",
    }
    written = [text for text, *_ in seen["words"]]
    assert written[:4] == ["query", "3.00 M", "MLP up", "1.00 M"]
    on_paper = dict(zip(saved.labels, saved.marker.colors, strict=True))
    shown = [rect[4] for rect in seen["rects"][:2]]
    for name, kind, colour in (("query", "query", shown[0]), ("MLP up", "up", shown[1])):
        assert on_paper[name] == header["fills"]["light"][kind] and colour == header["fills"][seen["theme"]][kind]
    (_, _, wide, high, _), (_, _, narrow, low, _) = seen["rects"][:2]
    assert wide * high / (narrow * low) == pytest.approx(3)
