"""What stands around the eight steps: whose numbers, which head, the headline; afterwards the MLP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.figures.html.bar_table import Column
from attn_core.models.cards import card_of
from attn_core.models.catalogue import availability
from attn_core.residual import geometry
from attn_core.text.numbers import number, scientific
from attn_core.traces.parity import TOLERANCE, worst_of
from ui import words
from ui.drawing import controls, gallery, markup, widgets
from ui.param import choice, whole
from ui.shared_params import HEAD, KEY, LAYER, last_position
from ui.shell.badges import provenance
from ui.shell.menu import go
from ui.step_by_step import layout, strip
from ui.step_by_step.ablations import distances
from ui.step_by_step.layout import paragraph
from ui.step_by_step.pocket import editors
from ui.step_by_step.sentences_values import headline
from ui.step_by_step.subject import WINDOW, StepSubject

if TYPE_CHECKING:
    from ui.page import Page
    from ui.stream import StreamView

WORDS = words.beside(__file__)
DECODER = "tiny-decoder"
DECIDING_ADJECTIVE = "a hungry tall old fox"
WEIGHTS = choice(
    "weights",
    {"real": "toy, then a real head", "toy": "toy: change its numbers"},
    label="Whose numbers",
)
PARAMS = [WEIGHTS, KEY, whole("from", high=last_position, optional=True, in_caption=False)]


def lead(page: Page, subject: StepSubject, step: int | None) -> None:
    """What there is to see: of one step, in a sentence that gives no answer away; of all, where the word has looked."""
    widgets.lead(headline(subject) if step is None else WORDS.html("lead", str(step), word=subject.query_html))
    if subject.trace is None:
        widgets.under_lead(f"{provenance('toy')}{WORDS.html('start.whose_toy')}")
    elif step is None or step == strip.LAST:
        said = WORDS.html("start.whose", head=subject.head_name)
        widgets.under_lead(f"{page.badges(subject.trace)}{_walked(subject)}{said}")
    if step in (None, strip.FIRST):
        paragraph(WORDS.html("start.what_for"), soft=True)


def _walked(subject: StepSubject) -> str:
    """How far the steps, none of them left out, are from what left the model, as an HTML badge."""
    error = worst_of(distances(subject, subject.stages).values())
    assert error is not None
    kind = "same" if error <= TOLERANCE else "other"  # false of NaN
    return markup.badge(WORDS.text("start.walked", kind, error=scientific(error)), "ok" if kind == "same" else "bad")


def the_same(subject: StepSubject) -> None:
    """The line between the pocket-size head and the real one: the same step in the model."""
    said = WORDS.html("start.same", head=subject.head_name)
    st.html(f'<div class="hl-same">{said} {provenance("live")}</div>')


def whose(page: Page) -> None:
    """The switch between a head of the model and the pocket-size one, whose numbers can be reset."""
    controls.switch(WEIGHTS)
    if page.state["weights"] == "toy":
        st.button("Reset the numbers", on_click=editors.reset, key="toy_reset")


def which_head(viewed: StreamView) -> None:
    """Which layer and head of the model; the head that looks for adjectives is one click away."""
    controls.stepper(LAYER, viewed.n_layers - 1)
    controls.stepper(HEAD, viewed.n_heads - 1)
    if availability(DECODER)[0]:
        st.button(
            "The adjective head", on_click=_adjective_head, help=WORDS.text("start.adjective_head"), key="lessons_head"
        )


def _adjective_head() -> None:
    """Callback: the head that looks for the deciding adjective, on a sentence that has one."""
    layer, head = card_of(DECODER).best_head
    chosen = {
        "model": DECODER,
        "text": DECIDING_ADJECTIVE,
        "layer": layer,
        "head": head,
        "query": None,
        "key": None,
    }
    st.session_state.update(chosen)


def window(subject: StepSubject) -> None:
    """Which part of a long sentence is shown."""
    if len(subject.queries) > WINDOW:
        st.session_state["window"] = subject.window_start
        top = len(subject.queries) - WINDOW
        st.number_input(f"Show {WINDOW} tokens from", 0, top, key="window", step=32, on_change=_moved, width=190)


def _moved() -> None:
    """Callback: another part of a long sentence is shown."""
    st.session_state["from"] = st.session_state["window"]


def up_next(subject: StepSubject) -> None:
    """What attention does not do: the MLP's share of this layer's change."""
    with widgets.card("step_next"):
        layout.step_header(10, name="Up next: the other two thirds", mark="→")
        if subject.is_real:
            _attention_and_mlp(subject)
        paragraph(WORDS.html("next.what"))
        with st.container(key="page_links_next"):
            go("parameters", "See where the parameters are")


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
    names = [subject.query_name(subject.query), WORDS.text("next.mean", n=int(ordinary.sum()))]
    a, m = ([float(x[subject.query]), float(x[ordinary].mean())] for x in (by_attention, by_mlp))
    longest = max(*a, *m)
    columns = [
        Column("attention adds (length)", a, [number(x) for x in a], "delta", longest),
        Column("the MLP adds (length)", m, [number(x) for x in m], "plain", longest),
    ]
    paragraph(WORDS.html("next.layer", layer=subject.layer))
    gallery.bars("Attention's part beside the MLP's", names, columns, marks={0: ("query", "")})
