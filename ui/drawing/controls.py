"""What a visitor chooses with. Each control shows one parameter: label, help, options and ends are its declaration's.

controls.switch(TILES)                     # one of a few words, side by side
controls.stepper(LAYER, n_layers - 1)      # "‹ Layer 0 ›"
controls.pick(SHOWS, width=168)            # one of many, from a list

The link holds the value (`ui.link`), so a control has no default of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import streamlit as st

from attn_core.settings import is_public
from attn_core.text.decoding import with_name
from ui.drawing import gallery
from ui.param import Param
from ui.shared_params import LARGE

V = TypeVar("V")
OnChange = Callable[[], None] | None


def _wide(pixels: int) -> int:
    """A width in the size of letters that the visitor has chosen."""
    return round(gallery.PRESENTED * pixels) if st.session_state.get(LARGE.name) else pixels


def switch(param: Param, options: Mapping[str, str] | None = None, *, on_change: OnChange = None) -> str:
    """One of a few words, side by side: a parameter's own options, or those that there are on this page now."""
    words = param.options if options is None else options
    chosen = st.segmented_control(
        param.label,
        list(words),
        format_func=words.__getitem__,
        key=param.name,
        required=True,
        help=param.help,
        label_visibility="collapsed",
        on_change=on_change,
    )
    return chosen if chosen is not None else next(iter(words))


def toggle(param: Param) -> bool:
    """Yes or no."""
    return st.toggle(param.label, key=param.name, help=param.help)


def menu_toggle(label: str, key: str, *, on: bool, turn: Callable[[bool], None], says: str | None = None) -> None:
    """Yes or no, inside a menu that is drawn apart from its page: `turn` is told, and all of the page is drawn again.

    Its key is its own, never a parameter's: a widget that goes with its menu leaves the value behind that its key had
    before there was one.
    """
    turned = f"{key}_turned"
    if st.session_state.pop(turned, False):
        st.rerun()

    def told() -> None:
        turn(bool(st.session_state[key]))
        st.session_state[turned] = True

    st.toggle(label, value=on, key=key, on_change=told, help=says)


def number(param: Param, *, width: int, on_change: OnChange = None, placeholder: str = "") -> None:
    """A whole number to type; `placeholder` where it may be empty."""
    start: dict[str, Any] = {"value": None, "placeholder": placeholder} if placeholder else {}
    st.number_input(
        param.label,
        param.low,
        _end(param),
        step=1,
        key=param.name,
        help=param.help,
        width=_wide(width),
        on_change=on_change,
        **start,
    )


def slider(param: Param, *, high: float | None = None, **more: Any) -> None:
    """A number between its two ends; `high` where the parameter's own end depends on others."""
    st.slider(param.label, param.low, _end(param) if high is None else high, key=param.name, help=param.help, **more)


def _end(param: Param) -> float:
    if callable(param.high):
        raise ValueError(f"where {param.name} ends depends on other parameters: say it")
    return param.high


def text(
    param: Param, placeholder: str, *, width: int | None = None, on_change: OnChange = None, labelled: bool = False
) -> str:
    """A line to type; without a width it is as wide as its place."""
    return st.text_input(
        param.label,
        key=param.name,
        help=param.help,
        placeholder=placeholder,
        label_visibility="visible" if labelled else "collapsed",
        width=_wide(width) if width else "stretch",
        on_change=on_change,
    )


def sentence(param: Param, placeholder: str, *, on_change: OnChange = None, labelled: bool = False) -> str:
    """A sentence as it is typed: the box takes several lines and grows with them.

    Enter hands in one line, Ctrl or Cmd and Enter several (assets/app/whole_page.js, by the container's key).
    """
    with st.container(key=f"sentence_{param.name}", gap=None):
        said: str | None = st.text_area(
            param.label,
            key=param.name,
            help=param.help,
            placeholder=placeholder,
            label_visibility="visible" if labelled else "collapsed",
            height="content",
            on_change=on_change,
        )
    return said or ""


def lines(param: Param, placeholder: str, *, height: int = 96) -> str:
    """Several lines to type."""
    said: str | None = st.text_area(
        param.label, key=param.name, help=param.help, placeholder=placeholder, height=height, width="stretch"
    )
    return said or ""


def step(name: str, by: int, top: int) -> None:
    """Callback: move a whole-numbered parameter, around the end."""
    st.session_state[name] = (st.session_state[name] + by) % (top + 1)


def stepper(param: Param, top: int, shortcuts: tuple[str, str] | None = None) -> None:
    """A whole number from 0 to `top` between two buttons: "‹ Layer 0 ›"."""
    back, on = shortcuts or (None, None)
    label, name = param.label, param.name
    with st.container(
        horizontal=True, gap="xsmall", key=f"stepper_{name}", vertical_alignment="center", width="content", wrap=False
    ):
        st.button("‹", key=f"{name}_back", on_click=step, args=(name, -1, top), shortcut=back, help=f"{label} before")
        pick(param, range(top + 1), lambda number: f"{label} {number}", width=108)
        st.button("›", key=f"{name}_on", on_click=step, args=(name, 1, top), shortcut=on, help=f"{label} after")


def pick(
    param: Param,
    values: Sequence[V] | None = None,
    words: Callable[[V], str] | None = None,
    *,
    width: int,
    labelled: bool = False,
) -> V:
    """One of many values, from a list that opens: a parameter's own options, or `values` and what each is called."""
    offered = list(param.options) if values is None else values
    chosen = st.selectbox(
        param.label,
        offered,
        format_func=words or param.options.__getitem__,
        key=param.name,
        help=param.help,
        label_visibility="visible" if labelled else "collapsed",
        width=_wide(width),
    )
    return cast(V, chosen)


def model_picker(
    param: Param,
    offered: Sequence[str],
    words: Callable[[str], str],
    *,
    on_change: OnChange = None,
    labelled: bool = False,
    width: int | None = None,
) -> None:
    """A model of those on offer, or any that a visitor of a local run names; the chosen one is always in the list."""
    own = st.session_state[param.name]
    names = [*offered, *([] if own in offered else [own])]
    said = {name: words(name) for name in names}  # Streamlit asks for each several times, and it looks at the disk
    st.selectbox(
        param.label,
        names,
        format_func=lambda name: said[name] if name in said else words(name),
        key=param.name,
        help=param.help,
        on_change=on_change,
        label_visibility="visible" if labelled else "collapsed",
        accept_new_options=not is_public(),
        width=_wide(width) if width else "stretch",
    )


def word_picker(
    key: str,
    names: Sequence[str],
    chosen: int,
    on_choose: Callable[[int], None],
    *,
    label: str = "Word",
    labelled: bool = False,
    width: int = 190,
) -> None:
    """A word of the sentence; `names` are shown as text, whatever was typed, a line break with its name.

    `on_choose` is called with its place.
    """
    st.session_state[key] = chosen
    st.selectbox(
        label,
        range(len(names)),
        format_func=lambda at: with_name(names[at]),
        key=key,
        on_change=lambda: on_choose(st.session_state[key]),
        label_visibility="visible" if labelled else "collapsed",
        width=_wide(width),
    )
