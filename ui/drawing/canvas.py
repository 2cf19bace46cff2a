"""The canvas pictures as Streamlit components: all heads at a glance, one head as links, a matrix, patterns as panels.

The cells travel once, as bytes; what is to be shown of them (the chosen head, the pinned word, the scale) travels
beside them, so a click never sends the cells again. Packets are made by `attn_core.figures.canvas`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import streamlit as st

from attn_core.figures import scripts
from attn_core.figures.canvas.packet import unpack
from attn_core.figures.colours import Scale
from ui.drawing import events, gallery, widgets
from ui.drawing.component import component
from ui.drawing.events import Answer, ChosenCell, Due, Opened, Pin, Side

Sent = TypeVar("Sent", bound=Answer)
ChosenPlace = Callable[[int, int | None], None]  # given (row, column); the column is None where a label was clicked

_overview = component("overview", scripts.module("overview"))
_links = component("links", scripts.module("links"))
_cells = component("cells", scripts.module("cells"))
_panels = component("panels", scripts.module("panels"))
_theme = component("theme", scripts.with_drawing("app/theme.js"))
_view = component("view", scripts.view_updates())


def overview(
    packet: bytes,
    *,
    key: str,
    picture: str = "",
    says: str = "",
    selected: tuple[int, int] | None = None,
    scale: Scale = "sqrt",
    opens: tuple[int, int] | Literal["mean"] | None = None,
    on_open: Callable[[Opened], None] | None = None,
) -> Opened | None:
    """Every head of every layer on one canvas.

    `packet` comes from `pack_patterns`, `pack_values` or `pack_kinds` of `figures.canvas.heads`. `picture` is its name
    under Save, and `says` how its caption begins.

    `opens` says which head, or that a mean, is open beside it: then a click is painted at once, see
    assets/canvas/open_head.js.
    `on_open` is called before the page runs again, as a widget's callback is; the same is returned in that run, and
    None in every other.
    """
    view: dict[str, object] = {"selected": selected, "scale": scale}
    if opens is not None:
        view |= {"opened": None if opens == "mean" else list(opens), "click": st.session_state.get(f"{key}_click", 0)}

    def happened(tile: Opened) -> None:
        if tile.click is not None:
            st.session_state[f"{key}_click"] = tile.click
        if on_open is not None:
            on_open(tile)

    return mount(_overview, packet, key, "opened", Opened, happened, view, picture=picture, says=says)


def links(
    packet: bytes,
    *,
    key: str,
    picture: str = "",
    says: str = "",
    pinned: tuple[Side, int] | None = None,
    on_pin: Callable[[Pin], None] | None = None,
) -> Pin | None:
    """One head, or up to eight, as lines between words; `packet` comes from `figures.canvas.links.pack_links`.

    `on_pin` is called before the page runs again, as a widget's callback is; the same is returned in that run, and
    None in every other.
    """
    view = {"pinned": None if pinned is None else {"side": pinned[0], "position": pinned[1]}}
    return mount(_links, packet, key, "pinned", Pin, on_pin, view, picture=picture, says=says)


def cells(
    packet: bytes,
    *,
    key: str,
    picture: str = "",
    on_choose: ChosenPlace | None = None,
    on_join: Callable[[int, int], None] | None = None,
) -> None:
    """A matrix, every number exact; `packet` comes from `figures.canvas.matrix.pack_cells`, `picture` names it in Save.

    A click on a cell, if the packet allows it, calls `on_choose` before the page runs again; `on_join` is told the
    first and the last of several rows that are to be read as one.
    """
    if not gallery.fits(len(packet)):
        widgets.problem(gallery.TOO_LARGE, gallery.WHAT_FITS)
        return
    rows, columns = unpack(packet)[0]["shape"]
    due = {"row": Due(range(rows)), "column": Due(range(columns), optional=True), "to": Due(range(rows), optional=True)}

    def happened() -> None:
        chosen = events.read(getattr(st.session_state.get(key), "chosen", None), due)
        if chosen is None:
            return
        if chosen["to"] is None and on_choose is not None:
            on_choose(chosen["row"], chosen["column"])
        elif chosen["to"] is not None and on_join is not None and chosen["row"] < chosen["to"]:
            on_join(chosen["row"], chosen["to"])

    if picture:
        gallery.canvas(picture, packet, {})
    _cells(key=key, data=_addressed(packet, key), on_chosen_change=happened)


def panels(
    packet: bytes,
    *,
    key: str,
    picture: str = "",
    says: str = "",
    query: int | None = None,
    painted: Sequence[tuple[int, int]] = (),
    scale: Scale = "sqrt",
    on_choose: Callable[[ChosenCell], None] | None = None,
) -> ChosenCell | None:
    """One to four patterns on one scale; `packet` comes from `figures.canvas.panels.pack_panels`.

    `query` frames a row, `painted` frames (query, key) cells. `on_choose` is called before the page runs again, as a
    widget's callback is; the same is returned in that run.
    """
    view = {"query": query, "painted": [list(cell) for cell in painted], "scale": scale}
    return mount(_panels, packet, key, "chosen", ChosenCell, on_choose, view, picture=picture, says=says)


def follow_theme() -> None:
    """Run the page again when the visitor switches between light and dark: a Plotly figure's colours are made here."""
    _theme(key="theme", on_changed_change=lambda: None)


def mount(
    component: Callable[..., Any],
    packet: bytes,
    key: str,
    event: str,
    answer: type[Sent],
    tell: Callable[[Sent], None] | None,
    view: Mapping[str, object],
    *,
    picture: str = "",
    says: str = "",
) -> Sent | None:
    """Put a canvas picture on the page; for the pictures above and for those that pages add.

    `component` is registered with `scripts.module(…)`, `event` is what its JavaScript tells, `answer` makes a value of
    it where it fits the picture, `tell` is called with that value before the page runs again, and `view` goes to its
    `update` without the cells. With `picture`, its name, it can be saved.
    """
    if not gallery.fits(len(packet)):
        widgets.problem(gallery.TOO_LARGE, gallery.WHAT_FITS)
        return None
    if picture:
        gallery.canvas(picture, packet, view, says)
    sizes = answer.sizes(unpack(packet)[0])

    def happened() -> None:
        value = answer.of(getattr(st.session_state.get(key), event, None), sizes)
        if value is not None and tell is not None:
            tell(value)

    with st.container(gap=None):
        _view(key=f"{key}_view", data=(key, view))  # of a dict Streamlit would look through each value for a table
        result = component(key=key, data=_addressed(packet, key), **{f"on_{event}_change": happened})
    return answer.of(getattr(result, event), sizes)


def _addressed(packet: bytes, key: str) -> bytes:
    """A packet with the name of the picture that it is for before it."""
    name = key.encode()
    return struct.pack("<I", len(name)) + name + packet
