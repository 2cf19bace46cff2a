"""The page Study from top to bottom: the sentences, what is read of them, the cards, and what can be taken away."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st
from markupsafe import Markup

from attn_core.views.snippets import heads as snippets
from ui import words
from ui.drawing import controls, widgets
from ui.server import passes
from ui.shell.save_files import Numbers
from ui.stream import STREAM
from ui.study import cards, computing, inputs, reading
from ui.study.asked import Asked
from ui.study.cards import StudyView
from ui.study.computing import Read
from ui.study.params import ACROSS, MEASURE, UP

if TYPE_CHECKING:
    from ui.page import Page
    from ui.server.handles import ModelHandle, TraceHandle

WORDS = words.beside(__file__)


def draw(page: Page) -> None:
    """The whole page."""
    headline = st.container(gap=None)
    left, right = st.columns([44, 56], gap="medium")
    with left:
        asked = inputs.ask()
    with right:
        model = page.model()
        read = None if asked is None else computing.read(page, model, asked)
    if asked is None or read is None:
        with headline:
            widgets.lead(WORDS.html("lead.waiting"))
        page.offer_pictures(sentences=[])
        return
    stream = "self"
    if model.kind == "encoder-decoder":
        with right:
            stream = controls.switch(STREAM)
    shown = _shown(page, read, asked, stream)
    with right:
        cards.overview(shown)
    cards.below(shown)
    _offer(page, shown, asked)
    with headline:
        about = reading.about(read, page.entry.title, shown.frame, shown.rows)
        widgets.lead(_finding(shown), f"{page.badges(*_first(page, model, asked))}{about}")


def _finding(shown: StudyView) -> Markup:
    if shown.groups is None or shown.compared is None:
        return reading.headline(shown.rows, shown.measure)
    rows = reading.of_measure(shown.compared, shown.stream, shown.measure.name)
    return reading.differing(rows, shown.measure, shown.groups)


def _shown(page: Page, read: Read, asked: Asked, stream: str) -> StudyView:
    """What the cards look at; a measure that says nothing here gives way to one that does."""
    result, frame = read.result, read.result.frame()
    measures = tuple(reading.offered(result, stream))
    for param, instead in ((MEASURE, "previous"), (ACROSS, "sink"), (UP, "delta_share")):
        if st.session_state[param.name] not in measures:
            st.session_state[param.name] = instead if instead in measures else measures[0]
    _, layers, heads = next(own for own in result.about.layout.streams if own[0] == stream)
    groups = asked.groups if asked.groups and set(asked.groups) <= set(result.groups) else None
    return StudyView(
        page,
        result,
        frame,
        stream,
        measures,
        reading.measure(st.session_state[MEASURE.name], result),
        min(page.layer, layers - 1),
        min(page.head, heads - 1),
        groups,
        None if groups is None else result.compare(*groups),
    )


def _first(page: Page, model: ModelHandle, asked: Asked) -> list[TraceHandle]:
    """The trace of one sentence of the study, whose numbers are checked against the model's own."""
    translates = model.kind == "encoder-decoder"
    texts = (own.texts for own in asked.sentences if all(text.strip() for text in own.texts))
    first = next((own for own in texts if len(own) == 1 + translates), None)
    if first is None:
        return []
    with page.problems():
        return [passes.trace(model, first[0], **({"target": first[1]} if translates else {}))]


def _offer(page: Page, shown: StudyView, asked: Asked) -> None:
    """The page's end: its numbers, its pictures and the lines of Python that give them."""
    numbers = [Numbers(WORDS.text("list.file"), partial(shown.frame.to_csv, index=False))]
    if shown.compared is not None:
        numbers.append(Numbers(WORDS.text("groups.file"), partial(shown.compared.to_csv, index=False)))
    page.save_menu.add_views({}, *numbers)
    lines = snippets.study(
        page.model_name,
        [own.text for own in asked.sentences],
        [str(rule) for rule in asked.rules],
        [own.group for own in asked.sentences] if shown.groups else [],
        shown.groups,
        asked.python,
    )
    page.offer_pictures(f"head {shown.name}", sentences=[], lines=lines)
