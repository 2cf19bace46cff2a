"""The page Why there?, seen as the flow behind one word, or behind the next one: from which input words it came."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from attn_core.figures.circuits.flow import flow_lines
from attn_core.figures.html.bar_table import Column
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from attn_core.views.snippets import circuits as snippets
from ui import stream, words
from ui.drawing import controls, gallery, markup, widgets
from ui.param import choice, whole
from ui.server import budget, derived
from ui.shell import save_files
from ui.shell.folds import fold
from ui.shell.progress import announced
from ui.stream_links import choose_word, links_elsewhere
from ui.why_there import taken_out
from ui.why_there.flow import OFFERED, AskedFlow, flows_of, offered_words
from ui.why_there.flow_picture import FlowPicture

if TYPE_CHECKING:
    from collections.abc import Callable

    from ui.page import Page
    from ui.stream import StreamView

WORDS = words.beside(__file__, "flow.toml")
FLOW = choice("flow", WORDS.table("measures"), label="Measure")
TOP = choice("top", WORDS.table("tops"), label="On top")
NTH = whole("nth", low=1, high=OFFERED, default=1, label="Next word")
PARAMS = [FLOW, TOP, NTH]
COST = 16  # passes' worth of work for each token squared


def draw(page: Page, draw_switch: Callable[[], object]) -> None:
    """All of it; `draw_switch` draws the switch between score, flow and card."""
    headline = st.container(gap=None)
    viewed = stream.of(page).without(page.state["off"], page.state["parts_off"])
    pickers = st.container(horizontal=True, gap="small", vertical_alignment="center", key="pickers")
    with pickers:
        draw_switch()
        names = [f"{visible(label)} ({i})" for i, label in enumerate(viewed.queries.labels)]
        controls.word_picker("asking", names, viewed.query, choose_word, label="The word")
        measure = controls.switch(FLOW)
    taken_out.switched_off(viewed)
    stream.switches(viewed)
    most = budget.fitting([(len(viewed.queries), COST)])
    if most is not None:
        with headline:
            widgets.note(WORDS.text("page.too_long", tokens=most))
        return
    _followed(viewed)
    with pickers:
        asked = AskedFlow(viewed, measure, _nth(viewed))
    with page.problems():
        asked.shares  # noqa: B018
    with headline:
        badges = page.badges(viewed.trace, derived=derived.of_changes(viewed.model, viewed.trace))
        widgets.lead(asked.headline(), f"{badges}{WORDS.html('page.sub', asked.top)}")
    with widgets.card("flow", _title(asked), WORDS.html("picture.hint", asked.top)):
        drawn = FlowPicture(asked)
        _picture(drawn)
        widgets.number_row(asked.numbers())
        places = partial(widgets.table, drawn.table(), hide_index=True)
        fold(WORDS.text("picture.places"), "numbers_places", places)
    hint = WORDS.html("words.hint", asked.top, word=asked.word, next=asked.following)
    with widgets.card("words", WORDS.html("words.title"), hint):
        _words(asked)
        fold(WORDS.text("picture.fold"), "numbers_flow", partial(widgets.table, asked.table(), hide_index=True))
        links_elsewhere(viewed, viewed.query, "all_heads", "delta_e")
    _offer(asked)


def _followed(viewed: StreamView) -> None:
    """Compute all measures once for everybody, and say how far that is where it takes a while."""
    with viewed.page.problems(), announced(WORDS.text("page.following")) as told:
        flows_of(viewed, told)


def _nth(viewed: StreamView) -> int | None:
    """Which next word is on top, chosen where the model predicts one; None: the word itself."""
    offered = offered_words(viewed)
    if not offered or controls.switch(TOP) == "word":
        return None
    names = [f"{visible(found.word)} ({percent(found.probability)})" for found in offered]
    if st.session_state[NTH.name] > len(offered):
        st.session_state[NTH.name] = 1
    return controls.pick(NTH, range(1, len(offered) + 1), lambda n: names[n - 1], width=170)


def _title(asked: AskedFlow) -> str:
    following = markup.key(asked.following)
    return WORDS.html("picture.title", asked.top, word=markup.query(asked.word), next=following)


def _about(asked: AskedFlow) -> str:
    """What captions name."""
    following = asked.following
    return WORDS.text("words.logit_of", next=following, word=asked.word) if following else asked.word


def _picture(drawn: FlowPicture) -> None:
    asked = drawn.asked
    names = asked.names[: len(asked.viewed.queries) + 1]
    figure = partial(
        flow_lines,
        names,
        drawn.lines,
        drawn.points,
        asked.viewed.n_layers,
        asked.viewed.query,
        next_word=asked.following or None,
    )
    says, alt = (
        WORDS.text("picture.caption", word=_about(asked), measure=FLOW.options[asked.measure]),
        WORDS.text("picture.alt", word=asked.word),
    )
    gallery.plot(WORDS.text("picture.name"), figure, key="flow_picture", alt=alt, says=says)


def _words(asked: AskedFlow) -> None:
    if asked.undefined:
        return
    said = [asked.said(float(part)) for part in asked.own]
    column = Column(WORDS.text("words.column", asked.top), asked.own, said, "delta" if asked.logits else "key")
    says = WORDS.text("words.caption", word=_about(asked), measure=FLOW.options[asked.measure])
    gallery.bars(WORDS.text("words.title"), asked.names, [column], says=says)


def _offer(asked: AskedFlow) -> None:
    """The page's end: its pictures, its numbers and its lines of Python."""
    viewed, table = asked.viewed, asked.table()
    numbers = save_files.Numbers(WORDS.text("numbers.file", word=asked.word), lambda: table.to_csv(index=False))
    lines_of = save_files.Numbers(WORDS.text("numbers.lines_file", word=asked.word), partial(_lines_of, asked))
    stream.offer_stream(viewed, viewed.query, numbers, lines_of)
    word = None if asked.next_word is None else asked.next_word.id
    lines = snippets.flow(viewed.trace, viewed.reader.name, viewed.query, asked.measure, word)
    viewed.page.offer_pictures(_about(asked), lines=lines)


def _lines_of(asked: AskedFlow) -> str:
    """The picture's lines as a file."""
    return FlowPicture(asked).table().to_csv(index=False)
