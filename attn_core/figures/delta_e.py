"""Pictures of ΔE: a map of heads, the ledger's bars, where a head's ΔE came from, and ΔE itself, number by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from attn_core.figures.colours import Theme, diverging, roles, sequential
from attn_core.figures.labels import escape, percent, shorten, signed, ticks
from attn_core.geometry import Dimensions

Array = NDArray[np.floating]
CLEAR = "rgba(0,0,0,0)"


def head_map(
    values: Array,
    *,
    name: str,
    theme: Theme,
    mlp: Array | None = None,
    is_signed: bool = False,
    chosen: tuple[int, int] | None = None,
) -> go.Figure:
    """One number for every head of every layer, [layer, head], and beside them the MLPs' [layer], on one scale.

    `name` says what the number is. Each cell carries an invisible marker with `customdata` [layer, head] (head is -1
    for the MLP), because that is what a click can hit.
    """
    n_layers, n_heads = values.shape
    columns = n_heads + (2 if mlp is not None else 0)  # a gap, then the MLP
    cells = np.full((n_layers, columns), np.nan)
    cells[:, :n_heads] = values
    if mlp is not None:
        cells[:, -1] = mlp
    top = float(np.nanmax(np.abs(cells), initial=0.0)) or 1.0
    colours = diverging(theme) if is_signed else sequential(theme)
    figure = go.Figure()
    figure.add_heatmap(
        z=cells,
        zmin=-top if is_signed else 0,
        zmax=top,
        colorscale=colours,
        xgap=3,
        ygap=3,
        hoverinfo="skip",
        colorbar=_colour_bar(name, theme),
    )
    figure.add_scatter(**_targets(cells, n_heads, name), **_invisible())
    if chosen is not None:
        _frame_cell(figure, chosen, roles(theme)["accent"])
    _map_axes(figure, n_layers, n_heads, mlp is not None, theme)
    return figure


def _targets(cells: Array, n_heads: int, name: str) -> dict[str, Any]:
    where = [(layer, column) for layer, column in np.argwhere(~np.isnan(cells)).tolist()]
    heads = [column if column < n_heads else -1 for _, column in where]
    pairs = [(layer, head) for (layer, _), head in zip(where, heads, strict=True)]
    who = [f"head {layer}.{head}" if head >= 0 else f"the MLP of layer {layer}" for layer, head in pairs]
    return {
        "x": [column for _, column in where],
        "y": [layer for layer, _ in where],
        "customdata": [list(pair) for pair in pairs],
        "text": [f"{w}: {signed(float(cells[at])).lstrip('+')}<br>{name}" for w, at in zip(who, where, strict=True)],
    }


def _invisible() -> dict[str, Any]:
    unseen = {"marker": {"opacity": 0}}
    return {
        "mode": "markers",
        "marker": {"symbol": "square", "size": 22, "opacity": 0},
        "selected": unseen,
        "unselected": unseen,
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }


def _frame_cell(figure: go.Figure, cell: tuple[int, int], colour: str) -> None:
    layer, head = cell
    box = {"x0": head - 0.5, "x1": head + 0.5, "y0": layer - 0.5, "y1": layer + 0.5}
    figure.add_shape(type="rect", line={"color": colour, "width": 2.5}, **box)


def _map_axes(figure: go.Figure, n_layers: int, n_heads: int, has_mlp: bool, theme: Theme) -> None:
    heads, names = ticks([str(head) for head in range(n_heads)], most=16)
    if has_mlp:
        heads, names = [*heads, n_heads + 1], [*names, "MLP"]
    layers, layer_names = ticks([str(layer) for layer in range(n_layers)], most=24)
    plain = {"showgrid": False, "zeroline": False, "ticks": "", "tickfont": {"color": roles(theme)["soft"]}}
    width = n_heads + (2 if has_mlp else 0)
    figure.update_xaxes(
        title="head", side="top", range=[-0.6, width - 0.4], tickvals=heads, ticktext=names, tickangle=0, **plain
    )
    figure.update_yaxes(title="layer", range=[n_layers - 0.4, -0.6], tickvals=layers, ticktext=layer_names, **plain)
    _quiet(figure, theme, height=110 + 34 * min(n_layers, 16))


def share_bars(
    names: Sequence[str], shares: Array, lengths: Array, *, theme: Theme, chosen: int | None = None
) -> go.Figure:
    """What each head (and the bias) makes up of the layer's ΔE, as a staircase that ends at 100 %.

    `shares` are signed: each part's length along the sum's own direction ÷ the sum's length, so they add up to 1.
    """
    starts = np.concatenate([[0.0], np.cumsum(shares)[:-1]])
    colour = roles(theme)
    fills = [
        colour["accent"] if i == chosen else colour["soft"] if n == "bias" else colour["delta"]
        for i, n in enumerate(names)
    ]
    figure = go.Figure()
    figure.add_bar(
        x=shares,
        base=starts,
        y=list(range(len(names))),
        orientation="h",
        marker={"color": fills},
        customdata=[[n, _share(s), f"{length:.3g}"] for n, s, length in zip(names, shares, lengths, strict=True)],
        hovertemplate="%{customdata[0]}: %{customdata[1]} of the layer's ΔE<br>‖ΔE‖ = %{customdata[2]}<extra></extra>",
        text=[_share(s) for s in shares],
        textposition="outside",
        textfont={"size": 11, "color": colour["ink"]},
        cliponaxis=False,
    )
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=list(names), range=[len(names) - 0.4, -0.6], showgrid=False
    )
    low, high = min(0.0, float((starts + shares).min())), max(1.0, float((starts + shares).max()))
    figure.update_xaxes(
        tickformat=".0%", range=[low - 0.08, high + 0.14], gridcolor=colour["line"], zerolinecolor=colour["line"]
    )
    figure.add_vline(x=1, line={"color": colour["delta"], "width": 1.5, "dash": "dot"})
    return _quiet(figure, theme, height=70 + 24 * len(names))


def _share(share: float) -> str:
    return percent(share) if share >= 0 else "−" + percent(-share)


def source_bars(
    labels: Sequence[str], weights: Array, lengths: Array, along: Array, *, theme: Theme, chosen: int | None = None
) -> go.Figure:
    """Where a head's ΔE of one word came from, source by source in the sentence's order, three bars a source.

    `weights` [key] sum to 1. `lengths` [key] are those of value · W_O, before weighting. `along` [key] is how far
    weight · value · W_O goes in the direction of the head's ΔE; these sum to ‖ΔE‖. A large weight on a short value,
    or on one that points elsewhere, adds little.
    """
    colour = roles(theme)
    titles = ("weight", "‖value‖", "adds to ΔE")
    figure = make_subplots(1, 3, shared_yaxes=True, horizontal_spacing=0.03, subplot_titles=titles)
    total = float(along.sum()) or 1.0
    parts = (
        (weights, colour["key"], [percent(float(w)) for w in weights]),
        (lengths, colour["value"], [f"{n:.2f}" for n in lengths]),
        (along, colour["delta"], [f"{signed(float(a))} ({_share(float(a) / total)})" for a in along]),
    )
    places = list(range(len(labels)))
    names = [f"{escape(label)} (key {i})" for i, label in enumerate(labels)]
    for column, (values, fill, texts) in enumerate(parts, start=1):
        said = [[name, titles[column - 1], text] for name, text in zip(names, texts, strict=True)]
        bar = {"marker": {"color": fill}, "customdata": said, "showlegend": False, "orientation": "h"}
        hover = "%{customdata[0]}<br>%{customdata[1]}: %{customdata[2]}<extra></extra>"
        figure.add_bar(x=values, y=places, hovertemplate=hover, row=1, col=column, **bar)
    at, shown = ticks(labels, most=32)
    figure.update_yaxes(range=[len(labels) - 0.4, -0.6], showgrid=False, zeroline=False)
    figure.update_yaxes(tickvals=at, ticktext=shown, tickfont={"family": "monospace", "size": 12}, col=1)
    figure.update_xaxes(gridcolor=colour["line"], zerolinecolor=colour["line"], nticks=4, tickfont={"size": 10})
    figure.update_xaxes(tickformat=".0%", col=1)
    figure.update_annotations(font={"size": 12, "color": colour["soft"]})
    if chosen is not None:
        figure.add_hline(y=chosen, line={"color": colour["query"], "width": 14}, opacity=0.18, layer="below")
    return _quiet(figure, theme, height=max(220, 80 + 22 * min(len(labels), 32)))


def stacked_sources(labels: Sequence[str], along: Array, *, theme: Theme) -> go.Figure:
    """A head's ΔE of one word as one bar, cut by source in the sentence's order; parts against it lie left of 0."""
    colour = roles(theme)
    figure = go.Figure()
    size = float(np.abs(along).sum()) or 1.0
    for i, (label, part) in enumerate(zip(labels, along, strict=True)):
        strong = i % 2 == 0
        figure.add_bar(
            x=[part],
            y=[0],
            orientation="h",
            marker={
                "color": colour["delta"],
                "opacity": 1 if strong else 0.3,
                "line": {"width": 1, "color": colour["card"]},
            },
            text=shorten(label) if abs(part) / size > 0.06 else "",
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"size": 12, "color": colour["card"] if strong else colour["ink"]},
            hovertext=f"from {escape(label)} (key {i}): {signed(float(part))} along ΔE",
            hoverinfo="text",
            showlegend=False,
        )
    figure.update_layout(barmode="relative")
    figure.update_yaxes(visible=False)
    figure.update_xaxes(showgrid=False, zerolinecolor=colour["ink"], tickfont={"size": 10})
    return _quiet(figure, theme, height=92)


def word_bars(words: Sequence[str], deviations: Array, by_luck: float, *, theme: Theme) -> go.Figure:
    """Words that a vector points to (right) and away from (left), in standard deviations above the whole vocabulary.

    Between the dotted lines lies what the best of that many words reaches by luck alone; such bars are pale.
    """
    colour = roles(theme)
    strong = np.abs(deviations) > by_luck
    figure = go.Figure()
    figure.add_bar(
        x=deviations,
        y=list(range(len(words))),
        orientation="h",
        marker={"color": colour["delta"], "opacity": np.where(strong, 1.0, 0.3)},
        customdata=["stands out" if s else "no better than luck" for s in strong],
        text=[escape(word) for word in words],
        textposition="outside",
        textfont={"size": 12, "color": [colour["ink"] if s else colour["soft"] for s in strong]},
        hovertemplate="%{text}: %{x:.1f} standard deviations<br>%{customdata}<extra></extra>",
        cliponaxis=False,
    )
    reach = 1.6 * max(by_luck, float(np.abs(deviations).max(initial=0)))
    for side in (-by_luck, by_luck):
        figure.add_vline(x=side, line={"color": colour["soft"], "width": 1, "dash": "dot"})
    figure.update_xaxes(
        range=[-reach, reach], title="standard deviations from the vocabulary's mean", gridcolor=colour["line"]
    )
    figure.update_yaxes(visible=False, range=[len(words) - 0.4, -0.6])
    return _quiet(figure, theme, height=80 + 22 * len(words))


def dimension_map(labels: Sequence[str], picture: Dimensions, *, name: str, theme: Theme) -> go.Figure:
    """ΔE itself: every token's numbers, [token, dimension], blue – neutral – orange around 0."""
    top = float(np.abs(picture.values).max(initial=0)) or 1.0
    said = [_members(m) for m in picture.members]
    figure = go.Figure()
    figure.add_heatmap(
        z=picture.values.astype(np.float32),
        zmin=-top,
        zmax=top,
        colorscale=diverging(theme),
        colorbar=_colour_bar("", theme),
        customdata=[said] * len(labels),
        text=[[f"{escape(label)} ({i})"] * len(said) for i, label in enumerate(labels)],
        hovertemplate="%{text}<br>%{customdata}: %{z:.3f}<extra>" + name + "</extra>",
    )
    at, shown = ticks(labels, most=32)
    figure.update_yaxes(tickvals=at, ticktext=shown, range=[len(labels) - 0.5, -0.5], tickfont={"family": "monospace"})
    unit = "dimension" if picture.per_bin == 1 else f"bins, each the mean of {picture.per_bin} dimensions"
    figure.update_xaxes(title=unit, showgrid=False, zeroline=False, showticklabels=False)
    return _quiet(figure, theme, height=max(240, 90 + 18 * min(len(labels), 40)))


def _members(members: NDArray[np.integer]) -> str:
    if len(members) == 1:
        return f"dimension {members[0]}"
    return "mean of dimensions " + ", ".join(str(m) for m in members[:6]) + ("…" if len(members) > 6 else "")


def _colour_bar(name: str, theme: Theme) -> dict[str, Any]:
    soft = roles(theme)["soft"]
    return {"thickness": 10, "outlinewidth": 0, "nticks": 5, "tickfont": {"size": 10, "color": soft}, "len": 0.9}


def _quiet(figure: go.Figure, theme: Theme, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 4, "t": 28, "b": 4},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font={"color": roles(theme)["ink"], "size": 12},
        hoverlabel={"align": "left"},
        bargap=0.25,
    )
    return figure
