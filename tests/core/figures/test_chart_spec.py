"""Charts are plain data that the real Plotly would take as it is: nothing to coerce, nothing unknown."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import plotly.io
import pytest
from plotly.graph_objects import Figure

from attn_core.figures.charts import arrows, delta_e, parameters, scaling, senses, singular_values, training
from attn_core.figures.charts.arrow_traces import Landmarks
from attn_core.figures.charts.distances import distances
from attn_core.figures.charts.heatmap import heatmap, heatmap_spec
from attn_core.figures.charts.scatter import scatter
from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.unvalidated import Unvalidated
from attn_core.residual import geometry

RNG = np.random.default_rng(0)
WORDS = ["a", "<b>", "$c$"]
VECTORS, MOVES = RNG.normal(size=(3, 16)), RNG.normal(size=(3, 16))
NEAR = [Landmarks(VECTORS, WORDS, at=1.0), Landmarks(VECTORS, WORDS)]
PARTS = [{"query": 30, "embedding": 1_000, "norm": 5}, {"query": 80, "mlp": 2_000}]
GROWN = {"query": [10.0, 100.0], "MLP": [20.0, 400.0]}


def plane(axes):
    return geometry.fit_projection(np.concatenate([VECTORS, VECTORS + MOVES]), axes, "these")


CHARTS = {
    "pattern": partial(heatmap_spec, np.eye(3), WORDS, selected_query=1, marked_keys=[0], title="x", clickable=True),
    "signed": partial(heatmap_spec, MOVES[:, :3], WORDS, kind="signed", masked=np.eye(3, dtype=bool), legend=False),
    "turned": partial(heatmap_spec, np.eye(3), WORDS, queries_in="columns", query_special=[True, False, False]),
    "arrows": partial(arrows.token_arrows, WORDS, VECTORS, MOVES, plane(2), what="x", chosen=1, landmarks=NEAR),
    "arrows in 3-D": partial(arrows.token_arrows, WORDS, VECTORS, MOVES, plane(3), what="x", chosen=1, landmarks=NEAR),
    "routes": partial(arrows.routes, ["A", "B"], [VECTORS, MOVES], plane(2), stops=WORDS, tips=["A", "B"]),
    "routes in 3-D": partial(arrows.routes, ["A"], [VECTORS], plane(3), stops=WORDS),
    "layers": partial(delta_e.layer_bars, np.arange(3.0), np.ones(3), name="size", chosen=1),
    "staircase": partial(delta_e.share_bars, WORDS, np.array([0.5, -0.2, 0.7]), np.ones(3), chosen=0),
    "sources": partial(delta_e.stacked_sources, WORDS, [0, 1, 2], np.array([1, -0.5, 2], np.float32)),
    "words": partial(delta_e.word_bars, WORDS, np.array([6.0, 3.0, -5.0]), 4.5),
    "dimensions": partial(delta_e.dimension_map, WORDS, geometry.dimensions(VECTORS, at_most=4), name="ΔE"),
    "cosines": partial(senses.cosine_lines, WORDS, VECTORS, [str(i) for i in range(16)], baseline=MOVES),
    "distances": partial(distances, np.eye(3), WORDS, WORDS, axes=("A", "B")),
    "heads": partial(scatter, np.array([1, np.nan, 3]), np.arange(3), [0, 0, 1], WORDS, axes=("far", "wide")),
    "shares": partial(parameters.share_bars, ["a", "a"], PARTS, as_share=True),
    "counts": partial(parameters.share_bars, ["a", "b"], PARTS, as_share=False),
    "training": partial(
        training.training_lines, [0, 800], {"a": [0.1, 0.9], "b": [0.2, 0.3]}, at=1, change=(0, 1), marked="x", up="y"
    ),
    "growth": partial(scaling.curves, [1, 2], GROWN, {"query": "query", "MLP": "mlp"}, here=1.5, across="d", up="n"),
    "thin": partial(singular_values.thin_matrices, 64, 8),
    "singular": partial(singular_values.singular_values, np.array([3, 2, 1e-9, 0]), 2, 1e-8),
}


def sent(figure):
    """What would go to a browser, as it is read there."""
    return json.loads(plotly.io.to_json(figure, validate=False))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_what_the_real_figure_makes_of_it(name, theme):
    chart = CHARTS[name](theme=theme)
    ours, real = sent(Unvalidated(chart)), sent(chart.figure())
    del real["layout"]["template"]  # whatever stands in `plotly.io.templates.default`
    assert ours == real


@pytest.mark.parametrize("name", CHARTS)
def test_no_template_is_sent_and_no_colour_is_left_to_one(name):
    ours = sent(Unvalidated(CHARTS[name](theme="light")))
    assert "template" not in ours["layout"]  # Plotly's own has 7,000 letters
    assert all("colorscale" in trace for trace in ours["data"] if trace["type"] in ("heatmap", "cone"))


def test_every_chart_begins_with_one_layout():
    layouts = [CHARTS[name](theme="dark").to_dict()["layout"] for name in CHARTS]
    first = layouts[0]
    for layout in layouts:
        for part in ("paper_bgcolor", "plot_bgcolor", "hoverlabel"):
            assert layout[part] == first[part]
        assert layout["font"]["family"] == first["font"]["family"] and layout["height"] > 0


def test_the_library_gives_a_real_figure():
    assert isinstance(heatmap(np.eye(3), WORDS), Figure)
    assert heatmap.__doc__ and not isinstance(heatmap_spec(np.eye(3), WORDS), Figure)


def test_what_plotly_does_not_know_is_refused():
    chart = ChartSpec("light", height=100)
    chart.add("bar", x=[1], y=[2], colour="red")
    with pytest.raises(ValueError, match="colour"):
        chart.figure()


def test_a_layout_is_set_part_by_part():
    chart = ChartSpec("light", height=100)
    still = {"automargin": True}
    chart.lay_out(xaxis=still, yaxis=still)
    chart.lay_out(xaxis={"title": {"text": "x"}})
    layout = chart.to_dict()["layout"]
    assert layout["xaxis"] == {"automargin": True, "title": {"text": "x"}}
    assert layout["yaxis"] == still == {"automargin": True}  # one dictionary for two axes is not one axis


def test_a_chart_is_enlarged_in_letters_marks_and_room_and_nothing_else():
    chart = ChartSpec("light", height=200)
    chart.add("scatter", x=[1, 2], marker={"size": [4, 8.0], "opacity": 0.5}, textfont={"size": 10})
    chart.lay_out(margin={"l": 20}, xaxis={"range": [0, 3], "tickfont": {"size": 14}})
    chart.add_annotation(text="a", x=1, y=2, yshift=6, font={"size": 11})
    trace, layout = (chart.enlarged(1.5).to_dict()[name] for name in ("data", "layout"))
    assert trace[0] == {
        "type": "scatter", "x": [1, 2], "marker": {"size": [6, 12], "opacity": 0.5}, "textfont": {"size": 18}
    }  # fmt: skip
    assert (layout["height"], layout["margin"], layout["font"]["size"]) == (300, {"l": 30}, 18)
    assert layout["xaxis"] == {"range": [0, 3], "tickfont": {"size": 21}}
    assert layout["annotations"] == [{"text": "a", "x": 1, "y": 2, "yshift": 9, "font": {"size": 18}}]
    assert chart.to_dict()["layout"]["height"] == 200, "the chart itself stays as it is"
