"""HTML is a type: what a visitor may have typed stays text in every small picture, whoever joins it to other HTML."""

from __future__ import annotations

import numpy as np
import pytest
from markupsafe import Markup

from attn_core.figures.charts.parameters import legend
from attn_core.figures.html.bar_table import Column, bars
from attn_core.figures.html.dot_product import dot_product
from attn_core.figures.html.matrix_shapes import value_matrices
from attn_core.figures.html.rotary_dials import clocks
from attn_core.figures.html.vector_arrows import Arrow, arrows

NASTY = '<img src=x onerror="alert(1)">'
ESCAPED = "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;"
Q = np.array([1.0, -2.0])


@pytest.mark.parametrize(
    ("html", "times"),
    [
        (bars([NASTY], [Column(NASTY, [1.0], [NASTY])], head=NASTY, marks={0: ("key", NASTY)}), 5),
        (dot_product(Q, Q, NASTY, NASTY), 2),
        (arrows([Arrow(1.0, 0.0, "query", NASTY)], NASTY), 2),
        (clocks(np.ones((2, 2)), np.ones(2)), 0),
        (value_matrices(64, 8), 0),
        (legend(["query", "up"], "light"), 0),
    ],
    ids=["bars", "dot_product", "arrows", "clocks", "value_matrices", "legend"],
)
def test_what_is_given_as_text_stays_text(html: Markup, times: int) -> None:
    assert isinstance(html, Markup) and html.count(ESCAPED) == times and "<img" not in html
    assert Markup("<p>{}</p>").format(html) == f"<p>{html}</p>"  # HTML is not escaped again
    assert NASTY not in html + NASTY  # and text that is joined to it is
