"""The link is the state: what a visitor sees is what the address bar says, and the other way round.

A page names its parameters once; `open_link_state` reads them, checks them, and writes the link:

    state = open_link_state("compare", [whole("layer_b", high=5), choice("scale", ("root", "linear"))])
    state["layer_b"], state["scale"]
    st.segmented_control("Scale", ("root", "linear"), key="scale", required=True)      # key = parameter, no default=

* A widget's key is the parameter's name. `open_link_state` runs first and fills `st.session_state`, so widgets get no
  default of their own, and callbacks (`on_click`, the canvas) simply set `st.session_state["layer"]`.
* The address bar says every parameter, with `v=1` beside it; only the bare address is left bare. What is shared is
  shorter: it leaves out what has its default (`LinkState.short`). `v` says whose defaults those are: whoever changes
  one raises `VERSION` and keeps the old one for links of the old version. A test holds the defaults of today.
* A value that cannot be right falls back to the default *with a note that names it* (`state.notes`). Ranges come from
  the catalogue, never from a loaded model, so a good link survives a cold server.
* Streamlit forgets a widget's value when its page is left; `_HELD` keeps it, so that the model, the sentence, the layer
  and the head travel from page to page.
* Streamlit's own `bind="query-params"` writes widgets' labels into the link, drops wrong values without a word and
  leaves out defaults; that is why the link is read and written here instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import streamlit as st

VERSION = "1"
SHARED = ("model", "text", "layer", "head", "query")  # what travels from page to page
AUTO = "auto"  # how an optional parameter says "choose for me"
LONGEST_LINK = 6000  # characters of one value; browsers and proxies refuse addresses much longer than this

_HELD = "held_view"
_WRITTEN = "written_link"


@dataclass(frozen=True)
class Param:
    """One thing that a link can say. `parse(raw, earlier)` gives its value or raises ValueError with the reason."""

    name: str
    default: Any
    parse: Callable[[str, Mapping[str, Any]], Any]
    show: Callable[[Any], str] = str

    def default_for(self, earlier: Mapping[str, Any]) -> Any:
        return self.default(earlier) if callable(self.default) else self.default


Limit = int | Callable[[Mapping[str, Any]], int]


def whole(name: str, low: int = 0, high: Limit = 0, default: Any = None, optional: bool = False) -> Param:
    """A whole number from `low` to `high`, both included; `high` and `default` may be functions of the parameters
    before it. The default is `low`, or with `optional` None, written "auto": the page chooses.
    """

    def parse(raw: str, earlier: Mapping[str, Any]) -> int | None:
        top = high(earlier) if callable(high) else high
        if optional and raw == AUTO:
            return None
        if not raw.isascii() or not raw.isdigit() or len(raw) > 9 or not low <= int(raw) <= top:
            raise ValueError(f"it must be a whole number from {low} to {top}")
        return int(raw)

    fallback = low if default is None and not optional else default
    return Param(name, fallback, parse, _show)


def choice(
    name: str, options: Sequence[str] | Callable[[Mapping[str, Any]], Sequence[str]], default: Any = None
) -> Param:
    """One of a few words; the first is the default. `options` may be a function of the parameters before it."""

    def offered(earlier: Mapping[str, Any]) -> Sequence[str]:
        return options(earlier) if callable(options) else options

    def parse(raw: str, earlier: Mapping[str, Any]) -> str:
        if raw not in offered(earlier):
            raise ValueError("it must be one of " + ", ".join(offered(earlier)))
        return raw

    return Param(name, default if default is not None else lambda earlier: offered(earlier)[0], parse)


def flag(name: str, default: bool = False) -> Param:
    """Yes or no, written "1" or "0"."""

    def parse(raw: str, earlier: Mapping[str, Any]) -> bool:
        if raw not in ("0", "1"):
            raise ValueError("it must be 1 or 0")
        return raw == "1"

    return Param(name, default, parse, _show)


def words(name: str, default: str) -> Param:
    """What somebody typed; anything is valid."""
    return Param(name, default, lambda raw, earlier: raw)


@dataclass(frozen=True)
class LinkState(Mapping[str, Any]):
    """The checked parameters of one page, by name, and the notes about those that could not be used."""

    page: str
    chosen: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    link: dict[str, str] = field(default_factory=dict)  # the same, as a link says it
    said: dict[str, str] = field(default_factory=dict)  # … and what is too long for a link
    short: dict[str, str] = field(default_factory=dict)  # the link without what has its default

    def __getitem__(self, name: str) -> Any:
        return self.chosen[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.chosen)

    def __len__(self) -> int:
        return len(self.chosen)


def open_link_state(page: str, params: Sequence[Param]) -> LinkState:
    """Read the page's parameters from the link or from what the visitor just changed, and write them to the link."""
    raw = dict(st.query_params)
    held: dict[str, Any] = st.session_state.setdefault(_HELD, {})
    state = LinkState(page, {})
    if _link_is_news(page, raw, params, held):
        _note_strangers(raw, params, state.notes)
        for param in params:
            state.chosen[param.name] = _from_link(param, raw, held, state)
    else:
        for param in params:
            state.chosen[param.name] = _from_session(param, held, state)
    for name, value in state.chosen.items():
        st.session_state[name] = value
    held.update(state.chosen)
    _write_link(page, raw, params, state)
    return state


def _link_is_news(page: str, raw: dict[str, str], params: Sequence[Param], held: dict[str, Any]) -> bool:
    """Whether the address bar holds something that neither we nor a widget put there: a link, Back, another page.

    A widget that was just changed wins, because the browser may not have shown our last link yet.
    """
    if not raw or st.session_state.get(_WRITTEN) == (page, raw):
        return False
    touched = (
        p.name in st.session_state and p.name in held and st.session_state[p.name] != held[p.name] for p in params
    )
    return not any(touched)


def _note_strangers(raw: dict[str, str], params: Sequence[Param], notes: list[str]) -> None:
    if raw.get("v", VERSION) != VERSION:
        notes.append(f"This link says version v={_short(raw['v'])}; it was read as version {VERSION}.")
    before = st.session_state.get(_WRITTEN, ("", {}))[1]
    known = {p.name for p in params} | set(SHARED) | {"v"} | set(before)
    for name in sorted(set(raw) - known):
        notes.append(f"This link's “{_short(name)}” is not known on this page and was left aside.")


def _from_link(param: Param, raw: dict[str, str], held: dict[str, Any], state: LinkState) -> Any:
    if param.name not in raw:
        return _from_session(param, held, state)
    return _checked(param, raw[param.name], "This link's ", state)


def _from_session(param: Param, held: dict[str, Any], state: LinkState) -> Any:
    """What the widget holds, else what this visitor last had, else the default; always within today's range."""
    kept = held.get(param.name, param.default_for(state.chosen))
    return _checked(param, param.show(st.session_state.get(param.name, kept)), "", state)


def _checked(param: Param, raw: str, whose: str, state: LinkState) -> Any:
    """The value that was asked for, or the default and a note that says why not."""
    try:
        return param.parse(raw, state.chosen)
    except ValueError as reason:
        fallback = param.default_for(state.chosen)
        state.notes.append(
            f"{whose}{param.name}={_short(raw)} cannot be shown: {reason}. "
            f"You see {param.name} {param.show(fallback) or 'none'} instead."
        )
        return fallback


def _write_link(page: str, raw: dict[str, str], params: Sequence[Param], state: LinkState) -> None:
    state.said.update({"v": VERSION, **{p.name: p.show(state.chosen[p.name]) for p in params}})
    wanted = state.link
    wanted |= state.said
    for name in [name for name, value in wanted.items() if len(value) > LONGEST_LINK]:
        del wanted[name]
        state.notes.append(
            f"This {'sentence' if name == 'text' else name} is too long for a link: the link leaves it out."
        )
    usual = {p.name: p.show(p.default_for(state.chosen)) for p in params}
    state.short.update({n: v for n, v in wanted.items() if n in ("v", *SHARED) or v != usual[n]})
    plain = all(state.chosen[p.name] == p.default_for(state.chosen) for p in params)
    if wanted != raw and (raw or not plain):
        st.query_params.from_dict(wanted)
    st.session_state[_WRITTEN] = (page, dict(st.query_params))


def forget(name: str) -> None:
    """Let a parameter fall back to its default at the next run; for callbacks."""
    st.session_state.pop(name, None)
    st.session_state.get(_HELD, {}).pop(name, None)


def link_params(page: str, **overrides: Any) -> dict[str, str]:
    """The query parameters of a link into another page: what travels, and what you say on top."""
    held = st.session_state.get(_HELD, {})
    said = {name: held[name] for name in SHARED if name in held} | overrides
    return {"v": VERSION, **{name: _show(value) for name, value in said.items() if len(_show(value)) <= LONGEST_LINK}}


def link(page: str, **overrides: Any) -> str:
    """A relative address of another page with the visitor's sentence, model, layer and head: "delta_e?v=1&layer=2…"."""
    return ("./" if page == "all_heads" else page) + "?" + urlencode(link_params(page, **overrides))


def _show(value: Any) -> str:
    if value is None:
        return AUTO
    return str(int(value)) if isinstance(value, bool) else str(value)


def _short(raw: str, longest: int = 40) -> str:
    return raw if len(raw) <= longest else raw[:longest] + "…"
