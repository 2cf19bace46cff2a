"""What a pupil has: the covered head, words to paint, the code of the painting, and what was right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from attn_core.figures.html.bar_table import Column
from attn_core.text.numbers import percent
from ui import stream, words
from ui.drawing import canvas, gallery, markup, widgets
from ui.param import Earlier, flag
from ui.predict_first import painting, question
from ui.predict_first.code import MOST
from ui.predict_first.painting import PAINTED, UNCOVERED
from ui.shell import share
from ui.shell.menu import ROOT, go
from ui.stream_links import links_elsewhere

if TYPE_CHECKING:
    from ui.predict_first.code import Painting
    from ui.predict_first.question import Question
    from ui.stream import StreamView

WORDS = words.beside(__file__)
TEACHER = flag("teacher", in_caption=False)
PARAMS = [*stream.PARAMS, TEACHER, PAINTED, UNCOVERED]


def is_for_teacher(state: Earlier) -> bool:
    """Whether the page stands on the projector: with sentence and model, the class's link and its codes."""
    return bool(state[TEACHER.name])


def asked_of(viewed: StreamView) -> Question:
    """The question of the opened head and the followed word."""
    return question.ask(viewed.reader, viewed.layer, viewed.head, viewed.query, viewed.page.model_name)


def show(viewed: StreamView) -> None:
    """One question for one pupil."""
    asked = asked_of(viewed)
    painted, told = asked.allowed(viewed.page.state[PAINTED.name]), bool(viewed.page.state[UNCOVERED.name])
    headline(viewed, asked, told)
    query = markup.query(asked.query)
    title = WORDS.html("card.told", query=query) if told else WORDS.html("card.paint", query=query)
    with widgets.card("paint", title, _hint(asked, told)):
        painting.draw(asked, painted, told)
        _buttons(painted, told)
        if told:
            widgets.reading(question.result(asked, painted))
    if painted:
        with widgets.card("code", WORDS.html("card.code"), WORDS.html("card.code_hint")):
            code = asked.code(painted)
            st.html(f'<output class="hl-code" aria-label="{WORDS.text("card.code")}">{code}</output>')
            share.copy_button("copy_code", code, WORDS.text("copy.label"))
    if told:
        whole_head(viewed, asked, painted)
    with st.container(key="page_links_teacher"):
        go("predict_first", WORDS.text("buttons.teacher"), TEACHER.set(True), PAINTED.set(()), UNCOVERED.set(False))
    viewed.page.offer_pictures(f"head {viewed.name}", viewed.word)


def headline(viewed: StreamView, asked: Question, told: bool) -> None:
    """The question or, when it is uncovered, its answer; and where the numbers come from."""
    st.html(ROOT / "assets" / "css" / "steps.css")  # for the table of bars
    query, badges = markup.query(asked.query), viewed.page.badges(viewed.trace)
    if not told:
        widgets.lead(WORDS.html("lead.ask", query=query, head=viewed.name), badges)
        return
    key, weight = question.strongest(asked)
    widgets.lead(WORDS.html("lead.told", query=query, head=viewed.name, key=key, share=weight), badges)


def whole_head(viewed: StreamView, asked: Question, painted: Painting) -> None:
    """The head that was covered, all of it; and its row as numbers."""
    row = viewed.query
    marks = {at: ("key", WORDS.text("paint.painted")) for at in painted}
    says = WORDS.text("caption.told", query=asked.query, head=viewed.name)
    with widgets.card("head", WORDS.html("card.head", head=viewed.name), _head_hint(viewed)):
        canvas.panels(
            question.pattern_packet(viewed.reader, viewed.layer, viewed.head),
            key="uncovered_head",
            picture=WORDS.text("card.head", head=viewed.name),
            says=says,
            query=row,
            painted=[(row, at) for at in painted],
        )
        widgets.heading(WORDS.html("card.table"))
        shares = [percent(float(w)) if i in asked.open else "–" for i, w in enumerate(asked.weights)]
        column = Column(WORDS.text("class.weight"), asked.weights, shares)
        gallery.bars(WORDS.text("card.table"), asked.labels, [column], says, marks=marks)
        links_elsewhere(viewed, row, "all_heads", "step_by_step", "delta_e", "why_there")
    stream.offer_stream(viewed)


def _head_hint(viewed: StreamView) -> str:
    said = WORDS.html("card.head_hint", query=markup.query(question.name_of(viewed.reader, viewed.query)))
    return words.together(said, stream.row_names(viewed))


def _hint(asked: Question, told: bool) -> str:
    if told:
        return WORDS.html("card.told_hint")
    return WORDS.html("card.paint_hint", query=asked.query, most=MOST)


def _set(**values: object) -> None:
    st.session_state.update(values)


def _buttons(painted: Painting, told: bool) -> None:
    """Uncover, or cover again; wipe what was painted."""
    with st.container(horizontal=True, gap="small", key="predict_buttons"):
        st.button(
            WORDS.text("buttons", "cover" if told else "uncover"), key="predict_uncover",
            type="secondary" if told else "primary", on_click=_set, kwargs={UNCOVERED.name: not told},
        )  # fmt: skip
        if painted and not told:
            st.button(WORDS.text("buttons.wipe"), key="predict_wipe", on_click=_set, kwargs={PAINTED.name: ()})
