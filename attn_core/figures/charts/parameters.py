"""Where the parameters are, as boxes and bars to scale.

Numbers and names in, a Plotly figure out. Every box and bar gives its exact number on hover.
"""

from __future__ import annotations

import html
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from attn_core.figures import colours
from attn_core.figures.colours import Theme
from attn_core.figures.labels import percent

SANS = '"Source Sans", "Source Sans 3", Inter, "Noto Sans", system-ui, sans-serif'
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


def short(count: float) -> str:
    """A large number as people say it, three digits: thousand, million, billion, trillion by their letters.

    >>> [short(n) for n in (384, 6_291_456, 57_982_058_496, 999_999)]
    ['384', '6.29 M', '58.0 B', '1.00 M']
    """
    for letter in ("", " k", " M", " B", " T"):
        if abs(count) < 999.5 or letter == " T":
            return f"{count:,.0f}" if not letter else f"{count:#.3g}".rstrip(".") + letter
        count /= 1000
    raise AssertionError


def byte_size(count: float) -> str:
    """Bytes as people say them, in powers of 1,000.

    >>> byte_size(349_208_518_656), byte_size(12_288), byte_size(96)
    ('349 GB', '12.3 kB', '96 bytes')
    """
    said = short(count)
    return f"{said} bytes" if said.isdigit() else f"{said.replace(' B', ' G')}B"


def escape(text: str) -> str:
    """A title for Plotly: a folder's name may hold anything, and Plotly reads tags and `$…$`."""
    return html.escape(text, quote=False).replace("$", "&#36;")


def mixed(colour: str, back: str, share: float) -> str:
    """`share` of one colour in another, both "#rrggbb"."""
    pairs = [(int(colour[i : i + 2], 16), int(back[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def role_colours(theme: Theme) -> dict[str, str]:
    """A fill for each role: query gold, key teal, value red, value up in ΔE's violet, the MLP grey, E the text's."""
    role = colours.roles(theme)
    fills = {name: mixed(role[name], role["card"], 0.86) for name in ("query", "key", "value")}
    fills["output"] = mixed(role["delta"], role["card"], 0.86)
    fills["fused"] = mixed(role["accent"], role["card"], 0.7)
    fills |= {name: mixed(role["ink"], role["card"], 0.8) for name in ("embedding", "unembedding")}
    greys = {"up": 0.66, "mlp": 0.66, "gate": 0.54, "down": 0.42, "position": 0.3, "norm": 0.22, "bias": 0.16}
    fills |= {name: mixed(role["soft"], role["card"], share) for name, share in greys.items()}
    return {**fills, "other": mixed(role["soft"], role["card"], 0.1)}


def boxes(
    parents: Sequence[int], labels: Sequence[str], counts: Sequence[int], kinds: Sequence[str], alt: str
) -> bytes:
    """A treemap's packet for assets/boxes.js: each box as large as its share of the box around it.

    parents: for each box, which one it lies in; the first box is the model. `kinds` are roles for leaves and names of
    containers (model, block, attention, head, MLP) for the others. `alt` says what the picture shows.
    """
    nodes = list(zip(parents, labels, counts, kinds, strict=True))
    palette = {theme: {"roles": colours.roles(theme), "fills": _box_fills(theme)} for theme in colours.ROLES}
    header = json.dumps({"nodes": nodes, "palette": palette, "alt": alt}, ensure_ascii=False).encode()
    return struct.pack("<I", len(header)) + header


def _box_fills(theme: Theme) -> dict[str, str]:
    """What a box is filled with where it is too small to show what it holds."""
    role = colours.roles(theme)
    fills = role_colours(theme)
    held = {"model": role["card"], "block": fills["gate"], "MLP": fills["up"]}
    return {**fills, **held, "attention": mixed(role["accent"], role["card"], 0.6), "head": fills["query"]}


_PALE = ("down", "gate", "position", "norm", "bias", "other")


def share_bars(models: Sequence[str], parts: Sequence[Mapping[str, int]], *, as_share: bool, theme: Theme) -> go.Figure:
    """One stacked bar a model: roles as shares of each model, or as numbers on one scale for all.

    The names of the colours are in `legend`, which wraps; for paper, `named_bars` puts them into the picture.
    """
    fills, shown = role_colours(theme), {role for part in parts for role in part}
    totals = [sum(part.values()) for part in parts]
    names = [_unique(i, model, models) for i, model in enumerate(models)]
    figure = go.Figure()
    for role in (role for role in ORDER if role in shown):
        counts = [part.get(role, 0) for part in parts]
        shares = [count / total for count, total in zip(counts, totals, strict=True)]
        figure.add_bar(
            y=names,
            x=shares if as_share else counts,
            orientation="h",
            name=NAMES.get(role, role),
            marker={"color": fills[role], "line": {"width": 1, "color": colours.roles(theme)["card"]}},
            text=[percent(share) if share >= 0.05 else "" for share in shares] if as_share else None,
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": _ink_on(role, theme), "size": 11.5},
            customdata=[[f"{count:,}", percent(share)] for count, share in zip(counts, shares, strict=True)],
            hovertemplate="%{y}<br>%{fullData.name}: <b>%{customdata[0]}</b>, %{customdata[1]}<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        bargap=0.3,
        uniformtext={"minsize": 10, "mode": "hide"},
        margin={"t": 0, "l": 4, "r": 4, "b": 0 if as_share else 46},
        showlegend=False,
        xaxis={"visible": not as_share, "showgrid": False, "zeroline": False, "title": "parameters"},
        yaxis={"autorange": "reversed", "automargin": True, "ticksuffix": "  "},
    )
    if not as_share:
        figure.update_xaxes(range=[0, max(totals) * 1.02], **_counted(max(totals)))
    return finished(figure, theme, 12 + 50 * len(models) + (0 if as_share else 46))


def named_bars(models: Sequence[str], parts: Sequence[Mapping[str, int]], *, as_share: bool, theme: Theme) -> go.Figure:
    """`share_bars` with the names of its colours below."""
    figure = share_bars(models, parts, as_share=as_share, theme=theme)
    axis, bars = 0 if as_share else 46, 12 + 50 * len(models)
    below = axis + 8 + 24 * -(-len(figure.data) // 4)
    place = {"orientation": "h", "x": 0, "y": -(axis + 4) / bars, "yanchor": "top", "traceorder": "normal"}
    height = bars + below
    return figure.update_layout(showlegend=True, legend=place, height=height, margin={"b": below})


def legend(shown: Iterable[str], theme: Theme) -> str:
    """The colours of roles as HTML that wraps: boxes and bars share one."""
    fills = role_colours(theme)
    spans = "".join(
        f'<span><i style="background:{fills[role]}"></i>{NAMES.get(role, role)}</span>'
        for role in ORDER
        if role in shown
    )
    return f'<div class="hl-legend">{spans}</div>'


ORDER = (
    *("embedding", "query", "key", "value", "output", "fused", "up", "gate", "down", "mlp", "unembedding"),
    *("position", "bias", "norm", "other"),
)


def _unique(place: int, model: str, models: Sequence[str]) -> str:
    return escape(model) if list(models).count(model) == 1 else f"{escape(model)} ({place + 1})"


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


def finished(figure: go.Figure, theme: Theme, height: int) -> go.Figure:
    """What all pictures here share: fonts and colours of the page, no background of their own."""
    role = colours.roles(theme)
    figure.update_layout(
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": SANS, "color": role["ink"], "size": 13},
        hoverlabel={
            "bgcolor": role["card"],
            "bordercolor": role["line"],
            "font": {"color": role["ink"], "family": SANS},
        },
        dragmode=False,
    )
    figure.update_xaxes(title_font_size=13)
    figure.update_yaxes(title_font_size=13)
    return figure
