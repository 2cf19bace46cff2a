"""What comes after the eight steps: the MLP, and its part in this layer's change."""

from __future__ import annotations

import numpy as np

from attn_core.errors import HeadlightError
from attn_core.figures.html.bar_table import Column
from attn_core.residual import geometry
from ui.drawing import gallery, widgets
from ui.page import go
from ui.step_by_step import layout as steps
from ui.step_by_step.layout import number, says
from ui.step_by_step.subject import Scene


def up_next(scene: Scene) -> None:
    """What attention does not do: the MLP's share of this layer's change."""
    with widgets.card("step_next"):
        steps.opening(10, name="Up next: the other two thirds", mark="→")
        if scene.trace is not None:
            _attention_and_mlp(scene)
        says(
            "Between two attention layers stands an <b>MLP</b>, which works on each word by itself. As in the lesson, "
            "attention is only a third of what you need: in GPT-3, 57,982,058,496 of 175,181,291,520 parameters."
        )
        go("parameters", "See where the parameters are →")


def _attention_and_mlp(scene: Scene) -> None:
    trace, at = scene.trace, {"stream": scene.stream}
    try:
        by_attention = geometry.norm(trace.attention_added(scene.layer, **at))
        by_mlp = geometry.norm(trace.mlp_added(scene.layer, **at))
    except HeadlightError as error:
        says(str(error), soft=True)
        return
    ordinary = ~np.array(scene.queries.special)
    names = [scene.query_name(scene.asks), f"mean of all {int(ordinary.sum())} words"]
    a, m = ([float(x[scene.asks]), float(x[ordinary].mean())] for x in (by_attention, by_mlp))
    longest = max(*a, *m)
    columns = [
        Column("attention adds (length)", a, [number(x) for x in a], "delta", longest),
        Column("the MLP adds (length)", m, [number(x) for x in m], "plain", longest),
    ]
    says(f"<b>Layer {scene.layer}’s change</b>, attention’s part beside the MLP’s:")
    gallery.bars("Attention's part beside the MLP's", names, columns, marks={0: ("query", "")})
