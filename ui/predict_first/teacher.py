"""What stands on the projector: the link for the class, its codes, and the class laid over the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from attn_core.figures.html.bar_table import Column
from attn_core.settings import settings
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from ui import stream, words
from ui.drawing import controls, gallery, widgets
from ui.link import link_params
from ui.predict_first import layout, painting, question
from ui.predict_first.layout import TEACHER
from ui.predict_first.painting import UNCOVERED
from ui.predict_first.question import MOST_CODES
from ui.shared_params import HEAD, LAYER
from ui.shell import share
from ui.shell.menu import go
from ui.stream_links import choose_word

if TYPE_CHECKING:
    from ui.predict_first.question import Class, Question
    from ui.stream import StreamView

WORDS = words.beside(__file__)


def show(viewed: StreamView) -> None:
    """The question, the class's codes, and what they found."""
    asked, told = layout.asked_of(viewed), bool(viewed.page.state[UNCOVERED.name])
    layout.headline(viewed, asked, told)
    left, right = st.columns([46, 54], gap="medium")
    with left, widgets.card("class_link", WORDS.html("class.link"), WORDS.html("class.link_hint")):
        _choose(viewed)
        _link(viewed)
    with right, widgets.card("codes", WORDS.html("class.codes"), WORDS.html("class.codes_hint", most=MOST_CODES)):
        typed = st.text_area(
            WORDS.text("class.codes"), key="class_codes", height=230, label_visibility="collapsed",
            placeholder=asked.code(asked.open[:1]),
        )  # fmt: skip
        read = question.read_codes(asked, typed or "")
        for said in question.wrong_lines(read):
            widgets.note(said)
    told_hint = WORDS.html("class.told_hint") if told else WORDS.html("class.over_hint")
    with widgets.card("class", WORDS.html("class.over"), told_hint):
        widgets.reading(question.class_result(asked, read) if told else question.class_before(asked, read))
        counts = [int(n) for n in read.counts(asked)] if read.paintings else ()
        painting.draw(asked, (), told, counts=counts, can_paint=False)
        st.button(
            WORDS.text("buttons", "cover" if told else "uncover"), key="predict_uncover",
            type="secondary" if told else "primary", on_click=_uncover, args=(not told,),
        )  # fmt: skip
        if read.paintings:
            _table(viewed, asked, read, told)
    if told:
        layout.whole_head(viewed, asked, ())
    with st.container(key="page_links_pupil"):
        go("predict_first", WORDS.text("buttons.pupil"), TEACHER.set(False), UNCOVERED.set(False), **_place(viewed))
    viewed.page.offer_pictures(f"head {viewed.name}", viewed.word)


def _uncover(told: bool) -> None:
    """Callback: the head is shown, or covered."""
    st.session_state[UNCOVERED.name] = told


def _place(viewed: StreamView) -> dict[str, object]:
    """The head and the word that are asked about, as a link says them."""
    return {"layer": viewed.layer, "head": viewed.head, "query": viewed.query}


def _choose(viewed: StreamView) -> None:
    """Which head, and which word of it."""
    stream.switches(viewed)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        controls.stepper(LAYER, viewed.n_layers - 1)
        controls.stepper(HEAD, viewed.n_heads - 1)
        names = [f"{visible(label)} ({i})" for i, label in enumerate(viewed.queries.labels)]
        controls.word_picker("asked_word", names, viewed.query, choose_word, width=160)


def _link(viewed: StreamView) -> None:
    """The link that covers the head, to copy and as a QR code for the projector."""
    state = viewed.page.state
    own = [] if viewed.reader.name == "self" else [("stream", viewed.reader.name), ("target", state["target"])]
    params = link_params("predict_first", *own, **_place(viewed))
    if any(
        len(str(value)) > settings().link_characters
        for value in (viewed.page.text, viewed.page.second, state["target"])
    ):
        widgets.note(WORDS.text("class.too_long"))
        return
    link = share.address_of("predict_first", "predict_first", params)
    share.copy_button("copy_class_link", link, WORDS.text("class.copy"))
    share.code(link)
    share.qr_code(link)


def _table(viewed: StreamView, asked: Question, read: Class, told: bool) -> None:
    """The class over the head as a table, which can be saved."""
    counts, n = read.counts(asked), len(read.paintings)
    columns = [Column(WORDS.text("class.painted"), counts, [f"{c} of {n}" for c in counts], "key", n)]
    caption = WORDS.text("class.says_before", query=asked.query, head=viewed.name, n=n)
    if told:
        caption = WORDS.text("class.says", query=asked.query, head=viewed.name, n=n)
        weights = Column(WORDS.text("class.weight"), asked.weights, [percent(float(w)) for w in asked.weights])
        columns.insert(0, weights)
    marks = {} if asked.asks is None else {asked.asks: ("query", WORDS.text("paint.asks"))}
    gallery.bars(WORDS.text("class.picture"), asked.labels, columns, caption, marks=marks)
