"""A step of the training in numbers and sentences: a head then and at the end, its skills. No Streamlit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from attn_core.figures.canvas.panels import pack_panels
from attn_core.models.cards import card_of
from attn_core.models.history import TrainingHistory, history_of
from attn_core.text.numbers import percent
from ui import words
from ui.drawing import markup
from ui.drawing.head_panel import head_panel

if TYPE_CHECKING:
    from attn_core.traces.stream import StreamTrace

WORDS = words.beside(__file__)
MODEL = "tiny-decoder"
LAYER, HEAD = card_of(MODEL).best_head  # finds the adjective that decides the verb
NAME = f"{LAYER}.{HEAD}"


def history() -> TrainingHistory:
    return history_of(MODEL)


def step_name(at: int) -> str:
    return f"{history().steps[at]:,}"


def headline(now: StreamTrace, end: StreamTrace, query: int, at: int) -> Markup:
    """How much the head gave, at this step, to the word that it looks at most in the end, as HTML."""
    labels = end.tokens.labels
    key = int(np.argmax(end.pattern(LAYER, HEAD)[query]))
    share, later = (percent(float(each.pattern(LAYER, HEAD)[query, key])) for each in (now, end))
    return WORDS.html(
        "lead",
        _when(at),
        steps=step_name(at),
        last=step_name(-1),
        query=markup.query(markup.token_name(labels, query)),
        key=markup.key(markup.token_name(labels, key)),
        head=NAME,
        share=share,
        later=later,
    )


def _when(at: int) -> str:
    """Which sentence fits a step."""
    if at == 0:
        return "start"
    return "end" if at == len(history().steps) - 1 else "between"


def change() -> Markup:
    """Where the change is, in numbers, as HTML."""
    found = history()
    before, after = found.change
    best = found.induction.max(axis=(1, 2))
    return WORDS.html(
        "change.text", before=step_name(before), after=step_name(after), low=percent(float(best[before])),
        high=percent(float(best[after])), sharp=f"{found.first_sharp_step:,}", seed_steps=step_name(-1),
    )  # fmt: skip


def skills() -> Mapping[str, np.ndarray]:
    """What heads could do after each step, by name."""
    found = history()
    return {
        WORDS.text("skills.induction"): found.induction.max(axis=(1, 2)),
        WORDS.text("skills.deciding", head=NAME): found.deciding_adjective[:, LAYER, HEAD],
        WORDS.text("skills.previous"): found.previous_token.max(axis=(1, 2)),
    }


def loss() -> Mapping[str, np.ndarray]:
    found = history()
    return {WORDS.text("loss.model"): found.loss, WORDS.text("loss.floor"): np.full(len(found.steps), found.floor)}


def moles() -> Mapping[str, np.ndarray]:
    found = history()
    return {WORDS.text("moles.within"): found.within_a_sense, WORDS.text("moles.between"): found.between_senses}


def table() -> pd.DataFrame:
    """Every number of the charts, a row a step."""
    columns = {WORDS.text("table.steps"): list(history().steps)}
    lines = {WORDS.text("table.loss"): history().loss, **skills(), **moles()}
    return pd.DataFrame(columns | {name: np.round(values, 3) for name, values in lines.items()})


def pattern_packet(now: StreamTrace, end: StreamTrace, at: int) -> bytes:
    """The head's pattern after this step and in the shipped model, on one scale."""
    titles = (WORDS.text("pattern.now", steps=step_name(at)), WORDS.text("pattern.end", steps=step_name(-1)))
    return pack_panels([head_panel(each, LAYER, HEAD, title) for each, title in zip((now, end), titles, strict=True)])
