"""HTML is a type: what a visitor may have typed stays text in every small picture, whoever joins it to other HTML."""

from __future__ import annotations

import re

import numpy as np
import pytest
from markupsafe import Markup

from attn_core.figures.charts.parameters import legend
from attn_core.figures.html.bar_table import Column, bars
from attn_core.figures.html.dot_product import dot_product
from attn_core.figures.html.histograms import BINS, Spread, heights, histograms
from attn_core.figures.html.matrix_shapes import value_matrices
from attn_core.figures.html.number_table import Matrix, number_table, product
from attn_core.figures.html.rotary_dials import clocks
from attn_core.figures.html.strengths import strengths
from attn_core.figures.html.vector_arrows import Arrow, arrows
from attn_core.figures.paper.spreads import histograms as paper_histograms

NASTY = '<img src=x onerror="alert(1)">'
ESCAPED = "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;"
Q = np.array([1.0, -2.0])


@pytest.mark.parametrize(
    ("html", "times"),
    [
        (bars([NASTY], [Column(NASTY, [1.0], [NASTY])], head=NASTY, marks={0: ("key", NASTY)}), 5),
        (dot_product(Q, Q, NASTY, NASTY), 2),
        (arrows([Arrow(1.0, 0.0, "query", NASTY)], NASTY), 2),
        (number_table(Matrix(NASTY, np.ones((1, 1)), [NASTY], [NASTY])), 3),
        (histograms([NASTY], [Spread(NASTY, [Q], [NASTY], 1.0)], NASTY), 4),
        (strengths(np.ones(2), 1, NASTY), 1),
        (clocks(np.ones((2, 2)), np.ones(2)), 0),
        (value_matrices(64, 8), 0),
        (legend(["query", "up"], "light"), 0),
    ],
    ids=[
        "bars",
        "dot_product",
        "arrows",
        "number_table",
        "histograms",
        "strengths",
        "clocks",
        "value_matrices",
        "legend",
    ],
)
def test_what_is_given_as_text_stays_text(html: Markup, times: int) -> None:
    assert isinstance(html, Markup) and html.count(ESCAPED) == times and "<img" not in html
    assert Markup("<p>{}</p>").format(html) == f"<p>{html}</p>"  # HTML is not escaped again
    assert NASTY not in html + NASTY  # and text that is joined to it is


# --- Numbers written out -------------------------------------------------------------------------------------------


def cells_of(html: str) -> list[str]:
    return re.findall(r"<td[^>]*>([^<]*)</td>", html)


def test_a_table_writes_out_every_number_and_hatches_what_is_masked() -> None:
    table = number_table(Matrix("t", np.array([[0.5, -np.inf], [-2.0, 1e-9]]), ("a", "b"), ("x", "long name"), row=1))
    assert cells_of(table) == ["", "0.5", "−∞", "−2", "0"]
    assert 'class="masked" style="--s:0%"' in table and 'class="down" style="--s:100%"' in table
    assert '<tr class="lit"><th scope="row">b</th>' in table and " long" in table


def test_a_product_lights_one_row_and_one_column_and_then_their_cell() -> None:
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0, 7.0], [8.0, 9.0, 1.0]])
    made = product(Matrix("A", a, row=1), Matrix("B", b, column=2), Matrix("C", a @ b, role="query"))
    turns = re.findall(r'class="up turn" style="--s:\d+%;--i:(\d)">([^<]*)<', made)
    assert turns == [("0", "7"), ("1", "1"), ("0", "3"), ("1", "4"), ("2", "25")]
    assert "3 × 7</span> + " in made and '<b class="query made" style="--i:2">25</b>' in made
    with pytest.raises(ValueError, match="meet"):
        product(Matrix("A", a), Matrix("B", b, column=0), Matrix("C", a @ b))
    with pytest.raises(ValueError, match="meet"):
        product(Matrix("A", a, row=0), Matrix("B", b.T, column=0), Matrix("C", a))


def test_a_histogram_counts_what_lies_beyond_in_its_last_bins() -> None:
    shares = heights(np.array([-9.0, 0.0, 0.0, 9.0]), limit=1.0)
    assert len(shares) == BINS and (shares[0], shares[BINS // 2], shares[-1]) == (0.5, 1.0, 0.5) and shares.sum() == 2
    table = histograms(["8"], [Spread("s", [np.array([-1.0, 1.0])], ["1.5"], 2.0, "key")], "d")
    assert 'class="key" style="clip-path:polygon(0% 100%,' in table and "<b>1.5</b>" in table
    figure = paper_histograms(["8", "16"], [Spread("s", [np.ones(3), np.ones(3)], ["1", "2"], 2.0)], "d")
    assert [trace.name for trace in figure.data] == ["d 8: s 1", "d 16: s 2"]


def test_strengths_are_bars_of_which_the_first_stand_out() -> None:
    bars_ = strengths(np.array([4.0, 2.0, 1.0]), 2, "three")
    assert re.findall(r'class="(most)?" style="height:([\d.]+)%"', bars_) == [
        ("most", "100.0"),
        ("most", "50.0"),
        ("", "25.0"),
    ]
