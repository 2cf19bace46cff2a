"""One HTML file that holds a view: the pictures of the app, the numbers, and nothing that is fetched.

Weights are kept with 16 bits (exact to 0.001 %), every head of every layer. Where that would exceed 4 MB, the file
holds the pooled overview and the opened head alone, and says so.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from attn_core.figures import colours, scripts
from attn_core.figures.canvas.heads import BUDGET, pack_patterns
from attn_core.figures.canvas.links import exact_cells, pack_links
from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.figures.canvas.packet import unpack, words_of
from attn_core.text.numbers import scientific

if TYPE_CHECKING:
    from attn_core.views.view import View

_VIEW = '<script type="application/json" id="headlight-view">'

PAGE = Markup(
    """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">
<title>{title} · Headlight</title>
<style>{style}</style></head><body>
{opener}{view}</script>
<script type="application/json" id="headlight-numbers">{numbers}</script>
<script>{script}</script></body></html>"""
)


def page(view: View) -> Markup:
    """The whole file."""
    saved = {"page": view.opens, "link": view.address(), "caption": view.caption()}
    return PAGE.format(
        title=f"{view.name} · {view.text}"[:120],
        style=Markup(_colour_variables() + scripts.asset("offline/offline.css")),
        opener=Markup(_VIEW),
        view=_inert(saved),
        numbers=_inert(_numbers(view)),
        script=Markup(scripts.inline("overview", "links", "cells", start="offline")),
    )


def remembered(text: str) -> str:
    """The JSON that `page` wrote about its view. Raises ValueError if there is none."""
    # Not a regular expression: on a file of many openers, and no end, it would begin anew at each of them.
    _, opener, rest = text.partition(_VIEW)
    saved, end, _ = rest.partition("</script>")
    if not opener or not end:
        raise ValueError("no saved view")
    return saved


def _inert(content: dict[str, Any]) -> Markup:
    """JSON that cannot end the script element it stands in, whatever was typed."""
    return Markup(json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


def _colour_variables() -> str:
    """The roles' colours for the page's own words, in both themes."""
    both = zip(colours.ROLES["light"].items(), colours.ROLES["dark"].values(), strict=True)
    return ":root{" + "".join(f"--{role}:light-dark({light},{dark});" for (role, light), dark in both) + "}"


def _numbers(view: View) -> dict[str, Any]:
    """What the file's own script needs: the pictures' headers, and the cells."""
    asks, answers = view.sides
    n_heads = view.reader.n_heads
    exact = 2 * view.n_layers * n_heads * view.pattern.size <= BUDGET
    overview = _overview(view)
    header, cells = unpack(overview)
    heads = _linked(view, view.pattern[None], view.may_look)
    body = b"".join(_linked(view, view.patterns(n), view.mask(n)) for n in range(view.n_layers)) if exact else heads
    parity = view.trace.check()
    return {
        "palette": header.pop("palette"),
        "overview": header,
        "pooled": "" if exact else _base64(cells),
        "links": _links_header(view),
        "grid": _grid_header(view),
        "cells": _base64(body),
        "every": exact,
        "mean": None if view.mean == "one" else _base64(heads),
        "start": {"layer": view.layer, "head": view.head, "query": asks.row_of(view.query), "name": view.name},
        "scale": view.scale,
        "turned": view.queries_in == "columns",
        "words": words_of("offline"),
        "text": view.text,
        "about": view.caption(),
        "checked": scientific(parity.worst or 0.0) if parity.ok else None,
        "positions": [asks.positions, answers.positions],
    }


def _overview(view: View) -> bytes:
    asks, answers = view.sides
    return pack_patterns(
        map(view.blocks, range(view.n_layers)),
        view.n_layers,
        asks.labels,
        None if view.same else answers.labels,
        query_positions=asks.positions,
        key_positions=answers.positions,
        second=None if view.segments is None else view.segments[:2],
    )


def _linked(view: View, patterns: np.ndarray, may_look: np.ndarray) -> bytes:
    """Patterns [head, query, key] with 16 bits a cell."""
    return exact_cells(patterns, may_look).tobytes()


def _links_header(view: View) -> dict[str, Any]:
    asks, answers = view.sides
    packed = pack_links(
        view.pattern[None],
        asks.labels,
        None if view.same else answers.labels,
        heads=[f"{view.layer}.{view.head}" if view.mean == "one" else view.name],
        query_positions=asks.positions,
        key_positions=answers.positions,
        query_special=asks.special,
        key_special=answers.special,
        query_words=asks.words,
        key_words=answers.words,
    )
    return _header(packed)


def _grid_header(view: View) -> dict[str, Any]:
    asks, answers = view.sides
    packed = pack_cells(
        view.pattern,
        Side(asks.labels, role="query", name="query", special=asks.special, slanted=view.queries_in == "columns"),
        Side(answers.labels, role="key", name="key", special=answers.special, slanted=view.queries_in == "rows"),
        kind="weights",
        says="To update {row}, {head} takes {value} from {column}.",
        alt="Attention pattern of the opened head",
        hint="Point at a cell to read it.",
        limit=1.0,
        scale=view.scale,
        square=True,
        choose=True,
        segments=view.segments,
    )
    header = _header(packed)
    if header["segments"] is not None:
        header["segments"]["counted"] = True  # the shares of each head that is opened, from its cells
    return header


def _header(packet: bytes) -> dict[str, Any]:
    header, _ = unpack(packet)
    return {name: value for name, value in header.items() if name != "palette"}


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")
