"""The page drawn: a slider with Play, the pattern then and at the end, skills, moles and loss as lines, a table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import streamlit as st

from attn_core.figures import scripts
from attn_core.figures.charts.training import training_lines
from attn_core.heads.salience import salient_query_of
from ui import words
from ui.drawing import canvas, events, gallery, widgets
from ui.drawing.component import component
from ui.page import Page
from ui.param import whole
from ui.server import loading, passes
from ui.shell.folds import fold
from ui.shell.menu import go
from ui.training import reading
from ui.training.reading import HEAD, LAYER, MODEL, NAME

WORDS = words.beside(__file__)
AT = whole("checkpoint", high=len(reading.history().steps) - 1, label="Checkpoint")
PARAMS = [AT]
_KEY = "training_slider"
_slider = component("training_slider", scripts.with_elements("training_slider"))


def show(page: Page) -> None:
    """The training at one step."""
    at = int(page.state[AT.name])
    headline = st.container(gap=None)
    _steps(at)
    place = st.container(gap=None)
    end = page.trace()
    with page.problems(), place:
        now = passes.trace(loading.checkpoint(MODEL, at), page.text, **page.how_read)
    query = page.followed(end.tokens, lambda: salient_query_of(end.stream(), end.stream().pattern(LAYER, HEAD)))
    with headline:
        widgets.lead(reading.headline(now.stream(), end.stream(), query, at), page.badges(now, end))
    with widgets.card("pattern", WORDS.html("pattern.card", head=NAME), WORDS.html("pattern.hint")):
        canvas.panels(
            reading.pattern_packet(now.stream(), end.stream(), at), key="training_pattern",
            picture=WORDS.text("pattern.picture"), says=WORDS.text("pattern.says", head=NAME), query=query,
            on_choose=lambda chosen: st.session_state.update(query=chosen.query),
        )  # fmt: skip
    left, right = st.columns(2, gap="medium")
    with left, widgets.card("skills", WORDS.html("skills.card"), WORDS.html("skills.hint")):
        _chart("skills", reading.skills(), at, WORDS.text("skills.up"))
        widgets.reading(reading.change())
    with right, widgets.card("moles", WORDS.html("moles.card"), WORDS.html("moles.hint")):
        _chart("moles", reading.moles(), at, WORDS.text("moles.up"))
    with right, widgets.card("loss", WORDS.html("loss.card"), WORDS.html("loss.hint")):
        _chart("loss", reading.loss(), at, WORDS.text("loss.up"), share=False)
    fold(WORDS.text("table.title"), "training_table", _table)
    st.html(f'<div class="hl-hint">{WORDS.html("about")}</div>')
    with st.container(horizontal=True, gap="small", key="page_links"):
        where = {"model": MODEL, "text": page.text, "layer": LAYER, "head": HEAD, "query": query}
        go("all_heads", WORDS.text("open"), **where)
        go("why_there", WORDS.text("why"), ("why", "score"), **where)
        go("why_there", WORDS.text("its_card"), ("why", "card"), **where)
        go("lesson", WORDS.text("lesson"))
    steps = WORDS.text("steps", steps=reading.step_name(at))
    page.offer_pictures(steps, f"head {NAME}")


def _chart(name: str, lines: Mapping[str, np.ndarray], at: int, up: str, share: bool = True) -> None:
    found = reading.history()
    make = partial(
        training_lines, found.steps, lines, at=at, change=found.change, marked=WORDS.text("change.marked"), up=up,
        share=share,
    )  # fmt: skip
    title = WORDS.text("pictures", name)
    gallery.plot(title, make, key=f"training_{name}", alt=WORDS.text("alt", title=title), says=title)


def _table() -> None:
    widgets.table(reading.table(), hide_index=True, alt=WORDS.text("table.title"))


def _steps(at: int) -> None:
    """The slider, Play, and the step before and after; also by the arrow keys."""
    names = [f"{step:,}" for step in reading.history().steps]
    says = {
        "slider": WORDS.text("slider.slider"),
        "after": WORDS.text("slider.after", steps="{steps}"),
        "play": WORDS.text("slider.play"),
        "pause": WORDS.text("slider.pause"),
        "back": WORDS.text("slider.back"),
        "on": WORDS.text("slider.on"),
    }
    change = list(reading.history().change)
    _slider(key=_KEY, data={"steps": names, "at": at, "change": change, "says": says}, on_went_change=_went)


def _went() -> None:
    """Callback: another step is looked at."""
    due = {"at": events.Due(range(len(reading.history().steps)))}
    sent = events.read(getattr(st.session_state.get(_KEY), "went", None), due)
    if sent is not None:
        st.session_state[AT.name] = sent["at"]
