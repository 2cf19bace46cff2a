"""What stands around the eight steps: whose numbers, the headline, the word to follow; afterwards the MLP."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.figures.html.bar_table import Column
from attn_core.models.cards import card_of
from attn_core.models.catalogue import availability
from attn_core.residual import geometry
from ui import words
from ui.drawing import controls, gallery, widgets
from ui.page import provenance
from ui.param import choice, whole
from ui.shared_params import HEAD, KEY, LAYER, last_position
from ui.shell.menu import go
from ui.step_by_step import layout, toy
from ui.step_by_step.layout import paragraph
from ui.step_by_step.numbers import number
from ui.step_by_step.sentences_values import headline
from ui.step_by_step.subject import WINDOW, StepSubject

if TYPE_CHECKING:
    from ui.page import Page
    from ui.stream import StreamView

WORDS = words.beside(__file__)
FOLLOW = "Follow the word"
LESSONS_MODEL = "tiny-decoder"
LESSONS_SENTENCE = "a hungry tall old fox"
WEIGHTS = choice("weights", {"real": "a real head", "toy": "the pocket-size head (toy)"}, label="Whose numbers")
PARAMS = [WEIGHTS, KEY, whole("from", high=last_position, optional=True, in_caption=False)]
STEPS = ("vectors", "query and key", "scores", "÷ √d", "mask", "softmax", "value", "ΔE")


def lead(page: Page, subject: StepSubject) -> None:
    """What there is to see, in one sentence that follows the data."""
    widgets.lead(headline(subject))
    if subject.trace is None:
        widgets.under_lead(f"{provenance('toy')}{WORDS.html('start.whose_toy')}")
    else:
        said = WORDS.html("start.whose", head=subject.head_name)
        widgets.under_lead(f"{page.badges(subject.trace)}{said}")


def whose(page: Page) -> None:
    """Whose numbers: a head of the model, or the pocket-size one."""
    controls.switch(WEIGHTS)
    if page.state["weights"] == "toy":
        st.button("Reset the numbers", on_click=toy.reset, key="toy_reset")


def which_head(viewed: StreamView) -> None:
    """Which layer and head of the model; the head that does what the lesson imagines is one click away."""
    controls.stepper(LAYER, viewed.n_layers - 1)
    controls.stepper(HEAD, viewed.n_heads - 1)
    if availability(LESSONS_MODEL)[0]:
        st.button(
            "The lesson’s head", on_click=_lessons_head, help=WORDS.text("start.lessons_head"), key="lessons_head"
        )


def _lessons_head() -> None:
    """Callback: the head that looks for the deciding adjective, on a sentence that has one."""
    layer, head = card_of(LESSONS_MODEL).best_head
    chosen = {
        "model": LESSONS_MODEL,
        "text": LESSONS_SENTENCE,
        "layer": layer,
        "head": head,
        "query": None,
        "key": None,
    }
    st.session_state.update(chosen)


def follow(subject: StepSubject) -> None:
    """The word that is followed, the part of a long sentence that is shown, and the steps as links."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="step_follow"):
        st.html(f'<span class="hl-try">{FOLLOW}</span>', width="content")
        names = [f"{i} {subject.query_name(i)}" for i in range(len(subject.queries))]
        controls.word_picker("follow", names, subject.query, partial(_followed, subject.link_names), label=FOLLOW)
        if len(subject.queries) > WINDOW:
            st.session_state["window"] = subject.window_start
            st.number_input(
                f"Show {WINDOW} tokens from",
                0,
                len(subject.queries) - WINDOW,
                key="window",
                step=32,
                on_change=_moved,
                width=190,
            )
    layout.paragraph(WORDS.html("start.what_for"), soft=True)
    links = [f'<a href="#step-{i}" target="_self"><b>{i}</b>{name}</a>' for i, name in enumerate(STEPS, start=1)]
    links.append('<a href="#step-9" target="_self"><b>✕</b>break it</a>')
    st.html(f'<nav class="hl-way" aria-label="Steps">{"".join(links)}</nav>')


def _moved() -> None:
    """Callback: another part of a long sentence is shown."""
    st.session_state["from"] = st.session_state["window"]


def _followed(link_names: tuple[str, str], position: int) -> None:
    """Callback: another word is followed; what was chosen for the last one is no choice for this one."""
    query, key = link_names
    st.session_state["from"] = None
    st.session_state[query] = position
    st.session_state[key] = st.session_state["key_guess"] = None


def up_next(subject: StepSubject) -> None:
    """What attention does not do: the MLP's share of this layer's change."""
    with widgets.card("step_next"):
        layout.step_header(10, name="Up next: the other two thirds", mark="→")
        if subject.is_real:
            _attention_and_mlp(subject)
        paragraph(WORDS.html("next.what"))
        go("parameters", "See where the parameters are →")


def _attention_and_mlp(subject: StepSubject) -> None:
    reader = subject.reader
    assert reader is not None
    try:
        by_attention = geometry.norm(reader.attention_added(subject.layer))
        by_mlp = geometry.norm(reader.mlp_added(subject.layer))
    except HeadlightError as error:
        paragraph(str(error), soft=True)
        return
    ordinary = ~np.array(subject.queries.special)
    names = [subject.query_name(subject.query), f"mean of all {int(ordinary.sum())} words"]
    a, m = ([float(x[subject.query]), float(x[ordinary].mean())] for x in (by_attention, by_mlp))
    longest = max(*a, *m)
    columns = [
        Column("attention adds (length)", a, [number(x) for x in a], "delta", longest),
        Column("the MLP adds (length)", m, [number(x) for x in m], "plain", longest),
    ]
    paragraph(WORDS.html("next.layer", layer=subject.layer))
    gallery.bars("Attention's part beside the MLP's", names, columns, marks={0: ("query", "")})
