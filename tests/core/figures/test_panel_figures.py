"""The pictures of many heads: packets of panels, heads as points, distances between heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attn_core.figures.canvas import panels
from attn_core.figures.canvas.packet import unpack
from attn_core.figures.canvas.panels import Panel, pack_panels
from attn_core.figures.charts.distances import distances
from attn_core.figures.charts.scatter import scatter


def panel(cells: np.ndarray, **options: object) -> Panel:
    labels = [f"w{i}" for i in range(len(cells))]
    return Panel(title="A", says="head 0.3", cells=cells, query_labels=labels, key_labels=labels, **options)


def test_panels_carry_exact_numbers_and_what_is_masked() -> None:
    cells = np.array([[1.0, np.nan], [0.3, 0.7]], dtype=np.float32)
    header, body = unpack(pack_panels([panel(cells), panel(cells / 2)]))
    drawn = np.frombuffer(body, "<f4").reshape(2, 2, 2)
    np.testing.assert_array_equal(drawn[0], cells)
    np.testing.assert_array_equal(drawn[1], cells / 2)
    assert (header["queries"], header["keys"], header["limit"], header["paint"]) == (2, 2, 0.0, False)


def test_of_long_sentences_words_share_a_cell_that_holds_the_strongest(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = np.full((5, 5), 0.1)
    cells[0, 1], cells[3, 2], cells[4, 4], cells[:2, 2:4] = -0.6, 0.3, 0.5, np.nan
    cells[2, 0] = np.nan  # one of four, so the cell is not masked
    monkeypatch.setattr(panels, "BUDGET", 4 * 2 * 25)
    header, body = unpack(pack_panels([panel(cells), panel(cells, signed=True)]))
    assert header["pool"] == 1 and header["pooled"] == "" and "≈" not in header["says"]
    np.testing.assert_array_equal(np.frombuffer(body, "<f4").reshape(2, 5, 5)[1], cells.astype("<f4"))

    monkeypatch.setattr(panels, "BUDGET", 4 * 2 * 25 - 1)
    gap = replace(panel(cells, signed=True), query_labels=[None, "b", None, None, "e"], query_special=[False, True])
    header, body = unpack(pack_panels([panel(cells), gap]))
    assert (header["pool"], header["queries"], header["keys"]) == (2, 5, 5)
    wanted = [[-0.6, np.nan, 0.1], [0.1, 0.3, 0.1], [0.1, 0.1, 0.5]]
    for drawn in np.frombuffer(body, "<f4").reshape(2, 3, 3):
        np.testing.assert_allclose(drawn, wanted, atol=1e-7)
    first, second = header["panels"]
    assert first["query_labels"] == ["w0", "w2", "w4"] and first["query_last"] == ["w1", "w3", "w4"]
    assert second["query_labels"] == ["b", None, "e"] and second["query_special"] == [0]
    assert "at most {value}" in header["says"] and "(≈, 2 words a cell)" in header["says_difference"]
    assert header["limit"] == pytest.approx(0.6)
    assert unpack(pack_panels([panel(cells)] * 2, paint=True))[0]["pool"] == 1
    np.testing.assert_array_equal(panels.strongest(np.array([[np.nan, 0.3], [0.2, -0.1]]), 2), [[0.3]])


def test_differences_share_one_scale_from_their_largest() -> None:
    small, large = np.array([[0.1, -0.2], [0.0, np.nan]]), np.array([[-0.6, 0.0], [0.1, 0.2]])
    header, _ = unpack(pack_panels([panel(small, signed=True), panel(np.eye(2)), panel(large, signed=True)]))
    assert header["limit"] == pytest.approx(0.6)
    assert [p["signed"] for p in header["panels"]] == [True, False, True]


def test_a_gap_stays_a_gap_and_what_cannot_be_seen_is_shown() -> None:
    gap = Panel("A", "head 0.3", np.zeros((2, 2)), ["a", None], ["\n", None], query_special=[True, False])
    header, _ = unpack(pack_panels([gap], paint=True))
    (shown,) = header["panels"]
    assert shown["query_labels"] == ["a", None] and shown["key_labels"] == ["⏎", None]
    assert shown["query_special"] == [0] and header["paint"]


def test_panels_of_different_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="the first one has"):
        pack_panels([panel(np.eye(2)), panel(np.eye(3))])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_heads_as_points(theme: str) -> None:
    x, y = np.array([1.0, np.nan, 3.0]), np.array([4.0, 5.0, 6.0])
    chart = scatter(x, y, [0, 0, 1], ["0.0", "0.1", "1.0"], axes=("far", "wide"), notes=["", "local", ""], theme=theme)
    figure = chart.figure()
    (points,) = figure.data
    np.testing.assert_array_equal(points.x, x)
    np.testing.assert_array_equal(points.y, y)
    assert points.text[1] == "head 0.1 · local"
    assert points.marker.color[0] == points.marker.color[1] != points.marker.color[2]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("far", "wide")


def test_distances_of_heads_are_drawn_as_they_are() -> None:
    matrix = np.array([[0.0, 0.25, 1.0]])
    figure = distances(matrix, ["0.0"], ["0.0", "0.1", "1.0"], axes=("A (MiniLM)", "B (Tiny decoder)")).figure()
    (drawn,) = figure.data
    np.testing.assert_array_equal(drawn.z, matrix.astype(np.float32))
    assert (drawn.zmin, drawn.zmax) == (0, 1)
    assert drawn.customdata[0][1] == "head 0.0 of A (MiniLM), head 0.1 of B (Tiny decoder)"
    assert figure.layout.yaxis.autorange == "reversed"
