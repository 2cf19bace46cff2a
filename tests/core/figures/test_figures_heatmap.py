"""One head as a heatmap: the figure's own numbers, words and axes."""

import html
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from attn_core.figures import colours, labels
from attn_core.figures.charts.heatmap import CLICKABLE, clicked, heatmap
from attn_core.text.numbers import percent, percents

WORDS = ["[CLS]", "a", "fluffy", "creature", "a", "<b>$x$"]


def pattern(n=6, keys=None):
    weights = np.random.default_rng(1).dirichlet(np.ones(keys or n), size=n)
    return weights.astype(np.float32)


def hover(figure, row, column):
    """What Plotly says over a cell: its template with the names and words of that cell."""
    cells = figure.data[0]
    said = cells.hovertemplate.replace("%{x}", cells.x[column]).replace("%{y}", cells.y[row])
    plain = re.sub(r"<[^>]*>", " ", said.replace("%{text}", cells.text[row][column]))
    return " ".join(html.unescape(plain).split())


def test_a_cell_is_the_number_itself_and_the_range_is_fixed():
    weights = pattern()
    cells = heatmap(weights, WORDS).data[0]
    assert_array_equal(cells.z, weights)
    assert (cells.zmin, cells.zmax) == (0, 1) and cells.colorscale[0][1] == colours.SEQUENTIAL["light"][0]
    assert heatmap(weights, WORDS, zmax=0.4).data[0].zmax == 0.4


def test_the_square_root_scale_changes_colours_only():
    root, plain = (heatmap(pattern(), WORDS, scale=scale).data[0] for scale in ("sqrt", "linear"))
    assert_array_equal(root.z, plain.z)
    assert root.colorscale[5][0] == pytest.approx(0.25) and plain.colorscale[5][0] == pytest.approx(0.5)


def test_hover_reads_as_a_sentence_and_equal_tokens_stay_two():
    weights = pattern()
    weights[3] = [0.05, 0.05, 0.19, 0.6, 0.1, 0.01]
    figure = heatmap(weights, WORDS, head="0.3")
    assert hover(figure, 3, 2) == ("To update creature (query 3) , head 0.3 takes 19 % from fluffy (key 2)")
    assert len(set(figure.data[0].x)) == len(set(figure.data[0].y)) == 6


def test_hidden_tokens_keep_their_true_positions():
    figure = heatmap(pattern(2), ["fluffy", "creature"], query_positions=[2, 4])
    assert "creature (query 4)" in hover(figure, 1, 0) and "fluffy (key 2)" in hover(figure, 1, 0)


def test_both_axes_are_named_and_the_lesson_turns_the_picture_not_the_numbers():
    weights = pattern(6, keys=2)
    papers = heatmap(weights, WORDS, ["x", "y"], selected_query=3)
    lesson = heatmap(weights, WORDS, ["x", "y"], selected_query=3, queries_in="columns")
    assert papers.layout.yaxis.title.text == lesson.layout.xaxis.title.text == "query (asks)"
    assert papers.layout.xaxis.title.text == lesson.layout.yaxis.title.text == "key (answers)"
    assert_array_equal(papers.data[0].z, weights)
    assert_array_equal(lesson.data[0].z, weights.T)
    assert hover(papers, 3, 1) == hover(lesson, 1, 3)
    frame = papers.layout.shapes[0]
    assert (frame.y0, frame.y1, frame.x0, frame.x1) == (2.5, 3.5, -0.5, 1.5)
    frame = lesson.layout.shapes[0]
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (2.5, 3.5, -0.5, 1.5)


def test_rows_run_downwards_and_nothing_pads_the_cells():
    layout = heatmap(pattern(), WORDS).layout
    assert layout.yaxis.range == (5.5, -0.5) and layout.xaxis.range == (-0.5, 5.5)


def test_masked_is_a_hatched_gap_and_says_so():
    hidden = ~np.tril(np.ones((6, 6), bool))
    figure = heatmap(pattern(), WORDS, masked=hidden)
    assert_array_equal(np.isnan(figure.data[0].z), hidden)
    assert "masked" in hover(figure, 0, 1) and "masked" not in hover(figure, 1, 0)
    assert len(figure.layout.images) == 1 and colours.ROLES["light"]["masked"][1:] in figure.layout.images[0].source
    assert not heatmap(pattern(), WORDS).layout.images


def test_minus_infinity_counts_as_masked():
    scores = np.array([[1.0, -np.inf], [-2.0, 3.0]])
    figure = heatmap(scores, ["a", "b"], kind="signed", measure="score")
    assert_array_equal(np.isnan(figure.data[0].z), [[False, True], [False, False]])
    assert hover(figure, 0, 1).endswith("score masked") and hover(figure, 1, 0).endswith("score −2")


def test_signed_numbers_are_centred_on_zero():
    cells = heatmap(np.array([[0.5, -2.0]]), ["q"], ["a", "b"], kind="signed").data[0]
    assert (cells.zmin, cells.zmax) == (-2, 2) and len(cells.colorscale) == 11
    assert cells.colorscale[5] == (0.5, colours.ROLES["light"]["card"])
    flat = heatmap(np.zeros((2, 2)), ["a", "b"], kind="signed").data[0]
    assert (flat.zmin, flat.zmax) == (-1, 1)


def test_labels_are_few_and_never_markup():
    figure = heatmap(pattern(100), [f"<i>{i}$" for i in range(100)], theme="dark")
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        assert len(axis.ticktext) <= 24
        assert all("<i>" not in word and "$" not in word for word in axis.ticktext)
    assert labels.escape("<a href='https://x.org'>&amp;$x$") == "&lt;a␠href='https://x.org'&gt;&amp;amp;&#36;x&#36;"


def test_only_markers_can_be_clicked_and_each_knows_its_cell():
    figure = heatmap(pattern(), WORDS, clickable=True, queries_in="columns")
    markers = figure.data[1]
    assert [tuple(cell[:2]) for cell in markers.customdata] == [(q, k) for q in range(6) for k in range(6)]
    assert all(markers.x[q * 6 + k] == figure.data[0].x[q] for q in range(6) for k in range(6))
    assert markers.marker.opacity == 0
    side = int(CLICKABLE**0.5) + 1
    assert len(heatmap(pattern(side), [str(i) for i in range(side)], clickable=True).data) == 1


def test_a_click_is_read_as_query_and_key():
    chosen = {"selection": {"points": [{"customdata": [4, 2, "19 %"]}]}}
    assert clicked(chosen) == (4, 2)
    assert clicked({"selection": {"points": []}}) is clicked(None) is None


def test_special_and_chosen_words_are_coloured_by_role():
    figure = heatmap(pattern(), WORDS, selected_query=3, marked_keys=[2], query_special=[True] + [False] * 5)
    roles = colours.ROLES["light"]
    rows, columns = figure.layout.yaxis.ticktext, figure.layout.xaxis.ticktext
    assert roles["soft"] in rows[0] and roles["query"] in rows[3] and rows[2] == "fluffy"
    assert roles["soft"] in columns[0] and roles["key"] in columns[2] and columns[3] == "creature"


@pytest.mark.parametrize(
    "weight", [0.0, 1e-6, 0.00005, 0.00421, 0.05, 0.0995, 0.1934, 0.994, 0.9949, 0.9951, 0.9999, 1.0]
)
def test_a_matrix_of_percents_says_what_one_percent_says(weight):
    assert percents(np.array([[weight]])).tolist() == [[percent(weight)]]


def test_a_percent_is_never_further_off_than_its_digits_and_never_a_false_hundred():
    for weight in np.random.default_rng(0).random(2000):
        said = percent(weight)
        assert abs(float(said.removesuffix(" %")) - 100 * weight) <= 0.5
        assert said != "100 %" or weight > 0.9999


def test_one_token_has_a_picture_too():
    figure = heatmap(np.ones((1, 1)), ["a"])
    assert figure.layout.height > 100 and hover(figure, 0, 0).count("100 %") == 1


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(6, 6\) numbers do not fit 6 queries and 2 keys"):
        heatmap(pattern(), WORDS, ["a", "b"])


def test_an_axis_title_stands_close_to_its_labels_however_long_they_are():
    """Plotly adds the labels' own length; a slide, whose margins are wide, would put the title into its headline."""
    long = ["a" * 20, "b" * 20]
    figure = heatmap(np.full((2, 2), 0.5), long, theme="light")
    assert 0 < figure.layout.xaxis.title.standoff <= 12 and 0 < figure.layout.yaxis.title.standoff <= 12
