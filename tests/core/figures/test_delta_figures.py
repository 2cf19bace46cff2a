"""Pictures of ΔE and of senses: what is drawn is what was given, words are never markup, chance is drawn as chance."""

from __future__ import annotations

import numpy as np
import pytest

from attn_core.figures.charts import arrows, delta_e, senses
from attn_core.figures.charts.arrow_traces import Landmarks
from attn_core.figures.colours import CATEGORIES, roles
from attn_core.residual import geometry
from attn_core.text.numbers import percent

RNG = np.random.default_rng(0)
HOSTILE = ["<b>x</b>", "$y$", "", "a\nb", "&amp;"]
ESCAPED = ["&lt;b&gt;x&lt;/b&gt;", "&#36;y&#36;", "∅", "a⏎b", "&amp;amp;"]
STARTS, MOVES = RNG.normal(size=(5, 16)), RNG.normal(size=(5, 16))


@pytest.fixture(params=[2, 3])
def view(request):
    return geometry.fit_projection(np.concatenate([STARTS, STARTS + MOVES]), request.param, "these")


def lines_of(figure):
    return [part for part in figure.data if getattr(part, "mode", "") == "lines+markers"]


def test_arrows_go_from_e_to_e_plus_delta_e(view):
    figure = arrows.token_arrows(HOSTILE, STARTS, MOVES, view, what="head 0.3", theme="light", chosen=2).figure()
    others, chosen = lines_of(figure)
    drawn = np.stack([others[axis] for axis in "xyz"[: len(view.axes)]], axis=1).reshape(4, 3, -1)
    rest = [0, 1, 3, 4]
    np.testing.assert_allclose(drawn[:, 0], view.points(STARTS[rest]))
    np.testing.assert_allclose(drawn[:, 1], view.points(STARTS[rest] + MOVES[rest]))
    assert np.isnan(drawn[:, 2]).all()  # a gap, so that no line joins two words
    assert chosen.line.color == roles("light")["delta"]
    assert chosen.x[0] == pytest.approx(view.points(STARTS[2])[0])


def test_the_hover_says_true_lengths_and_angles(view):
    figure = arrows.token_arrows(HOSTILE, STARTS, MOVES, view, what="head 0.3", theme="dark", chosen=0).figure()
    tip = lines_of(figure)[1].customdata[1]
    a, b = STARTS[0], STARTS[0] + MOVES[0]
    turn = np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    assert f"ΔE is {np.linalg.norm(MOVES[0]):.2f} long, E is {np.linalg.norm(a):.2f}" in tip
    assert f"turns E by {turn:.1f}°" in tip


def test_words_are_never_markup(view):
    figure = arrows.token_arrows(HOSTILE, STARTS, MOVES, view, what="x", theme="light").figure()
    (words,) = [part for part in figure.data if getattr(part, "mode", "") == "text"]
    assert list(words.text) == ESCAPED
    near = Landmarks(RNG.normal(size=(2, 16)), HOSTILE[:2], at=1.0)
    figure = arrows.routes(
        ["<i>a</i> b"], [STARTS], view, theme="light", stops=list("abcde"), landmarks=[near]
    ).figure()
    assert list(figure.data[0].text) == ESCAPED[:2]
    assert lines_of(figure)[0].name == "&lt;i&gt;a&lt;/i&gt; b"


def test_landmarks_with_a_length_keep_only_their_direction():
    near = Landmarks(np.array([[3.0, 4.0]]), ["x"], at=10.0)
    np.testing.assert_allclose(near.placed(), [[6, 8]])
    assert Landmarks(np.array([[3.0, 4.0]]), ["x"]).placed().tolist() == [[3, 4]]


def test_routes_pass_every_stop_and_share_one_name_for_the_input_embedding(view):
    ways = [RNG.normal(size=(4, 16)) for _ in range(3)]
    figure = arrows.routes(
        list("ABC"), ways, view, theme="light", stops=["before", "1", "2", "3"], tips=list("ABC")
    ).figure()
    for line, way, colour in zip(lines_of(figure), ways, CATEGORIES["light"], strict=False):
        np.testing.assert_allclose(line.x[:4], view.points(way)[:, 0])
        assert line.line.color == colour
    said = [word for part in figure.data if getattr(part, "mode", "") == "text" for word in part.text]
    assert said == ["before", "A", "B", "C"]
    assert f"turned by {geometry.angle(ways[0][0], ways[0][1]):.1f}°" in lines_of(figure)[0].customdata[1]


def test_axes_say_how_much_they_keep(view):
    figure = arrows.token_arrows(HOSTILE, STARTS, MOVES, view, what="x", theme="light").figure()
    axis = figure.layout.scene.yaxis if len(view.axes) == 3 else figure.layout.yaxis
    assert percent(float(view.explained[1])) in axis.title.text
    if len(view.axes) == 2:
        assert "of the variance" in axis.title.text
        assert figure.layout.yaxis.scaleanchor == "x"  # an angle on the picture is an angle of the plane


def test_the_staircase_is_a_running_sum():
    shares = np.array([0.5, -0.2, 0.7])
    bars = delta_e.share_bars(["0.0", "0.1", "bias"], shares, np.ones(3), theme="light", chosen=1).figure().data[0]
    assert list(bars.base) == pytest.approx([0, 0.5, 0.3]) and bars.x.tolist() == shares.tolist()
    assert bars.text[1] == "−20 %" and bars.marker.color[1] == roles("light")["accent"]


def test_a_stacked_bar_puts_what_pulls_away_on_the_left():
    figure = delta_e.stacked_sources(HOSTILE[:3], [0, 1, 2], np.array([1.0, -0.5, 2.0]), theme="light").figure()
    assert [float(bar.x[0]) for bar in figure.data] == [1, -0.5, 2]
    assert figure.layout.barmode == "relative"
    assert ESCAPED[0] in figure.data[0].hovertext and "key 0" in figure.data[0].hovertext


def test_words_no_better_than_luck_are_pale():
    bars = delta_e.word_bars(["a", "b", "c"], np.array([6.0, 3.0, -5.0]), 4.5, theme="dark").figure().data[0]
    assert bars.marker.opacity.tolist() == [1, 0.3, 1]
    assert list(bars.customdata) == ["stands out", "no better than chance", "stands out"]


def test_the_dimension_map_is_centred_and_names_its_bins():
    vectors = RNG.normal(size=(3, 10))
    picture = geometry.dimensions(vectors, at_most=4)
    figure = delta_e.dimension_map(["a", "a", "<b>"], picture, name="ΔE", theme="light").figure()
    drawn = figure.data[0]
    np.testing.assert_allclose(drawn.z, picture.values, atol=1e-6)
    assert drawn.zmin == -drawn.zmax and len(set(drawn.y)) == 3  # two equal tokens are two rows
    assert "mean of 3 dimensions" in figure.layout.xaxis.title.text
    assert drawn.x[0] == "mean of dimensions 0, 1, 2" and drawn.y[2] == "&lt;b&gt; (2)"


def test_layer_bars_stand_side_by_side_on_one_scale():
    attention, mlp = (
        delta_e.layer_bars(np.array([1.0, 2.0]), np.array([3.0, 4.0]), name="x", theme="light", chosen=1).figure().data
    )
    assert attention.y.tolist() == [1, 2] and mlp.y.tolist() == [3, 4] and attention.yaxis == mlp.yaxis


def test_cosine_lines_and_the_band_of_one_sense():
    cosines, same = np.array([[1, 0.9, 0.6], [1, 0.8, 0.7]]), np.array([[1, 0.95, 0.9], [1, 0.97, 0.8]])
    figure = senses.cosine_lines(["A and B", "<i>"], cosines, ["t", "d", "e"], theme="light", baseline=same).figure()
    lines = [part for part in figure.data if getattr(part, "mode", "") == "lines+markers"]
    assert [line.y.tolist() for line in lines] == cosines.tolist()
    assert lines[1].name == "&lt;i&gt;"
    low, high, mean = figure.data[:3]
    assert low.y.tolist() == [1, 0.95, 0.8] and high.y.tolist() == [1, 0.97, 0.9]
    assert mean.y.tolist() == pytest.approx([1, 0.96, 0.85])
    assert figure.layout.yaxis.range[0] < 0.6
    assert len(senses.cosine_lines(["A and B"], cosines[:1], ["t", "d", "e"], theme="dark").figure().data) == 1
