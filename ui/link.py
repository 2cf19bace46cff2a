"""The link is the state: what a visitor sees is what the address bar says, and the other way round.

A page declares its parameters (`ui.param`); `open_link_state` reads them, checks them, and writes the link:

    state = open_link_state("compare_heads", [whole("panels", low=2, high=4), choice("scale", ("sqrt", "linear"))])
    state["panels"], state["scale"]

* A widget's key is the parameter's name. `open_link_state` runs first and fills `st.session_state`, so widgets get no
  default of their own, and callbacks (`on_click`, the canvas) simply set `st.session_state["layer"]`.
* The address bar says every parameter, with `v=1` beside it; only the bare address is left bare. What is shared is
  shorter: it leaves out what has its default (`LinkState.short`). `v` says whose defaults those are: whoever changes
  one raises `VERSION` and keeps the old one for links of the old version. A test holds the defaults of today.
* A value of an opened link that cannot be right falls back to the default *with a note that names it*. What a change
  of model or page makes impossible is clamped without a word, and comes back where it is possible again. Ranges come
  from the catalogue, never from a loaded model, so a good link survives a cold server.
* A parameter belongs to its page: two pages may each have a `pair`. What `travels` goes along: model, sentence, layer,
  head, word. Streamlit forgets a widget's value when its page is left; `_Memory` keeps what a link could say.
* Streamlit's own `bind="query-params"` writes widgets' labels into the link, drops wrong values without a word and
  leaves out defaults; that is why the link is read and written here instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from attn_core.settings import settings
from ui import words
from ui.param import Param, as_written
from ui.server import shared

WORDS = words.beside(__file__, "link.toml")
VERSION = "1"
SHARED = ("model", "text", "layer", "head", "query")  # what a link into another page says …
WITH_TEXT = ("second_text", "frame", "turns")  # … and what belongs to its text, where there is some
TYPED = (
    "text",
    "second_text",
    "turns",
    "sentences",
)  # what is typed has a name in plain words where it is too long for a link

_MEMORY = "link_memory"
_MISSING = object()


@dataclass
class _Memory:
    """What a session's links said: the values that were chosen, of each page and of those that travel."""

    travelling: dict[str, object] = field(default_factory=dict)
    own: dict[str, dict[str, object]] = field(default_factory=dict)  # … of each page, by its name
    page: str = ""  # the page that was drawn last, …
    shown: dict[str, object] = field(default_factory=dict)  # … the values that it began with, …
    written: dict[str, str] = field(default_factory=dict)  # … its address, …
    state: LinkState | None = None  # … and its state

    def wishes(self, page: str, param: Param) -> dict[str, object]:
        return self.travelling if param.travels else self.own.setdefault(page, {})

    def leave(self, page: str) -> None:
        """Forget what is too long for a link of the page that is left: a session that kept every page's texts could
        hold as many megabytes as there are places to type in."""
        own = self.own.get(page, {})
        for name in [name for name, value in own.items() if len(str(value)) > settings().link_characters]:
            del own[name]
            st.session_state.pop(name, None)

    def was_changed(self, page: str, param: Param) -> bool:
        """Whether a widget or a callback has set the parameter since the page was drawn."""
        if page != self.page and not param.travels:
            return False
        held = st.session_state.get(param.name, _MISSING)  # one look-up: each costs the session's lock
        return held is not _MISSING and held != self.shown.get(param.name, _MISSING)


def _memory() -> _Memory:
    memory: _Memory = st.session_state.setdefault(_MEMORY, _Memory())
    return memory


@dataclass(frozen=True)
class LinkState(Mapping[str, Any]):
    """The checked parameters of one page, by name, and the notes about those that could not be used."""

    page: str
    params: Sequence[Param] = ()
    chosen: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    link: dict[str, str] = field(default_factory=dict)  # the same, as a link says it
    said: dict[str, str] = field(default_factory=dict)  # … and what is too long for a link
    short: dict[str, str] = field(default_factory=dict)  # the link without what has its default
    opened: set[str] = field(default_factory=set)  # what an opened link has just brought, and this visitor had not

    def __getitem__(self, name: str) -> Any:
        if shared.reads_arguments_alone():
            raise RuntimeError(f"what is kept for everybody reads {name!r}: make it an argument, a part of the key")
        return self.chosen[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.chosen)

    def __len__(self) -> int:
        return len(self.chosen)

    def declared(self, name: str) -> Param:
        """The page's parameter of a name."""
        return next(param for param in self.params if param.name == name)

    def for_caption(self) -> dict[str, str]:
        """The values that are not as usual and that a picture does not show by itself."""
        return {p.name: self.short[p.name] for p in self.params if p.in_caption and p.name in self.short}


def open_link_state(page: str, params: Sequence[Param]) -> LinkState:
    """Read the page's parameters from the link or from what the visitor just changed, and write them to the link."""
    twins = {p.name for p in params if sum(p.name == other.name for other in params) > 1}
    if twins:
        raise ValueError(f"{page} declares two parameters of one name: {', '.join(sorted(twins))}")
    memory, raw = _memory(), dict(st.query_params)
    state = LinkState(page, params)
    if page != memory.page:
        memory.leave(memory.page)
    said = raw if _link_is_news(page, raw, params, memory) else {}
    if said:
        _note_strangers(said, params, memory, state.notes)
    for param in params:
        state.chosen[param.name] = _value(param, said, memory, state)
    for name, value in state.chosen.items():
        st.session_state[name] = value
    _write_link(raw, state)
    memory.page, memory.shown, memory.written = page, dict(state.chosen), dict(st.query_params)
    memory.state = state
    return state


def _link_is_news(page: str, raw: dict[str, str], params: Sequence[Param], memory: _Memory) -> bool:
    """Whether the address bar holds something that neither we nor a widget put there: a link, Back, another page.

    A widget that was just changed wins, because the browser may not have shown our last link yet.
    """
    if not raw or (memory.page, memory.written) == (page, raw):
        return False
    return page != memory.page or not any(memory.was_changed(page, param) for param in params)


def _note_strangers(raw: dict[str, str], params: Sequence[Param], memory: _Memory, notes: list[str]) -> None:
    if raw.get("v", VERSION) != VERSION:
        notes.append(WORDS.text("version", said=_short(raw["v"]), version=VERSION))
    known = {p.name for p in params} | {*SHARED, *WITH_TEXT} | {"v"} | set(memory.written)
    for name in sorted(set(raw) - known):
        notes.append(WORDS.text("stranger", name=_short(name)))


def _value(param: Param, said: dict[str, str], memory: _Memory, state: LinkState) -> object:
    """What an opened link says, else what a widget holds, else what this visitor last had, else the default."""
    wishes = memory.wishes(state.page, param)
    carried = param.name in wishes and said.get(param.name) == param.show(wishes[param.name])  # by our own menu
    if param.name in said and not carried:
        state.opened.add(param.name)
        wishes[param.name] = _checked(param, said[param.name], state)
        return wishes[param.name]
    if param.name not in said and param.part_of in said:  # another text, that says nothing of this
        wishes[param.name] = param.default_for(state.chosen)
        return wishes[param.name]
    if memory.was_changed(state.page, param):
        wishes[param.name] = st.session_state[param.name]
    elif param.name not in wishes:
        value = param.default_for(state.chosen)
        if param.travels:
            wishes[param.name] = value
        return value
    return param.clamped(wishes[param.name], state.chosen)


def _checked(param: Param, raw: str, state: LinkState) -> object:
    """The value that a link asks for, or the default and a note that says why not."""
    try:
        return param.parse(raw, state.chosen)
    except ValueError as reason:
        fallback = param.default_for(state.chosen)
        instead, said = param.show(fallback), _short(raw)
        if instead:
            note = WORDS.text("refused", name=param.name, said=said, reason=reason, fallback=instead)
        else:
            note = WORDS.text("left_out", name=param.name, said=said, reason=reason)
        state.notes.append(note)
        return fallback


def _write_link(raw: dict[str, str], state: LinkState) -> None:
    params = state.params
    state.said.update({"v": VERSION, **{p.name: p.show(state.chosen[p.name]) for p in params}})
    wanted = state.link
    wanted |= state.said
    for name in [name for name, value in wanted.items() if len(value) > settings().link_characters]:
        del wanted[name]
        state.notes.append(WORDS.text("too_long", name if name in TYPED else "other", name=name))
    usual = {p.name: p.show(p.default_for(state.chosen)) for p in params}
    state.short.update({n: v for n, v in wanted.items() if n in ("v", *SHARED) or v != usual[n]})
    plain = all(state.chosen[p.name] == p.default_for(state.chosen) for p in params)
    if wanted != raw and (raw or not plain):
        st.query_params.from_dict(wanted)


def forget(name: str) -> None:
    """Let a parameter of this page fall back to its default at the next run; for callbacks."""
    memory = _memory()
    for values in (st.session_state, memory.shown, memory.travelling, memory.own.get(memory.page, {})):
        values.pop(name, None)  # type: ignore[attr-defined]  # session state has it, too


def settle(state: LinkState, name: str, value: object) -> None:
    """Let the link say a value that the page itself has found for an optional parameter, as if it had been chosen."""
    memory, param = _memory(), state.declared(name)
    memory.wishes(state.page, param)[name] = value
    state.chosen[name] = st.session_state[name] = memory.shown[name] = value
    for link in (state.link, state.said, state.short):
        link[name] = param.show(value)
    st.query_params.from_dict(state.link)
    memory.written = dict(st.query_params)


def current() -> LinkState | None:
    """The state of the page that was drawn last in this session: for a part of it that is drawn again alone."""
    return _memory().state


def choose(values: Mapping[str, object]) -> None:
    """Set parameters of this page as a visitor would, for callbacks: a value that is already shown is chosen too, so
    that it stays when its default changes."""
    for name, value in values.items():
        st.session_state[name] = value
        _memory().shown.pop(name, None)


def link_params(page: str, *chosen: tuple[str, str], **travelling: object) -> dict[str, str]:
    """The query parameters of a link into another page: what travels, and what you say on top.

    `chosen` are parameters of that page, `TILES.set("delta")`; `travelling` are values of what travels.
    """
    held = dict(_memory().travelling)
    if any(travelling.get(name, held.get(name)) != held.get(name) for name in ("model", "text")):
        held["query"] = None  # a position in this sentence is none in another
    said = {name: held[name] for name in SHARED if name in held} | travelling
    if "text" not in travelling:
        said |= {name: held[name] for name in WITH_TEXT if held.get(name)}
    shown = {name: as_written(value) for name, value in said.items()} | dict(chosen)
    return {"v": VERSION, **{name: value for name, value in shown.items() if len(value) <= settings().link_characters}}


def link(page: str, *chosen: tuple[str, str], **travelling: object) -> str:
    """A relative address of another page with the visitor's sentence, model, layer and head: "delta_e?v=1&layer=2…"."""
    return address(page, urlencode(link_params(page, *chosen, **travelling)))


def address(page: str, said: str) -> str:
    """A relative address of another page; `said` is what stands after its question mark."""
    return f"{'./' if page == 'all_heads' else page}?{said}"


def _short(raw: str, longest: int = 40) -> str:
    return raw if len(raw) <= longest else raw[:longest] + "…"
