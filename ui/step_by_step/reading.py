"""From the page's link to a `StepSubject`, and back: which head, which words, which part of a long sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
import torch

from attn_core.residual.input_parts import InputParts, input_parts
from attn_core.views.snippets import heads as snippets
from attn_core.walkthrough import toy
from attn_core.walkthrough.from_trace import from_trace
from attn_core.walkthrough.toy import Toy
from ui.server import shared
from ui.step_by_step.guess import ask_anew, ask_no_more
from ui.step_by_step.subject import WINDOW, StepSubject, Words

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace
    from ui.page import Page
    from ui.server.handles import ModelHandle
    from ui.stream import StreamView


def subject_from_model(page: Page, viewed: StreamView) -> StepSubject:
    """The head that the link names, of the model and sentence that it names."""
    trace, layer, head = viewed.trace, viewed.layer, viewed.head
    queries = Words(viewed.queries.labels, viewed.queries.special)
    keys = Words(viewed.keys.labels, viewed.keys.special)
    query = viewed.query
    return StepSubject(
        inputs=from_trace(viewed.reader, layer, head, retrace=lambda ids: page.trace(ids)),
        queries=queries,
        keys=keys,
        query=query,
        chosen_key=page.state["key"],
        window_start=_shown_from(page, len(queries), query),
        head_name=f"head {layer}.{head}",
        embedding=viewed.reader.embedding(layer),
        find_parts=lambda: _parts(viewed),
        trace=trace,
        layer=layer,
        head=head,
        stream_name=viewed.stream,
    )


def offer_pictures(page: Page, subject: StepSubject) -> None:
    """The page's end: every step's picture can be saved, and the lines that walk the same steps copied."""
    word = f"{subject.query_name(subject.query)} (token {subject.query})"
    if subject.trace is None:
        page.offer_pictures(subject.head_name, word, sentences=[" ".join(subject.queries.labels)], model="toy")
        return
    lines = snippets.steps(subject.trace, subject.stream, subject.layer, subject.head, subject.query)
    page.offer_pictures(subject.head_name, word, pattern_first=True, lines=lines)


def subject_from_toy(page: Page, numbers: Toy) -> StepSubject:
    """The pocket-size head, with the numbers that the visitor has given it."""
    words = Words(toy.WORDS, [False] * len(toy.WORDS))
    return StepSubject(
        inputs=numbers.inputs(),
        queries=words,
        keys=words,
        query=page.state["toy_word"],
        chosen_key=page.state["toy_answer"],
        link_names=("toy_word", "toy_answer"),
        head_name="the pocket-size head",
        embedding=numbers.embedding.numpy(),
        find_parts=lambda: InputParts(numbers.tokens, 1.0, numbers.places, None, numbers.embedding, ()),
        toy=numbers,
        meanings=toy.MEANINGS,
    )


def follow(link_names: tuple[str, str], position: int) -> None:
    """Callback: another word is followed; what was chosen and guessed for the last one is nothing for this one."""
    of_query, of_key = link_names
    st.session_state["from"] = None
    st.session_state[of_query] = position
    st.session_state[of_key] = None
    ask_anew()


def pick(subject: StepSubject, query: int | None = None, key: int | None = None) -> None:
    """Callback: choose a word, or two; positions are counted within the window."""
    of_query, of_key = subject.link_names
    if query is not None:
        if query + subject.q_window.start != subject.query:
            ask_no_more()  # whoever can click on a cell has seen the numbers of every word
        st.session_state[of_query] = query + subject.q_window.start
        st.session_state[of_key] = None
    st.session_state["from"] = subject.window_start  # what is looked at stays where it is
    if key is not None:
        st.session_state[of_key] = key + subject.k_window.start


def _shown_from(page: Page, n_tokens: int, query: int) -> int:
    """Where the window on a long sentence begins: where the link says, or so that the chosen word is inside."""
    wanted = page.state["from"]
    if wanted is None:
        wanted = 0 if query < WINDOW else query - WINDOW // 2
    return int(max(0, min(wanted, n_tokens - WINDOW)))


def _parts(viewed: StreamView) -> InputParts | None:
    """How E was made; found once for a sentence, since it tries what fits."""
    stream = "decoder" if viewed.stream == "cross" else viewed.stream
    return shared.memoize(viewed.trace, _input_parts, viewed.model, stream)


def _input_parts(trace: Trace, model: ModelHandle, stream: str) -> InputParts | None:
    reader = trace.stream(stream)
    return input_parts(model.hf, reader.tokens.ids, torch.from_numpy(reader.embedding(0)), reader.tokens.types)
