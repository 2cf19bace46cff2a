"""A sentence read as a chat: its turns, each a role and what it says, in the place of the sentence's box.

The words of one turn are the sentence itself, in its own box, so that nothing is lost where it is read as typed again.
The other turns stand in the link's `turns`; every change of them can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from attn_core.text.chat import ROLES, Turns, parse_turns, turns_in_link
from ui import link, words
from ui.drawing import controls
from ui.param import Param
from ui.shared_params import MOST_TURNS, TURNS

WORDS = words.beside(__file__)
MOST_UNDONE = 30  # changes that can be undone
_BEFORE = "turns_before"  # in the session: (sentence, turns) before each change

Then = Callable[[], None]  # what another conversation does to the page


def draw(sentence: Param, roles: Sequence[str], then: Then) -> None:
    """Every turn with its role and its words, and buttons to add one and to undo; `then` follows each change."""
    turns = _turns()
    for i, (role, said) in enumerate(turns):
        with st.container(key=f"turn_{i}", horizontal=True, gap="xsmall", vertical_alignment="center"):
            _role(i, role, roles, then)
            if said is None:
                changed = partial(_sentence_typed, then)
                controls.sentence(sentence, WORDS.text("turns.type", role), on_change=changed)
            else:
                _words(i, role, said, then)
    with st.container(key="turn_buttons", horizontal=True, gap="xsmall"):
        full = len(turns) >= MOST_TURNS
        why = WORDS.text("turns.full", most=MOST_TURNS) if full else WORDS.text("turns.add_why")
        st.button(WORDS.text("turns.add"), key="turn_add", on_click=_add, args=(then,), disabled=full, help=why)
        if st.session_state.get(_BEFORE):
            st.button(WORDS.text("turns.undo"), key="turn_undo", on_click=_undo, args=(sentence.name, then))


def remember() -> None:
    """For callbacks, before the conversation that was shown is replaced: Undo brings it back."""
    shown = link.current()
    if shown is not None and TURNS.name in shown:
        before = [*st.session_state.get(_BEFORE, ()), (str(shown["text"]), str(shown[TURNS.name]))]
        st.session_state[_BEFORE] = before[-MOST_UNDONE:]


def _turns() -> Turns:
    return parse_turns(st.session_state[TURNS.name], MOST_TURNS)


def _role(i: int, role: str, roles: Sequence[str], then: Then) -> None:
    """The role as chips; one that the model's template refuses is offered only where a link says it."""
    offered = [each for each in ROLES if each in roles or each == role]
    key = f"turn_role_{i}"
    st.session_state[key] = role
    st.segmented_control(
        WORDS.text("turns.role", n=i + 1),
        offered,
        key=key,
        required=True,
        label_visibility="collapsed",
        on_change=_role_chosen,
        args=(i, then),
    )


def _words(i: int, role: str, said: str, then: Then) -> None:
    """What another turn says, and a button that takes it out."""
    own = Param(f"turn_text_{i}", "", lambda raw, _: raw, label=WORDS.text("turns.words", n=i + 1, role=role))
    st.session_state[own.name] = said
    controls.sentence(own, WORDS.text("turns.type", role), on_change=partial(_typed, i, then))
    st.button(
        WORDS.text("turns.gone"),
        key=f"turn_gone_{i}",
        on_click=_remove,
        args=(i, then),
        help=WORDS.text("turns.remove", n=i + 1),
    )


def _change(turns: Turns, then: Then) -> None:
    remember()
    st.session_state[TURNS.name] = turns_in_link(turns)
    then()


def _sentence_typed(then: Then) -> None:
    remember()
    then()


def _typed(i: int, then: Then) -> None:
    turns = list(_turns())
    turns[i] = (turns[i][0], str(st.session_state.get(f"turn_text_{i}") or ""))
    _change(tuple(turns), then)


def _role_chosen(i: int, then: Then) -> None:
    role, turns = st.session_state.get(f"turn_role_{i}"), list(_turns())
    if role in ROLES:
        turns[i] = (role, turns[i][1])
        _change(tuple(turns), then)


def _add(then: Then) -> None:
    """One more turn: the assistant answers a user, and a user comes after everybody else."""
    turns = _turns()
    if len(turns) < MOST_TURNS:
        _change((*turns, ("assistant" if turns[-1][0] == "user" else "user", "")), then)


def _remove(i: int, then: Then) -> None:
    turns = _turns()
    _change((*turns[:i], *turns[i + 1 :]), then)


def _undo(sentence: str, then: Then) -> None:
    *before, (text, turns) = st.session_state[_BEFORE]
    st.session_state[_BEFORE], st.session_state[sentence], st.session_state[TURNS.name] = before, text, turns
    then()
