"""What comes next: the likeliest words, writing on, and what the model would say after every layer.

next_word.next_word(page, trace)       # one card, for models that predict a next word; nothing for others

A page that calls it adds `*next_word.PARAMS` to its own parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from attn_core.errors import HeadlightError
from attn_core.figures.charts.heatmap import heatmap
from attn_core.figures.html.bar_table import Column
from attn_core.models.cards import card_of
from attn_core.prediction import next_token
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent
from ui.drawing import gallery, widgets
from ui.link import Param, choice, forget, whole, words
from ui.page import ROOT, Page
from ui.server import passes

COOLEST, HOTTEST = 0.1, 2.0
OFFERED = 10  # words
AT_ONCE = 8  # words that one click writes


def _temperature(raw: str, earlier: Any) -> float:
    value = float(raw)
    if not (math.isfinite(value) and COOLEST <= value <= HOTTEST):
        raise ValueError(f"it must be from {COOLEST} to {HOTTEST}")
    return value


PARAMS = [
    choice("draw", ("likeliest", "chance")),
    Param("temperature", 1.0, _temperature),
    whole("top_k", high=100),
    words("written", ""),
]


def next_word(page: Page, trace: Any) -> None:
    """The card of a causal model: next words, writing on, layer by layer; other models get none."""
    if not _predicts(trace):
        return
    st.html(ROOT / "assets" / "css" / "steps.css")  # tables of bars
    with widgets.card(
        "next_word",
        "What comes next",
        "A word can only be guessed from what stands before it: that is what the mask is for.",
    ):
        left, right = st.columns(2, gap="large")
        with left:
            predictions = _predictions(page, trace)
            _write(page, trace, predictions)
        with right:
            _lens(page, trace)
        _steps(page, trace)


def _predicts(trace: Any) -> bool:
    """Whether this model says what comes next: it looks back only, and has a head that reads words."""
    if trace.kind != "decoder":
        return False
    try:
        trace.logits()
    except HeadlightError:
        return False
    return True


def _predictions(page: Page, trace: Any) -> list[next_token.TokenPrediction]:
    """The likeliest next words as bars, after temperature and top-k."""
    view = page.state
    predictions = next_token.next_words(trace, OFFERED, temperature=view["temperature"], top_k=view["top_k"])
    last = visible(trace.tokens.labels[-1])
    widgets.heading(
        f"The next word, after {widgets.query(f'{last}')}", f"The {len(predictions)} likeliest words, and how likely."
    )
    chances = [prediction.probability for prediction in predictions]
    column = Column("probability", chances, [percent(chance) for chance in chances], most=1.0)
    words = [visible(prediction.word) for prediction in predictions]
    gallery.bars("The next word", words, [column], says=f"The likeliest words after {last}", head="next")
    stand_ins = card_of(page.model_name).stand_ins
    if any(prediction.word in stand_ins for prediction in predictions):
        st.html(f'<div class="hl-hint">{escape(stand_ins[0])}, … stand for words that this model has not met.</div>')
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.slider(
            "Temperature", COOLEST, HOTTEST, key="temperature", step=0.1, width=190,
            help="Below 1 the favourites win more often, above 1 outsiders get a chance.",
        )  # fmt: skip
        st.number_input(
            "Top k", 0, 100, key="top_k", width=130, help="Only the k likeliest words stay in the draw; 0 keeps all."
        )
    return predictions


# --- Writing on -------------------------------------------------------------------------------------------------------


def _write(page: Page, trace: Any, predictions: Sequence[next_token.TokenPrediction]) -> None:
    """Append one of the words, or let the model write."""

    def append() -> None:
        _say(page, trace, [predictions[st.session_state["next_choice"]].id])

    def write(count: int) -> None:
        try:
            _say(page, trace, _written_by_model(page, trace, count))
        except HeadlightError as error:
            st.session_state["next_problem"] = str(error)

    room_left = page.model().limit - len(trace.tokens)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.selectbox(
            "Word to append", range(len(predictions)), key="next_choice", width=190, label_visibility="collapsed",
            format_func=lambda i: visible(predictions[i].word) if i < len(predictions) else "",
        )  # fmt: skip
        st.button("Append this word", key="next_append", on_click=append, disabled=room_left < 1)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        widgets.switch("Writing", {"likeliest": "always the likeliest", "chance": "draw by chance"}, "draw")
        st.button("Write a word", key="next_one", on_click=write, args=(1,), disabled=room_left < 1)
        st.button(f"Write {AT_ONCE}", key="next_many", on_click=write, args=(AT_ONCE,), disabled=room_left < 1)
    if room_left < 1:
        widgets.note("The text is as long as this model can read. Shorten it to write on.")
    if "next_problem" in st.session_state:
        widgets.note(st.session_state.pop("next_problem"))


def _written_by_model(page: Page, trace: Any, count: int) -> list[int]:
    """The ids of the next tokens, each after a pass of its own."""
    model, by_chance = page.model(), page.state["draw"] == "chance"
    predictions = next_token.generate(
        lambda ids: passes.trace(model, ids),
        trace.tokens.ids,
        count,
        limit=model.limit,
        stop=(model.tokenizer.eos_token_id,),
        temperature=st.session_state["temperature"],
        top_k=st.session_state["top_k"],
        rng=np.random.default_rng() if by_chance else None,
    )
    return [prediction.id for prediction in predictions]


def _say(page: Page, trace: Any, ids: Sequence[int]) -> None:
    """Callback's end: the sentence grows, and remembers what was typed and what was written."""
    text = next_token.continued_text(page.model().tokenizer, trace.tokens, ids)
    before = _own(page)
    st.session_state["text"], st.session_state["written"] = text, text.removeprefix(before)
    forget("query")


def _own(page: Page) -> str:
    """The part of the sentence that the visitor typed: all of it, unless it ends with what the model wrote."""
    return page.text.removesuffix(page.state["written"]).rstrip() if page.state["written"] else page.text.rstrip()


def _steps(page: Page, trace: Any) -> None:
    """Where one head looked at each step of writing, one row a step, named by the word that was written."""
    written = page.state["written"]
    if not written or not page.text.endswith(written):
        return
    first = len(page.model().read(_own(page))) if _own(page) else 1
    rows = range(first - 1, len(trace.tokens) - 1)
    if not rows:
        return
    labels, who = trace.tokens.labels, f"{page.layer}.{page.head}"
    widgets.heading(
        f"Step by step: where head {who} looked",
        "One row for each word that was written, named by that word. Its query was made of the word before; no row "
        "can see ahead (hatched), so a row stays as it was when more words follow.",
    )
    figure = partial(
        heatmap,
        trace.pattern(page.layer, page.head)[rows.start : rows.stop],
        [labels[row + 1] for row in rows],
        labels,
        head=who,
        masked=~trace.may_look(page.layer)[rows.start : rows.stop],
        query_positions=list(rows),
        key_special=trace.tokens.special,
    )
    alt = f"Pattern of head {who} at each step of writing."
    gallery.plot("Where it looked, word by word", figure, key="next_steps", alt=alt, says=alt.rstrip("."))


# --- Layer by layer ---------------------------------------------------------------------------------------------------


def _lens(page: Page, trace: Any) -> None:
    """The logit lens at the chosen word, or at the last one: what each layer would say if it were the last."""
    chosen = page.word(trace)
    position = len(trace.tokens) - 1 if chosen is None else chosen
    labels = trace.tokens.labels
    last = position == len(labels) - 1
    try:
        rows = next_token.logit_lens(trace, position, count=3)
    except HeadlightError as error:  # the streams between layers could not be found
        widgets.note(str(error))
        return
    true = "its own answer" if last else f"{widgets.key(visible(labels[position + 1]))}, which really follows"
    widgets.heading(
        f"Layer by layer, after {widgets.query(visible(labels[position]))}",
        f"Each layer read as if it were the last: final norm, then the vocabulary. The rank is that of {true}.",
    )
    head = "".join(f"<th>{name}</th>" for name in ("after", "best guess", "second", "third", "rank"))
    body = "".join(_lens_row(row, len(rows) - 1) for row in rows)
    st.html(
        '<div style="overflow:auto;max-height:430px"><table style="width:100%;border-collapse:collapse;font-size:13px;'
        f'text-align:left;line-height:1.9"><thead>{head}</thead><tbody>{body}</tbody></table></div>'
    )
    if chosen is None:
        st.html('<div class="hl-hint">Choose a word in the pictures above to read the layers there.</div>')


def _lens_row(row: next_token.LensRow, last: int) -> str:
    """One layer as a table row, the background as strong as the prediction is likely."""
    cells = ""
    for prediction in [*row.predictions, *[None] * (3 - len(row.predictions))]:
        if prediction is None:
            cells += "<td></td>"
            continue
        shade = f"color-mix(in srgb, var(--hl-amber) {45 * prediction.probability:.0f}%, transparent)"
        word = f'<span class="hl-tok">{escape(visible(prediction.word))}</span>'
        small = f'<span style="white-space:nowrap"> {percent(prediction.probability)}</span>'
        cells += f'<td style="background:{shade};padding:0 6px;overflow-wrap:anywhere">{word}{small}</td>'
    name = "embedding" if row.after == 0 else f"layer {row.after - 1}"
    bold = "font-weight:600" if row.after == last else ""
    rank = f"{row.rank:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f'<tr style="border-top:1px solid var(--hl-line);{bold}"><td>{name}</td>{cells}<td>{rank}</td></tr>'
