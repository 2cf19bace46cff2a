"""The page's question, asked before the first number that answers it: which word will the followed one look at most?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from attn_core.figures.html.bar_table import Column, bars
from attn_core.text.decoding import with_name
from ui import words
from ui.drawing import widgets
from ui.param import flag, whole
from ui.shared_params import last_position
from ui.step_by_step.layout import paragraph
from ui.step_by_step.sentences_values import verdict
from ui.step_by_step.subject import StepSubject

WORDS = words.beside(__file__)
GUESS = whole("key_guess", high=last_position, optional=True, label="Your guess", in_caption=False)
TOLD = flag("guess_told", label="Show me", in_caption=False)
PARAMS = [GUESS, TOLD]
MOST_BLANKS = 14


def is_open(subject: StepSubject, view: Mapping[str, object]) -> bool:
    """Whether the question still waits for its answer."""
    return _guessed(subject, view) is None and not view[TOLD.name]


def _options(subject: StepSubject) -> list[int]:
    return [int(i) for i in np.flatnonzero(subject.stages.may_look[subject.query].numpy())]


def _guessed(subject: StepSubject, view: Mapping[str, object]) -> int | None:
    chosen = view[GUESS.name]
    return chosen if isinstance(chosen, int) and chosen in _options(subject) else None


def question(subject: StepSubject, view: Mapping[str, object], asks: bool) -> None:
    """The question, and once there is a guess what became of it; until then the picture below it is blank.

    Where all steps stand on one page nothing is asked (`asks`): only a guess that a link brought is answered.
    """
    guessed = _guessed(subject, view)
    if not asks and guessed is None:
        return
    with widgets.card("guess", WORDS.html("guess.question", word=subject.query_html)):
        left, right = st.columns([0.34, 0.66], gap="medium", vertical_alignment="center")
        with left:
            _choice(subject)
        with right:
            if guessed is not None:
                paragraph(verdict(subject, guessed))
            elif view[TOLD.name]:
                paragraph(WORDS.html("guess.told"), soft=True)
            else:
                st.button(TOLD.label, on_click=_tell, key="guess_tell", type="tertiary")
        if is_open(subject, view):
            _blank(subject)


def _choice(subject: StepSubject) -> None:
    st.selectbox(
        GUESS.label,
        _options(subject),
        format_func=lambda i: with_name(f"{i} {subject.key_name(i)}"),
        key=GUESS.name,
        placeholder="Guess a word",
        label_visibility="collapsed",
        index=None,
    )


def _tell() -> None:
    """Callback: the answer without a guess."""
    st.session_state[TOLD.name] = True


def ask_anew() -> None:
    """For callbacks: another word is followed, so the question is a new one."""
    st.session_state[GUESS.name], st.session_state[TOLD.name] = None, False


def ask_no_more() -> None:
    """For callbacks: another word is followed by somebody who sees its answer already."""
    st.session_state[GUESS.name], st.session_state[TOLD.name] = None, True


def _blank(subject: StepSubject) -> None:
    """The row of the followed word without its numbers."""
    names = [subject.key_name(i) for i in _options(subject)[:MOST_BLANKS]]
    title = WORDS.text("guess.column", word=subject.query_name(subject.query))
    st.html(bars(names, [Column(title, np.zeros(len(names)), ["?"] * len(names))], head="word"))
