"""Which recording is transcribed: one of three that come along, the visitor's microphone, or a file.

heard = sound_inputs.ask(page)        # draws the inputs and waits, with progress; gives a handle, or ends the page

What a visitor gives stays in the session: it is in no log and no link, and what is computed from it is kept under a
secret of the session, within the budget of all that is computed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st
from markupsafe import Markup

from attn_core.models.catalogue import CATALOGUE, entry_of
from attn_core.settings import assets_folder, is_public
from attn_core.sound.decoding import NoSound, read_sound
from attn_core.sound.record_speech import FOLDER, SENTENCES
from attn_core.text.decoding import visible
from ui import words
from ui.cross_attention.recording import MEAN, Heard, head_names, listen, look_across, spectrogram
from ui.drawing import controls, widgets
from ui.page import Page
from ui.param import Earlier, Param, choice, whole
from ui.server import budget, passes, shared
from ui.server.cache import Busy, Handle, key_of
from ui.shell.progress import stop_with

if TYPE_CHECKING:
    from attn_core.sound.decoding import Samples
    from ui.server.handles import ModelHandle

WORDS = words.beside(__file__)
MODEL = "whisper-tiny.en"
_OWN, _CANCELLED, _SECRET = "own_sound", "sound_cancelled", "sound_secret"


def _by(raw: str, _: Earlier) -> str:
    """The mean of the alignment heads, or one cross head as a link names it."""
    entry = entry_of(MODEL) if MODEL in CATALOGUE or not is_public() else None
    sizes = (entry.n_decoder_layers, entry.n_decoder_heads or entry.n_heads) if entry else (4, 6)
    if raw != MEAN and raw not in head_names(*sizes):
        raise ValueError(WORDS.text("sound.bad_head"))
    return raw


TASK = choice("task", WORDS.table("sound.tasks"), label="What is read", in_caption=False)
SOUND = choice("sound", WORDS.table("sound.sources"), label="Recording", in_caption=False)
SHIPPED = choice("recording", SENTENCES, label="Recording", in_caption=False)
BY = Param("sound_head", MEAN, _by, label="Cross head", in_caption=False)
SAID = whole("said", high=200, optional=True, in_caption=False)
PARAMS = [TASK, SOUND, SHIPPED, BY, SAID]


class Sound(NamedTuple):
    """A recording: what names it among those that are computed, and the way to its samples."""

    key: tuple[str, ...]
    samples: Callable[[], Samples]


def ask(page: Page) -> Handle[Heard]:
    """The recording, and what the model wrote of it; ends the page with a sentence where there is nothing to hear."""
    with st.container(key="ask"):
        controls.switch(SOUND, WORDS.table("sound.sources"))
        if MODEL not in CATALOGUE and is_public():  # nobody's recording is taken, nor kept, for nothing
            stop_with(WORDS.text("sound.no_model.title"), WORDS.text("sound.no_model.what"))
        sound = _chosen(page)
    model = page.model(MODEL)
    if st.session_state.get(_CANCELLED) == sound.key:
        st.button(WORDS.text("sound.listen"), key="sound_again", on_click=_forget_cancelled, type="primary")
        st.stop()
    place = st.empty()
    with place.container(), page.problems():
        heard = _heard(model, sound)
    place.empty()
    return heard


def _chosen(page: Page) -> Sound:
    source = page.state["sound"]
    if source == "shipped":
        name: str = controls.pick(SHIPPED, width=420)
        return Sound(("shipped", name), partial(_shipped, name))
    st.html(f'<div class="hl-hint">{WORDS.html("sound.ask", source)}</div>')
    if source == "microphone":
        given = st.audio_input(WORDS.text("sound.microphone"), sample_rate=16_000, key="sound_microphone")
    else:
        given = st.file_uploader(WORDS.text("sound.file"), type=["wav", "flac", "ogg", "mp3"], key="sound_file")
    if given is None:
        st.session_state.pop(_OWN, None)
        st.stop()
    return _own(given.getvalue())


def _own(data: bytes) -> Sound:
    """What the visitor gave, decoded once; a problem ends the page with a sentence."""
    digest = hashlib.blake2b(data).hexdigest()
    kept = st.session_state.get(_OWN)
    if kept is None or kept[0] != digest:
        try:
            kept = st.session_state[_OWN] = (digest, budget.made_in_turn(partial(read_sound, data)))
        except (NoSound, Busy) as error:
            stop_with(WORDS.text("sound.no_sound"), str(error))
    secret = st.session_state.setdefault(_SECRET, secrets.token_hex(16))
    return Sound(("own", secret, digest), _own_samples)


def _own_samples() -> Samples:
    samples: Samples = st.session_state[_OWN][1]
    return samples


def _shipped(name: str) -> Samples:
    return read_sound((assets_folder() / "data" / FOLDER / f"{name}.flac").read_bytes())


def _heard(model: ModelHandle, sound: Sound) -> Handle[Heard]:
    """Listened to before, by anybody where it came along; else now, visibly, until it is cancelled."""
    return shared.get_or_compute(("heard", key_of(model), *sound.key), partial(_listen, model, sound))


def _listen(model: ModelHandle, sound: Sound) -> Heard:
    said, bar = st.empty(), st.progress(0.0)
    st.button(WORDS.text("sound.cancel"), key="sound_cancel", on_click=partial(_cancel, sound.key))
    widgets.skeleton(420)
    said.html(Markup('<div class="hl-sub" role="status">{}</div>').format(WORDS.text("sound.listening")))
    samples = sound.samples()
    most = max(1.0, 4.0 * len(samples) / 16_000)  # four tokens a second are fast speech

    def told(written: list[int]) -> None:
        text = visible(model.tokenizer.decode(written).strip())
        said.html(Markup('<div class="hl-read" role="status">{} …</div>').format(text))
        bar.progress(min(0.95, len(written) / most))

    mel = spectrogram(model.value(), samples)
    written = listen(model.value(), mel, partial(passes.in_turn, model), told)
    run = partial(passes.run_uncached, model, "")
    return budget.made_in_turn(partial(look_across, model.value(), samples, mel, written, run))


def _cancel(key: tuple[str, ...]) -> None:
    st.session_state[_CANCELLED] = key


def _forget_cancelled() -> None:
    st.session_state.pop(_CANCELLED, None)
