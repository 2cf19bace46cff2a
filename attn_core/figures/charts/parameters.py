"""Where the parameters are, as boxes and bars to scale.

Numbers and names in, a chart out. Every box and bar gives its exact number on hover.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from attn_core.figures import colours
from attn_core.figures.charts.spec import ChartSpec
from attn_core.figures.colours import Theme, role_colours
from attn_core.figures.labels import phrase
from attn_core.text.numbers import percent, short

if TYPE_CHECKING:
    import plotly.graph_objects as go

NAMES = {
    "value": "value (down)",
    "output": "output (value up)",
    "fused": "query, key, value",
    "up": "MLP up",
    "gate": "MLP gate",
    "down": "MLP down",
    "mlp": "MLP",
    "bias": "biases",
    "norm": "norms",
    "position": "positions",
}


SIDE = 0.9  # of a square, where one is 1 from the next
_PALE = ("down", "gate", "position", "norm", "bias", "other")


def share_bars(models: Sequence[str], parts: Sequence[Mapping[str, int]], *, as_share: bool, theme: Theme) -> ChartSpec:
    """One stacked bar a model: roles as shares of each model, or as numbers on one scale for all.

    The names of the colours are in `legend`, which wraps; for paper, `named_bars` puts them into the picture.
    """
    fills, shown = role_colours(theme), {role for part in parts for role in part}
    totals = [sum(part.values()) for part in parts]
    names = [_unique(i, model, models) for i, model in enumerate(models)]
    chart = quiet_chart(theme, 12 + 50 * len(models) + (0 if as_share else 46))
    for role in (role for role in ORDER if role in shown):
        counts = [part.get(role, 0) for part in parts]
        shares = [count / total for count, total in zip(counts, totals, strict=True)]
        chart.add(
            "bar",
            y=names,
            x=shares if as_share else counts,
            orientation="h",
            name=NAMES.get(role, role),
            marker={"color": fills[role], "line": {"width": 1, "color": colours.roles(theme)["card"]}},
            **({"text": [percent(share) if share >= 0.05 else "" for share in shares]} if as_share else {}),
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": _ink_on(role, theme), "size": 11.5},
            customdata=[[f"{count:,}", percent(share)] for count, share in zip(counts, shares, strict=True)],
            hovertemplate="%{y}<br>%{fullData.name}: <b>%{customdata[0]}</b>, %{customdata[1]}<extra></extra>",
        )
    chart.lay_out(
        barmode="stack",
        bargap=0.3,
        uniformtext={"minsize": 10, "mode": "hide"},
        margin={"t": 0, "l": 4, "r": 4, "b": 0 if as_share else 46},
        showlegend=False,
        xaxis={"visible": not as_share, "showgrid": False, "zeroline": False, "title": {"text": "parameters"}},
        yaxis={"autorange": "reversed", "automargin": True, "ticksuffix": "  "},
    )
    if not as_share:
        chart.lay_out(xaxis={"range": [0, max(totals) * 1.02], **_counted(max(totals))})
    return chart


def squares_of(parts: Mapping[str, int], *, theme: Theme) -> ChartSpec:
    """Equal squares, so many of each role, four in a row, each with its name."""
    fills = role_colours(theme)
    roles = [role for role, count in parts.items() for _ in range(count)]
    chart = ChartSpec(theme, height=300)
    for i, role in enumerate(roles):
        name, (row, column) = NAMES.get(role, role) if len(parts) > 1 else "?", divmod(i, 4)
        chart.add(
            "bar",
            x=[column],
            y=[SIDE],
            base=[-row - SIDE / 2],
            width=SIDE,
            name=name,
            marker={"color": fills[role]},
            text=[name.replace(" (", "<br>(")],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            constraintext="none",
            textfont={"size": 11, "color": _ink_on(role, theme)},
            hovertemplate=f"{name}<extra></extra>",
        )
    bare = {"visible": False, "fixedrange": True}
    chart.lay_out(
        barmode="overlay",
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        showlegend=False,
        xaxis={"range": [-0.5, 3.5], "constrain": "domain", **bare},
        yaxis={"range": [-((len(roles) - 1) // 4) - 0.5, 0.5], "scaleanchor": "x", "constrain": "domain", **bare},
    )
    return chart


def named_bars(models: Sequence[str], parts: Sequence[Mapping[str, int]], *, as_share: bool, theme: Theme) -> go.Figure:
    """`share_bars` with the names of its colours below."""
    figure = share_bars(models, parts, as_share=as_share, theme=theme).figure()
    axis, bars = 0 if as_share else 46, 12 + 50 * len(models)
    below = axis + 8 + 24 * -(-len(figure.data) // 4)
    place = {"orientation": "h", "x": 0, "y": -(axis + 4) / bars, "yanchor": "top", "traceorder": "normal"}
    height = bars + below
    return figure.update_layout(showlegend=True, legend=place, height=height, margin={"b": below})


def legend(shown: Iterable[str], theme: Theme) -> Markup:
    """The colours of roles as HTML that wraps: boxes and bars share one."""
    fills, names = role_colours(theme), set(shown)
    entry = Markup('<span><i style="background:{}"></i>{}</span>')
    spans = Markup("").join(entry.format(fills[role], NAMES.get(role, role)) for role in ORDER if role in names)
    return Markup('<div class="hl-legend">{}</div>').format(spans)


ORDER = (
    *("embedding", "query", "key", "value", "output", "fused", "up", "gate", "down", "mlp", "unembedding"),
    *("position", "bias", "norm", "other"),
)


def _unique(place: int, model: str, models: Sequence[str]) -> str:
    return phrase(model) if list(models).count(model) == 1 else f"{phrase(model)} ({place + 1})"


def _ink_on(role: str, theme: Theme) -> str:
    if role in _PALE:
        return colours.roles(theme)["ink"]
    return "#ffffff" if theme == "light" else colours.roles(theme)["background"]


def _counted(top: float) -> dict[str, Any]:
    """Ticks in words of millions and billions."""
    step = 10 ** np.floor(np.log10(top))
    step = step / 2 if top / step < 2.5 else step
    at = np.arange(0, top + step / 2, step)
    return {"tickvals": at.tolist(), "ticktext": [short(t) for t in at]}


def quiet_chart(theme: Theme, height: int) -> ChartSpec:
    """The beginning that all charts of this page share."""
    chart = ChartSpec(theme, height=height, letters=13)
    chart.lay_out(
        dragmode=False, xaxis={"title": {"font": {"size": 13}}}, yaxis={"title": {"font": {"size": 13}}}
    )  # a dictionary each: what is said of one axis later is not said of the other
    return chart
