"""A transcribed recording on the page: waveform, spectrogram and cross-attention on one axis of time, words to hear.

sound_view.draw(page, heard)          # everything under the inputs
"""

from __future__ import annotations

import base64
from functools import partial

import numpy as np
import streamlit as st

from attn_core.figures import scripts
from attn_core.figures.charts.heatmap import heatmap_spec
from attn_core.models.catalogue import entry_of
from attn_core.sound.decoding import RATE
from attn_core.sound.spectrogram import log_mel
from attn_core.text.decoding import visible
from attn_core.tolerances import SMALLEST
from attn_core.traces.reader import Array
from ui import words
from ui.cross_attention import sound_inputs
from ui.cross_attention.recording import MEAN, POSITIONS_A_SECOND, Heard, HeardByHead, envelope, head_names
from ui.cross_attention.sound_inputs import BY, SAID
from ui.drawing import controls, events, gallery, widgets
from ui.drawing.component import component
from ui.drawing.events import Due
from ui.page import Page
from ui.server.cache import Handle
from ui.shell.badges import parity, provenance, weights

WORDS = words.beside(__file__)
BINS = 900  # of the waveform, over the whole recording
PAPER = 150  # moments of a saved picture

_recording = component("recording", scripts.with_elements("recording"))
_player = component("player", scripts.asset("app/player.js"))


def draw(page: Page, handle: Handle[Heard]) -> None:
    """The headline, the recording with its words, the table."""
    heard = handle.value()
    by_head = HeardByHead(heard, page.state["sound_head"], page.state["said"])
    badges = provenance("live") + weights(entry_of(sound_inputs.MODEL).weights) + parity(heard.parity)
    said = " ".join(map(visible, heard.text.split())) or "…"
    widgets.lead(by_head.lead(), sub=f"{badges}{WORDS.html('sound.under_lead', text=said)}")
    if not heard.ended:
        widgets.note(WORDS.text("sound.cut", tokens=len(heard.tokens)))
    if not heard.words:
        return
    with widgets.card("recording", WORDS.html("sound.card"), WORDS.html("sound.hint")):
        _picture(page, by_head)
        _heads(by_head)
    with widgets.card("said", WORDS.html("sound.table.title"), WORDS.html("sound.table.hint", who=by_head.who)):
        share = st.column_config.ProgressColumn("weight inside", format="%.0f %%", min_value=0, max_value=100)
        seconds = {name: st.column_config.NumberColumn(format="%.2f") for name in by_head.table() if "(s)" in name}
        widgets.table(
            by_head.table(),
            hide_index=True,
            height="content" if len(heard.words) < 14 else 480,
            column_config={"weight inside": share, **seconds},
            alt=WORDS.text("sound.table.alt"),
        )
    remark = WORDS.html("sound.made") if page.state["sound"] == "shipped" else WORDS.html("sound.private")
    st.html(f'<div class="hl-hint">{remark}</div>')
    _register(by_head)
    page.offer_pictures(f"cross {by_head.who}", sentences=[heard.text], model=sound_inputs.MODEL)


def _picture(page: Page, by_head: HeardByHead) -> None:
    heard = by_head.heard
    seconds = len(heard.samples) / RATE

    def happened() -> None:
        due = {"word": Due(range(len(heard_words)))}
        told = events.read(getattr(st.session_state.get("recording_picture"), "chosen", None), due)
        if told is not None:
            st.session_state[SAID.name] = told["word"]

    heard_words = [word.label for word in heard.words]  # what a callback holds is small
    loudest = float(np.abs(heard.samples).max())
    mel = log_mel(heard.samples, seconds=max(seconds, 0.1))
    data = {
        "seconds": seconds,
        "rate": POSITIONS_A_SECOND,
        "words": [word._asdict() for word in heard.words],
        "tokens": [visible(token.strip()) or "␣" for token in heard.tokens],
        "wave": _letters(np.rint(127 * envelope(heard.samples, min(BINS, len(heard.samples))) / loudest), "i1"),
        "mel": _letters(255 * (mel - mel.min()) / max(SMALLEST, float(np.ptp(mel))), "u1"),
        "bands": len(mel),
        "rows": _letters(255 * np.sqrt(by_head.scaled()), "u1"),
        "chosen": by_head.word,
        "theme": gallery.theme(),
        "says": WORDS.table("sound.says")
        | {
            "word": WORDS.text("sound.word", word="{word}", begins="{begins}", ends="{ends}"),
            "picture": WORDS.text("sound.picture", who=by_head.who, words=len(heard.words)),
        },
    }
    with st.container(key="recorded"):
        _player(
            key="recording_player", data={"samples": _letters(np.rint(32_767 * heard.samples), "<i2"), "rate": RATE}
        )
        _recording(key="recording_picture", data=data, on_chosen_change=happened)


def _letters(numbers: Array, kind: str) -> str:
    return base64.b64encode(numbers.astype(kind).tobytes()).decode()


def _heads(by_head: HeardByHead) -> None:
    """By whom it is seen: the mean of the alignment heads, or one head, those marked."""
    layers, heads = by_head.heard.cross.shape[:2]
    marked = {f"{layer}.{head}" for layer, head in by_head.heard.alignment}

    def name(value: str) -> str:
        if value == MEAN:
            return WORDS.text("sound.heads.mean", n=len(marked))
        if value in marked:
            return WORDS.text("sound.heads.marked", head=value)
        return WORDS.text("sound.heads.other", head=value)

    controls.pick(BY, [MEAN, *head_names(layers, heads)], name, width=330)
    st.html(f'<div class="hl-hint">{WORDS.html("sound.heads.hint", marked=", ".join(sorted(marked)))}</div>')


def _register(by_head: HeardByHead) -> None:
    """The cross-attention as a picture to save, in at most `PAPER` moments, each the sum of its positions."""
    n = by_head.weights.shape[1]
    edges = np.linspace(0, n, min(PAPER, n) + 1).astype(int)[:-1]
    pooled = np.add.reduceat(by_head.weights, edges, axis=1)  # [token, position] → [token, moment]
    make = partial(
        heatmap_spec,
        pooled,
        [visible(token.strip()) or "␣" for token in by_head.heard.tokens],
        [f"{edge / POSITIONS_A_SECOND:.2f} s" for edge in edges],
        head=by_head.by,
    )
    gallery.register_chart(
        WORDS.text("sound.saved"), make, WORDS.text("sound.picture", who=by_head.who, words=len(by_head.heard.words))
    )
