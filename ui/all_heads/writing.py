"""Writing on: append one of the likeliest words, or let the model write; the sentence remembers what was written.

The ids are kept beside the text, since a text may be cut into other tokens than those that were written. The model
writes while its page is drawn, and what has come is put into the sentence by the next run (`take_over`): whatever the
visitor does in the meantime, Stop or any other click, ends the writing and keeps its words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st
from markupsafe import Markup

from attn_core.errors import HeadlightError
from attn_core.prediction.next_token import TokenPrediction, continued_text, continued_texts
from attn_core.prediction.writing import write
from attn_core.text.decoding import visible, with_name
from ui import words
from ui.drawing import controls, widgets
from ui.link import forget
from ui.page import Page
from ui.param import Param, choice, decimal, typed, whole
from ui.server import budget, passes, shared

if TYPE_CHECKING:
    from attn_core import Model
    from ui.server.handles import TraceHandle

WORDS = words.beside(__file__)
AT_ONCE = (1, 8, 60)  # words that one click writes
MOST = 60  # words that a link remembers; who writes more begins a new film
_WANTED, _COMING = "next_wanted", "next_coming"


def _ids(raw: str, _: Mapping[str, object]) -> tuple[int, ...]:
    """Token ids as a link says them: "314-260"."""
    named = [part for part in raw.split("-") if part]
    if len(named) > MOST or not all(part.isascii() and part.isdigit() and len(part) < 8 for part in named):
        raise ValueError(WORDS.text("next.bad_ids", most=MOST))
    return tuple(map(int, named))


DRAW = choice("draw", WORDS.table("switches.draw"), label="Writing")
TEMPERATURE = decimal("temperature", 0.1, 2.0, 1.0, label="Temperature", help=WORDS.text("next.temperature"))
TOP_K = whole("top_k", high=100, label="Top k", help=WORDS.text("next.top_k"))
SEED = whole("seed", high=9999, label="Seed", help=WORDS.text("next.seed"))
IDS = Param("written_ids", (), _ids, lambda ids: "-".join(map(str, ids)), in_caption=False)
PARAMS = [DRAW, TEMPERATURE, TOP_K, SEED, typed("written", ""), IDS]


class Coming(NamedTuple):
    """What the model has written so far: the sentence that it began with, the one that there is now, what was added."""

    began_with: str
    text: str
    written: str
    ids: tuple[int, ...]


class Film(NamedTuple):
    """What was written, token by token: all ids that were read, and the position of the first written one."""

    ids: list[int]
    first: int


def take_over() -> None:
    """Put what the model has written into the sentence; for the page's first line, before any widget is drawn."""
    coming = st.session_state.pop(_COMING, None)
    if coming is None or st.session_state.get("text") != coming.began_with:
        return
    st.session_state["text"], st.session_state["written"] = coming.text, coming.written
    st.session_state[IDS.name] = coming.ids
    forget("query")


def settings(page: Page, trace: TraceHandle, found: Sequence[TokenPrediction]) -> None:
    """How words are drawn, one of the words found to append, and buttons that let the model write."""
    places_left = page.model().limit - len(_read(page, trace))
    _draw_settings()
    _append_one(page, trace, found, places_left)
    _let_it_write(page, places_left)
    _write_now(page, trace)
    if places_left < 1:
        widgets.note(WORDS.text("next.full"))
    if "next_problem" in st.session_state:
        widgets.note(st.session_state.pop("next_problem"))


def _draw_settings() -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        controls.slider(TEMPERATURE, step=0.1, width=190)
        controls.number(TOP_K, width=130)


def _append_one(page: Page, trace: TraceHandle, found: Sequence[TokenPrediction], places_left: int) -> None:
    def append() -> None:
        ids = [found[st.session_state["next_choice"]].id]
        text = continued_text(page.model().tokenizer, trace.tokens, ids)
        st.session_state[_COMING] = _grown(page, trace, text, ids)

    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.selectbox(
            "Word to append",
            range(len(found)),
            key="next_choice",
            width=190,
            label_visibility="collapsed",
            format_func=lambda i: with_name(visible(found[i].word)) if i < len(found) else "",
        )
        st.button("Append this word", key="next_append", on_click=append, disabled=places_left < 1)


def _let_it_write(page: Page, places_left: int) -> None:
    full = places_left < 1
    by_chance = page.state["draw"] == "chance"
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        controls.switch(DRAW)
        if by_chance:
            controls.number(SEED, width=110)
        for count, key in zip(AT_ONCE, ("next_one", "next_many", "next_all"), strict=True):
            label = "Write a word" if count == 1 else f"Write {count}"
            st.button(label, key=key, on_click=partial(_want, count), disabled=full)


def _want(count: int) -> None:
    """Callback: the run that follows lets the model write."""
    st.session_state[_WANTED] = count


def _write_now(page: Page, trace: TraceHandle) -> None:
    """Where words are wanted: let the model write them, visibly, until they are there or something else is clicked."""
    wanted, place = st.session_state.pop(_WANTED, 0), st.empty()
    if not wanted:
        return
    try:
        with place.container():
            _written(page, trace, wanted)
    except HeadlightError as error:  # what had come before is kept
        st.session_state["next_problem"] = str(error)
    st.rerun()


def _written(page: Page, trace: TraceHandle, count: int) -> None:
    model, before = page.model(), _read(page, trace)
    budget.hold_to([(min(model.limit, len(before) + count), 2)])  # the prompt's pass, and the one that is shown
    said, bar = st.empty(), st.progress(0.0)
    st.button("Stop", key="next_stop")
    ids: list[int] = []
    drawn = write(
        model.value(),
        before,
        count,
        temperature=page.state["temperature"],
        top_k=page.state["top_k"],
        seed=page.state["seed"] if page.state["draw"] == "chance" else None,
        turn=partial(passes.in_turn, model),
    )
    coming = (ids.append(each.id) or each.id for each in drawn)  # type: ignore[func-returns-value]
    for text in continued_texts(model.tokenizer, trace.tokens, coming):
        st.session_state[_COMING] = _grown(page, trace, text, ids)
        said.html(
            Markup('<div class="hl-read" role="status">…{}</div>').format(visible(text.removeprefix(page.text).strip()))
        )
        bar.progress(len(ids) / count)
    if len(ids) < count and len(before) + len(ids) < model.limit:
        st.session_state["next_problem"] = WORDS.text("next.ended")


def _grown(page: Page, trace: TraceHandle, text: str, ids: Sequence[int]) -> Coming:
    """The sentence with more words: it remembers what was typed, what was written, and by which ids."""
    earlier = page.state[IDS.name] if film_of(page, trace) is not None else ()
    if len(earlier) + len(ids) > MOST:
        return Coming(page.text, text, text.removeprefix(page.text), tuple(ids))
    typed_text = _typed(page)
    before = typed_text if text.startswith(typed_text) else typed_text.rstrip()  # blanks that are no tokens may go
    return Coming(page.text, text, text.removeprefix(before), (*earlier, *ids))


def _typed(page: Page) -> str:
    """The part of the sentence that the visitor typed: all of it, unless it ends with what the model wrote.

    With the blank at its end: it may be a token, and is then what the words were written behind.
    """
    return page.text.removesuffix(page.state["written"])


def _read(page: Page, trace: TraceHandle) -> list[int]:
    """The ids that the model goes on from: those that were written, behind what was typed."""
    film = film_of(page, trace)
    return list(page.model().read(_typed(page)).ids) if film is None else film.ids


def film_of(page: Page, trace: TraceHandle) -> Film | None:
    """What the model wrote at the end of the sentence, or None where it wrote nothing.

    A link that says no ids, or others than those of its text, is read as its text: by the rows of the page's trace.
    """
    written, typed_text, ids = page.state["written"], _typed(page), page.state[IDS.name]
    if not written or not page.text.endswith(written) or page.messages is not None:
        return None
    model = page.model()
    typed_ids = list(model.read(typed_text).ids) if typed_text.strip() else []
    if ids and typed_ids and shared.memoize(model, _spelt, typed_text, ids) == page.text:
        return Film([*typed_ids, *ids][: model.limit], len(typed_ids))
    first = max(1, len(typed_ids))
    return Film(trace.tokens.ids, first) if first < len(trace.tokens) else None


def _spelt(model: Model, typed_text: str, ids: tuple[int, ...]) -> str | None:
    """A typed text with the words of these ids; None where the model has no such ids."""
    if any(i >= model.hf.get_input_embeddings().weight.shape[0] for i in ids):
        return None
    return continued_text(model.tokenizer, model.read(typed_text), ids)
