"""Writing on, as a film: each written word with its best guesses, its row in the opened head, whom it looked at.

film.card(page, trace)                # one card, where the model wrote something; nothing else
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from attn_core.figures import scripts
from attn_core.figures.charts.heatmap import heatmap_spec
from attn_core.prediction.writing import LookedAt, WrittenStep, frame_of, looked_at, written_steps
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, unbroken
from attn_core.text.sentences import listed
from ui import words
from ui.all_heads import writing
from ui.drawing import events, gallery, widgets
from ui.drawing.component import component
from ui.drawing.events import Due
from ui.page import Page
from ui.param import whole
from ui.server import passes, shared

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace
    from ui.server.handles import TraceHandle

    Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

WORDS = words.beside(__file__)
FILM = whole("film", low=1, high=writing.MOST, label="Written word", in_caption=False)
PARAMS = [FILM]
GUESSES = 5
NAMED = 3  # words that the sentence names
FULL = 65_535  # a weight of 1 in the two bytes of a cell

_film = component("film", scripts.with_elements("film", "canvas/numbers.js"))


def card(page: Page, trace: TraceHandle) -> None:
    """The film of what the model wrote, and all of its rows at once."""
    film = writing.film_of(page, trace)
    if film is None:
        return
    same = film.ids == trace.tokens.ids
    with page.problems():
        own = trace if same else passes.trace(page.model(), film.ids)
    by_chance = page.state["draw"] == "chance"
    drawn = WORDS.html("film.drawn", seed=page.state["seed"]) if by_chance else WORDS.html("film.likeliest")
    notes = [drawn, "" if same else WORDS.html("film.other_tokens")]
    head = f"{page.layer}.{page.head}"
    with widgets.card("film", WORDS.html("film.card"), words.together(WORDS.html("film.hint", head=head), *notes)):
        _draw(page, own, film.first, head)
        _rows(page, own, film.first, head)


def _draw(page: Page, trace: TraceHandle, first: int, head: str) -> None:
    steps = shared.memoize(trace, _steps, first, page.state["temperature"], page.state["top_k"])
    names, frame = [visible(label) for label in trace.key_tokens.labels], frame_of(trace.tokens)
    labels = names[: len(frame)]  # without what stands for no word
    pattern = trace.pattern(page.layer, page.head)[first - 1 : -1]  # [written, key]

    def happened() -> None:
        due = {"step": Due(range(1, len(steps) + 1))}
        went = events.read(getattr(st.session_state.get("film_strip"), "went", None), due)
        if went is not None:
            st.session_state[FILM.name] = went["step"]

    data = {
        "id": "-".join(map(str, trace.tokens.ids)),
        "tokens": labels,
        "frame": [i for i, framed in enumerate(frame) if framed],
        "first": first,
        "step": min(page.state["film"], len(steps)),
        "rows": base64.b64encode(np.rint(pattern[:, : len(labels)] * FULL).astype("<u2").tobytes()).decode(),
        "steps": [
            _said(step, row, looked_at(row, frame, first, first - 1 + n), names, head)
            for n, (step, row) in enumerate(zip(steps, pattern, strict=True))
        ],
        "says": WORDS.table("film.says")
        | {
            "where": WORDS.text("film.where", n="{n}", all="{all}"),
            "word": WORDS.text("film.word", word="{word}"),
        },
    }
    with st.container(key="film"):
        _film(key="film_strip", data=data, on_went_change=happened)


def _steps(trace: Trace, first: int, temperature: float, top_k: int) -> list[WrittenStep]:
    return written_steps(trace.stream(), first, count=GUESSES, temperature=temperature, top_k=top_k)


def _said(step: WrittenStep, row: Floats, looked: LookedAt, labels: Sequence[str], head: str) -> dict[str, object]:
    """One written word for the script: a sentence as (text, role) pairs, guesses and parts as numbers with words."""
    word = visible(step.word.word)
    strongest = [int(key) for key in np.argsort(-row, kind="stable")[:NAMED] if row[key] >= 0.01]
    weights = {key: unbroken(percent(float(row[key]))) for key in strongest}
    keys = [WORDS.parts("film.key", key=(labels[key], "key"), weight=weight) for key, weight in weights.items()]
    reads = WORDS.parts("film.reads", word=(word, "query"), head=head, keys=listed(keys, ", "))
    rank = WORDS.text("film.rank", "one" if step.rank == 1 else "many", n=step.rank)
    guesses = [(visible(guess.word), guess.probability, guess.id == step.word.id) for guess in step.guesses]
    if not any(chosen for *_, chosen in guesses):
        guesses.append((word, step.word.probability, True))
    ratio = looked.lookback
    return {
        "reads": reads,
        "guesses": [
            {"word": name, "share": share, "says": percent(share), "why": rank if chosen else ""}
            for name, share, chosen in guesses
        ],
        "parts": [[share, percent(share)] for share in looked[:3]],
        "lookback": WORDS.text("film.lookback", "none" if ratio is None else "ratio", ratio=f"{ratio or 0:.2f}"),
    }


def _rows(page: Page, trace: TraceHandle, first: int, head: str) -> None:
    """Where the head looked at each step of writing, one row a step, named by the word that was written."""
    labels, rows = trace.tokens.labels, range(first - 1, len(trace.tokens) - 1)
    widgets.heading(WORDS.html("film.steps.title", head=head), WORDS.html("film.steps.hint"))
    figure = partial(
        heatmap_spec,
        trace.pattern(page.layer, page.head)[rows.start : rows.stop],  # [written, key]
        [labels[row + 1] for row in rows],
        trace.key_tokens.labels,
        head=head,
        masked=~trace.may_look(page.layer)[rows.start : rows.stop],
        query_positions=list(rows),
        key_special=trace.key_tokens.special,
        selected_query=min(page.state["film"], len(rows)) - 1,
    )
    gallery.plot(
        "Where it looked, word by word",
        figure,
        key="next_steps",
        alt=WORDS.text("film.steps.alt", head=head),
        says=WORDS.text("film.steps.caption", head=head),
    )
