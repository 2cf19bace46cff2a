"""Pictures of ΔE: what each layer and head adds, where it came from, which words it points to, and all its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import Theme, diverging, roles
from attn_core.figures.labels import MONO, escape, phrase, place, shorten, ticks
from attn_core.residual.geometry import Dimensions
from attn_core.text.numbers import signed, signed_percent

Array = NDArray[np.floating]


def layer_bars(attention: Array, mlp: Array, *, name: str, theme: Theme, chosen: int | None = None) -> ChartSpec:
    """Attention beside the MLP, layer by layer, on one scale: [layer] each; `name` says what the number is."""
    colour = roles(theme)
    layers = list(range(len(attention)))
    chart = _quiet(theme, height=190)
    for label, values, fill in (("attention", attention, colour["delta"]), ("MLP", mlp, colour["soft"])):
        hover = f"layer %{{x}}, {label}: %{{y:.2f}}<br>%{{customdata}}<extra></extra>"
        said = [phrase(name)] * len(layers)
        chart.add("bar", x=layers, y=values, name=label, marker={"color": fill}, customdata=said, hovertemplate=hover)
    at, names = ticks([str(layer) for layer in layers])
    chart.lay_out(
        xaxis={"title": {"text": "layer"}, "tickvals": at, "ticktext": names, "showgrid": False},
        yaxis={"gridcolor": colour["line"], "zerolinecolor": colour["line"], "tickfont": {"size": 10}, "nticks": 4},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        barmode="group",
    )
    if chosen is not None:
        across = {"x0": chosen - 0.5, "x1": chosen + 0.5, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}
        look = {"fillcolor": colour["accent"], "opacity": 0.12, "layer": "below", "line": {"width": 0}}
        chart.add_shape(type="rect", **across, **look)
    return chart


def share_bars(
    names: Sequence[str], shares: Array, lengths: Array, *, theme: Theme, chosen: int | None = None
) -> ChartSpec:
    """What each head (and the bias) makes up of the layer's ΔE, as a staircase that ends at 100 %.

    `shares` are signed: each part's length along the sum's own direction ÷ the sum's length, so they add up to 1.
    """
    starts = np.concatenate([[0.0], np.cumsum(shares)[:-1]])
    colour = roles(theme)
    fills = [
        colour["accent"] if i == chosen else colour["soft"] if n == "bias" else colour["delta"]
        for i, n in enumerate(names)
    ]
    chart = _quiet(theme, height=70 + 29 * len(names))
    chart.add(
        "bar",
        x=shares,
        base=starts.tolist(),
        y=list(range(len(names))),
        orientation="h",
        marker={"color": fills},
        customdata=[
            [n, signed_percent(s), f"{length:.3g}"] for n, s, length in zip(names, shares, lengths, strict=True)
        ],
        hovertemplate="%{customdata[0]}: %{customdata[1]} of the layer's ΔE<br>‖ΔE‖ = %{customdata[2]}<extra></extra>",
        text=[signed_percent(s) for s in shares],
        textposition="outside",
        textfont={"size": 11, "color": colour["ink"]},
        cliponaxis=False,
    )
    low, high = min(0.0, float((starts + shares).min())), max(1.0, float((starts + shares).max()))
    grid = {"gridcolor": colour["line"], "zerolinecolor": colour["line"]}
    places = {"tickvals": list(range(len(names))), "ticktext": list(names), "range": [len(names) - 0.4, -0.6]}
    chart.lay_out(
        xaxis={"tickformat": ".0%", "range": [low - 0.08, high + 0.14], **grid}, yaxis={**places, "showgrid": False}
    )
    chart.add_vertical(1, {"color": colour["delta"], "width": 1.5, "dash": "dot"})
    return chart


def stacked_sources(labels: Sequence[str], positions: Sequence[int], along: Array, *, theme: Theme) -> ChartSpec:
    """A head's ΔE of one word as one bar, cut by source in the sentence's order; parts against it lie left of 0."""
    colour = roles(theme)
    chart = _quiet(theme, height=88)
    size = float(np.abs(along).sum()) or 1.0
    for i, (label, position, part) in enumerate(zip(labels, positions, along, strict=True)):
        strong = i % 2 == 0  # neighbours are told apart by lightness
        edge = {"width": 1, "color": colour["card"]}
        chart.add(
            "bar",
            x=[float(part)],
            y=[0],
            orientation="h",
            marker={"color": colour["delta"], "opacity": 1 if strong else 0.3, "line": edge},
            text=shorten(label, 9) if abs(part) / size > 0.04 else "",
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"size": 12, "family": MONO, "color": colour["card"] if strong else colour["ink"]},
            hovertext=f"from {place(label, position, 'key')}: {signed(float(part))} along ΔE",
            hoverinfo="text",
            showlegend=False,
        )
    chart.lay_out(
        barmode="relative",
        uniformtext={"mode": "hide", "minsize": 11},
        xaxis={"showgrid": False, "zerolinecolor": colour["ink"], "tickfont": {"size": 10}},
        yaxis={"visible": False},
        margin={"t": 4, "b": 20},  # Plotly makes no room by itself in so low a picture
    )
    return chart


def word_bars(words: Sequence[str], deviations: Array, chance_level: float, *, theme: Theme) -> ChartSpec:
    """Words that a vector points to (right) and away from (left), in standard deviations above the whole vocabulary.

    Between the dotted lines lies what the best of that many words reaches by chance alone; such bars are pale.
    """
    colour = roles(theme)
    strong = np.abs(deviations) > chance_level
    chart = _quiet(theme, height=80 + 22 * len(words))
    chart.add(
        "bar",
        x=deviations,
        y=list(range(len(words))),
        orientation="h",
        marker={"color": colour["delta"], "opacity": np.where(strong, 1.0, 0.3)},
        customdata=["stands out" if s else "no better than chance" for s in strong],
        text=[escape(word) for word in words],
        textposition="outside",
        textfont={"size": 12, "color": [colour["ink"] if s else colour["soft"] for s in strong]},
        hovertemplate="%{text}: %{x:.1f} standard deviations<br>%{customdata}<extra></extra>",
        cliponaxis=False,
    )
    reach = 1.6 * max(chance_level, float(np.abs(deviations).max(initial=0)))
    for side in (-chance_level, chance_level):
        chart.add_vertical(side, {"color": colour["soft"], "width": 1, "dash": "dot"})
    title = {"text": "standard deviations from the vocabulary's mean"}
    chart.lay_out(
        xaxis={"range": [-reach, reach], "title": title, "gridcolor": colour["line"]},
        yaxis={"visible": False, "range": [len(words) - 0.4, -0.6]},
    )
    return chart


def dimension_map(labels: Sequence[str], picture: Dimensions, *, name: str, theme: Theme) -> ChartSpec:
    """ΔE itself: every token's numbers, [token, dimension], blue – neutral – orange around 0."""
    top = float(np.abs(picture.values).max(initial=0)) or 1.0
    said = [_members(m) for m in picture.members]
    chart = _quiet(theme, height=max(240, 90 + 18 * min(len(labels), 40)))
    chart.add(
        "heatmap",
        z=picture.values.astype(np.float32),
        zmin=-top,
        zmax=top,
        colorscale=diverging(theme),
        colorbar=_colour_bar(theme),
        x=said,
        y=[f"{escape(label)} ({i})" for i, label in enumerate(labels)],
        hovertemplate="%{y}<br>%{x}: %{z:.3f}<extra>" + name + "</extra>",
    )
    at, shown = ticks(labels, most=32)
    rows = {"type": "category", "tickvals": at, "ticktext": shown, "range": [len(labels) - 0.5, -0.5]}
    unit = "dimension" if picture.per_bin == 1 else f"bins, each the mean of {picture.per_bin} dimensions"
    columns = {"type": "category", "showgrid": False, "showticklabels": False, "ticks": ""}
    chart.lay_out(xaxis={"title": {"text": unit}, **columns}, yaxis={"tickfont": {"family": MONO}, **rows})
    return chart


def _members(members: NDArray[np.integer]) -> str:
    if len(members) == 1:
        return f"dimension {members[0]}"
    return "mean of dimensions " + ", ".join(str(m) for m in members[:6]) + ("…" if len(members) > 6 else "")


def _colour_bar(theme: Theme) -> dict[str, Any]:
    soft = roles(theme)["soft"]
    return {"thickness": 10, "outlinewidth": 0, "nticks": 5, "tickfont": {"size": 10, "color": soft}, "len": 0.9}


def _quiet(theme: Theme, height: int) -> ChartSpec:
    chart = ChartSpec(theme, height=height)
    still = {"automargin": True, "fixedrange": True}
    chart.lay_out(margin={"l": 4, "r": 4, "t": 28, "b": 4}, bargap=0.25, xaxis=still, yaxis=still)
    return chart
