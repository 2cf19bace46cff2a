"""What comes before the first step: whose numbers, the sentence that says what to see, the word to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from attn_core.models.catalogue import availability
from attn_core.text.numbers import percent
from attn_core.tiny.shipped import best_head
from attn_core.views.headlines import told_apart
from ui.drawing import widgets
from ui.page import provenance
from ui.step_by_step import toy as steps_toy
from ui.step_by_step.subject import WINDOW, Scene, Words

if TYPE_CHECKING:
    from ui.page import Page
    from ui.stream import StreamView

WHAT_FOR = (
    "A word means something else in other company: a creature may be fluffy, or blue. <b>Attention</b> is the part of "
    "a model in which words look at each other and take something from what they see. A <b>head</b> is one way of "
    "looking. This page follows one word through one head."
)
LESSONS_MODEL = "tiny-decoder"
LESSONS_SENTENCE = "a hungry tall old fox"
LESSONS_HEAD = "In our own small decoder one head learnt to look for the adjective that matters, at any distance."
STEPS = ("vectors", "query and key", "scores", "÷ √d", "mask", "softmax", "value", "ΔE")


def lead(page: Page, scene: Scene) -> None:
    """What there is to see, in one sentence that follows the data."""
    word = widgets.query(_told_apart(scene.queries)[scene.asks])
    widgets.lead(f"Eight steps take {word} from a word on its own to a word that {_has_looked(scene)}.")
    badges = page.badges(scene.trace) if scene.trace is not None else provenance("toy")
    whose = f"{scene.who[0].upper()}{scene.who[1:]}, computed below from its weights, each step from the one before."
    if scene.toy is not None:
        whose = (
            "A head made by hand for five words of its own, small enough to check on paper. Change any number below."
        )
    widgets.under_lead(badges + whose)


def _told_apart(words: Words) -> list[str]:
    return told_apart(words.labels, range(len(words)))


def _has_looked(scene: Scene) -> str:
    """Where the chosen word looks: mostly at special tokens or itself, or else at the one or two strongest others."""
    row = scene.stages.pattern[scene.asks].numpy()
    special = np.array(scene.keys.special)
    if row[special].sum() > 0.5:
        return f"mostly looked away: {percent(float(row[special].sum()))} of its attention rests on special tokens"
    if not scene.crosses and row[scene.asks] > 0.5:
        return f"mostly looked at itself ({percent(float(row[scene.asks]))})"
    others = [i for i in np.argsort(-row, kind="stable") if not special[i] and (scene.crosses or i != scene.asks)]
    strong = [i for i in others[:2] if row[i] >= 0.5 * row[others[0]]]
    names = _told_apart(scene.keys)
    named = " and ".join(f"{widgets.key(names[i])} ({percent(float(row[i]))})" for i in strong)
    return f"has looked at {named}"


def whose(page: Page) -> None:
    """Whose numbers: a head of the model, or the pocket-size one."""
    widgets.switch("Whose numbers", {"real": "a real head", "toy": "the pocket-size head (toy)"}, "weights")
    if page.state["weights"] == "toy":
        st.button("Reset the numbers", on_click=steps_toy.reset, key="toy_reset")


def which_head(viewed: StreamView) -> None:
    """Which layer and head of the model; the head that does what the lesson imagines is one click away."""
    widgets.stepper("Layer", "layer", viewed.n_layers - 1)
    widgets.stepper("Head", "head", viewed.n_heads - 1)
    if availability(LESSONS_MODEL)[0]:
        st.button("The lesson’s head", on_click=_lessons_head, help=LESSONS_HEAD, key="lessons_head")


def _lessons_head() -> None:
    """Callback: the head that looks for the deciding adjective, on a sentence that has one."""
    layer, head = best_head(LESSONS_MODEL)
    chosen = {
        "model": LESSONS_MODEL,
        "text": LESSONS_SENTENCE,
        "layer": layer,
        "head": head,
        "query": None,
        "key": None,
    }
    st.session_state.update(chosen)


def follow(scene: Scene) -> None:
    """The word that is followed, the part of a long sentence that is shown, and the steps as links."""
    st.session_state["follow"] = scene.asks
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="step_follow"):
        st.html('<span class="hl-try">Follow the word</span>', width="content")
        st.selectbox(
            "Follow the word",
            range(len(scene.queries)),
            format_func=lambda i: f"{i} {scene.query_name(i)}",
            key="follow",
            on_change=_followed,
            args=scene.chosen_by,
            label_visibility="collapsed",
            width=190,
        )
        if len(scene.queries) > WINDOW:
            st.session_state["window"] = scene.shown_from
            st.number_input(
                f"Show {WINDOW} tokens from",
                0,
                len(scene.queries) - WINDOW,
                key="window",
                step=32,
                on_change=_moved,
                width=190,
            )
    st.html(f'<div class="hl-says soft">{WHAT_FOR}</div>')
    links = [f'<a href="#step-{i}" target="_self"><b>{i}</b>{name}</a>' for i, name in enumerate(STEPS, start=1)]
    links.append('<a href="#step-9" target="_self"><b>✕</b>break it</a>')
    st.html(f'<nav class="hl-way" aria-label="Steps">{"".join(links)}</nav>')


def _moved() -> None:
    """Callback: another part of a long sentence is shown."""
    st.session_state["from"] = st.session_state["window"]


def _followed(query: str, key: str) -> None:
    """Callback: another word is followed; what was chosen for the last one is no choice for this one."""
    st.session_state["from"] = None
    st.session_state[query] = st.session_state["follow"]
    st.session_state[key] = st.session_state["guess"] = None
