"""The strip that stays: the sentence with its followed word, the head, and the map of the eight steps, one of them lit.

A click on the map, an arrow key or a swipe leads to another step; a click on a word follows it. The link says the
step; a link from before there were steps opens at the step that it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import streamlit as st

from attn_core.figures import scripts
from ui import words
from ui.drawing import events
from ui.drawing.component import component
from ui.drawing.events import Due
from ui.link import LinkState, settle
from ui.param import flag, whole
from ui.step_by_step.ablations import BREAKS, STEP_OF
from ui.step_by_step.subject import StepSubject

WORDS = words.beside(__file__)
FIRST, SCORES, LAST = 1, 3, 8  # SCORES: the first step whose numbers answer the page's question
NAMES = WORDS.table("strip.names")
SHORT = WORDS.table("strip.short")


def _step_of_an_old_link(earlier: Mapping[str, object]) -> int:
    """Where a link that names no step belongs: at what it breaks, else at its guess, else at the start."""
    broken = earlier[BREAKS.name]
    if isinstance(broken, list) and broken:
        return STEP_OF[broken[0]]
    return FIRST if earlier["key_guess"] is None else SCORES


STEP = whole("step", low=FIRST, high=LAST, default=_step_of_an_old_link, label="Step", in_caption=False)
ALL = flag(
    "all_steps", label="All on one page", help=WORDS.text("strip_switch.why"),
    in_caption=False,
)  # fmt: skip
PARAMS = [STEP, ALL]  # behind the parameters that an old link's step depends on

_strip = component("step_strip", scripts.with_elements("step_strip"))


def keep(state: LinkState) -> None:
    """Let the link say the step that an old link led to: it stays when what it depends on is changed."""
    if state["step"] != FIRST:
        settle(state, STEP.name, state["step"])


def go_to(step: int) -> None:
    """Callback: another step."""
    st.session_state[STEP.name] = min(max(step, FIRST), LAST)


def strip(subject: StepSubject, step: int, all_steps: bool, shows_key: bool, follow: Callable[[int], None]) -> None:
    """Draw the strip. `shows_key`: whether the chosen key is marked in the sentence, or would give an answer away."""
    window = subject.q_window
    shown = range(window.start, min(window.stop, len(subject.queries)))

    def happened() -> None:
        told = st.session_state.get("step_map")
        went = events.read(getattr(told, "went", None), {"step": Due(range(FIRST, LAST + 1))})
        followed = events.read(getattr(told, "followed", None), {"word": Due(shown)})
        if went is not None:
            go_to(went["step"])
        if followed is not None:
            follow(followed["word"])

    key = subject.key if shows_key and not subject.crosses else None
    steps = [{"name": NAMES[str(i)], "short": SHORT[str(i)]} for i in range(FIRST, LAST + 1)]
    data = {
        "words": [_word(i, subject, key) for i in shown],
        "head": subject.head_name,
        "steps": steps,
        "step": step,
        "all": all_steps,
        "says": _says(step),
    }
    with st.container(key="step_strip"):
        _strip(key="step_map", data=data, on_went_change=happened, on_followed_change=happened)


def _says(step: int) -> dict[str, str]:
    """What the strip's script says; it fills the slots itself."""
    return {
        "sentence": WORDS.text("strip.says.sentence"),
        "follow": WORDS.text("strip.says.follow", word="{word}"),
        "part": WORDS.text("strip.says.part", number="{number}", name="{name}"),
        "branch": WORDS.text("strip.says.branch"),
        "map": WORDS.text("strip.says.map"),
        "before": WORDS.text("strip.says.before"),
        "next": WORDS.text("strip.says.next"),
        "all": WORDS.text("strip.says.all"),
        "where": WORDS.text("strip.says.where", step=step, last=LAST, name="{name}"),
    }


def _word(i: int, subject: StepSubject, key: int | None) -> dict[str, object]:
    """A word of the sentence as the strip draws it."""
    special = bool(subject.queries.special[i])
    return {"at": i, "text": subject.query_name(i), "special": special, "role": _role(i, subject, key)}


def _role(i: int, subject: StepSubject, key: int | None) -> str:
    return "query" if i == subject.query else "key" if i == key else ""


def onward(step: int) -> None:
    """Below a step: the way to the next one, and back."""
    with st.container(horizontal=True, gap="small", key="step_onward", horizontal_alignment="distribute"):
        before, after = step - 1, step + 1
        if before >= FIRST:
            name = f"‹ {before} · {NAMES[str(before)]}"
            st.button(name, key="step_before", on_click=partial(go_to, before))
        if after <= LAST:
            name = f"{after} · {NAMES[str(after)]} ›"
            st.button(name, key="step_after", on_click=partial(go_to, after), type="primary")
