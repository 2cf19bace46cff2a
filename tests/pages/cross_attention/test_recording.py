"""Transcribing on the page: a tiny random Whisper listens, and every sentence about what a visitor gives is clear."""

from __future__ import annotations

import base64
import io
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
import soundfile
import streamlit as st
import torch
from page_driver import checked, html, lead, load, open_page, table, text
from streamlit.testing.v1 import AppTest

from attn_core.prediction import transcription
from attn_core.sound import decoding, spectrogram, word_times
from attn_core.text.numbers import percent
from ui.cross_attention import recording, sound_inputs
from ui.server import budget, shared

SPOKEN = decoding.read_sound((Path(__file__).parents[3] / "assets" / "data" / "speech" / "keys.flac").read_bytes())
opened = partial(open_page, "cross_attention", task="transcribe")


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("whisper")
    families.save_whisper(folder)
    return load(str(folder))


@pytest.fixture(autouse=True)
def listens(whisper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_inputs, "MODEL", whisper.name)


def given(monkeypatch: pytest.MonkeyPatch, data: bytes | None) -> None:
    """What the visitor's browser hands over."""
    file = None if data is None else io.BytesIO(data)
    monkeypatch.setattr(st, "audio_input", lambda *_, **__: file)
    monkeypatch.setattr(st, "file_uploader", lambda *_, **__: file)


def recorded(samples: np.ndarray, rate: int = 16_000, form: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form)
    return file.getvalue()


def picture(page: AppTest) -> dict[str, Any]:
    (found,) = [each.proto.json for each in page.get("bidi_component") if '"wave"' in each.proto.json]
    return json.loads(found)


@pytest.fixture(scope="module")
def judge(whisper: Any) -> dict[str, Any]:
    """The library's own greedy tokens and eager cross-attention for the shipped recording."""
    mel = torch.tensor(spectrogram.log_mel(SPOKEN, 8))[None]
    model = whisper.hf
    said = [3]
    with torch.no_grad():
        while len(said) <= 31 - 1:
            logits = model(input_features=mel, decoder_input_ids=torch.tensor([said])).logits[0, -1]
            logits[families.NEVER_WRITTEN] = -torch.inf
            said.append(int(logits.argmax()))
        from transformers import WhisperForConditionalGeneration

        eager = WhisperForConditionalGeneration.from_pretrained(whisper.name, attn_implementation="eager").eval()
        out = eager(input_features=mel, decoder_input_ids=torch.tensor([[*said, 2]]), output_attentions=True)
    return {"ids": said[1:], "cross": np.stack([layer[0].numpy() for layer in out.cross_attentions])}


def test_a_shipped_recording_is_written_and_aligned(whisper: Any, judge: dict[str, Any]) -> None:
    page = opened()
    shown, ids = picture(page), judge["ids"]
    labels = whisper.tokenizer.convert_ids_to_tokens(ids)
    assert shown["tokens"] == labels and [word["label"] for word in shown["words"]] == labels
    cut = len(SPOKEN) // 320
    weights = judge["cross"][:, :, :, :cut]  # [layer, head, row, position]
    starts = word_times.token_starts(np.stack([weights[0, 1], weights[1, 2]]), 0)
    assert np.allclose([word["begins"] for word in shown["words"]], starts[:-1])
    assert np.allclose([word["ends"] for word in shown["words"]], starts[1:])
    mean = (weights[0, 1] + weights[1, 2])[:-2] / 2  # the last two rows produce the end sign, and nothing
    rows = np.frombuffer(base64.b64decode(shown["rows"]), "u1").reshape(len(ids), cut)
    assert np.abs(rows / 255 - np.sqrt(mean / mean.max(axis=1, keepdims=True))).max() < 0.01
    chosen = shown["words"][shown["chosen"]]
    begin, end = (round(50 * chosen[at]) for at in ("begins", "ends"))
    share = float(mean[shown["chosen"], begin : max(end, begin + 1)].sum())
    assert lead(page) == (
        f"{chosen['label']} was said from {chosen['begins']:.2f} to {chosen['ends']:.2f} s: {percent(share)} of what "
        "the 2 alignment heads look at while writing it lies there."
    )
    assert table(page, "weight inside")["word"].tolist() == labels
    assert "checked" in text(page) and "Spoken by espeak-ng" in text(page)


def test_one_head_can_be_looked_at_and_alignment_heads_are_marked(judge: dict[str, Any]) -> None:
    page = opened(sound_head="1.3", said=2)
    row = judge["cross"][1, 3, :-2, : len(SPOKEN) // 320]
    rows = np.frombuffer(base64.b64decode(picture(page)["rows"]), "u1").reshape(row.shape)
    assert np.abs(rows / 255 - np.sqrt(row / row.max(axis=1, keepdims=True))).max() < 0.01
    assert picture(page)["chosen"] == 2
    word = picture(page)["words"][2]
    begin, end = (round(50 * word[at]) for at in ("begins", "ends"))
    share = float(row[word["first"] : word["end"], begin : max(end, begin + 1)].sum(axis=1).mean())
    assert lead(page) == (
        f"{word['label']} was said from {word['begins']:.2f} to {word['ends']:.2f} s: {percent(share)} of what "
        "head 1.3 looks at while writing it lies there."
    )
    names = page.selectbox(key="sound_head").options
    assert names[0] == "mean of the 2 alignment heads" and "1.2 · alignment head" in names[1 + 6] and len(names) == 9
    assert names[1 + 7] == "head 1.3"


def test_a_link_names_the_recording_and_the_word() -> None:
    page = opened(recording="drink", said=1)
    assert page.query_params["recording"] == "drink" and abs(picture(page)["seconds"] - 5.72) < 0.01


@pytest.mark.parametrize("sound", ["microphone", "file"])
def test_what_a_visitor_gives_is_heard_and_stays_in_the_session(
    sound: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = recorded(np.stack([SPOKEN, SPOKEN], axis=1)[:24_000], form="WAV" if sound == "microphone" else "FLAC")
    given(monkeypatch, data)
    computed: list[int] = []
    monkeypatch.setattr(recording, "log_mel", lambda *a: computed.append(1) or spectrogram.log_mel(*a))
    with caplog.at_level(logging.INFO, logger="headlight"):
        page = opened(sound=sound)
    assert len(computed) == 1  # to write and to look across
    assert abs(picture(page)["seconds"] - 1.5) < 1e-6
    assert "Your recording stays in this session" in text(page)
    mine = [key for key in shared.STATE.traces._sized if "own" in str(key)]
    assert any(page.session_state["sound_secret"] in str(key) for key in mine)
    assert not any(
        word in str(record.__dict__) for record in caplog.records for word in picture(page)["tokens"] if len(word) > 3
    )
    other = opened(sound=sound)  # another visitor with the same file
    assert other.session_state["sound_secret"] != page.session_state["sound_secret"]
    assert all(page.session_state["sound_secret"] not in str(value) for value in other.query_params)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (recorded(np.full(31 * 8_000, 0.1, np.float32), 8_000), "At most 30 s are listened to"),
        (recorded(np.zeros(16_000, np.float32)), "This recording is silent"),
        (b"%PDF-1.7 <b>no sound</b>", "This is no recording that can be opened"),
        (bytes(decoding.MOST_BYTES + 1), "at most 16 MB are taken"),
    ],
)
def test_what_cannot_be_heard_is_one_sentence(data: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, data)
    page = opened(sound="file")
    assert said in text(page) and "hl-problem" in html(page) and '<h1 class="hl-lead"' not in html(page)


def test_nothing_was_given_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, None)
    assert "Where there is no microphone" in text(opened(sound="microphone"))
    assert "Any recording of English speech" in text(opened(sound="file"))


def test_listening_can_be_cancelled_and_begun_again() -> None:
    page = AppTest.from_file(str(Path(__file__).parents[3] / "pages" / "cross_attention.py"), default_timeout=300)
    page.query_params["task"], page.query_params["recording"] = "transcribe", "creature"
    page.session_state["sound_cancelled"] = ("shipped", "creature")
    checked(page.run())
    assert not [each for each in page.get("bidi_component") if '"wave"' in each.proto.json]
    page.button(key="sound_again").click()
    assert abs(picture(checked(page.run()))["seconds"] - 3.96) < 0.01


def test_one_recording_at_a_time_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace of half a minute takes about 107 MB, which two visitors may not take at once."""
    heard = sound_inputs.listen

    def while_another_is_looked_through(*given: Any) -> list[int]:
        written = heard(*given)
        assert budget._making.acquire(blocking=False)
        return written

    monkeypatch.setattr(budget, "DOWNLOAD_WAIT", 0.01)
    monkeypatch.setattr(sound_inputs, "listen", while_another_is_looked_through)
    given(monkeypatch, recorded(SPOKEN[:16_000]))
    try:
        page = opened(sound="file")
    finally:
        budget._making.release()
    assert "Many people are looking at this moment" in text(page) and "hl-problem" in html(page)


def test_a_public_server_without_the_model_says_so(operator_sets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_inputs, "MODEL", "whisper-tiny.en")
    monkeypatch.delitem(sound_inputs.CATALOGUE, "whisper-tiny.en", raising=False)
    operator_sets(HEADLIGHT_MODE="public")
    page = opened()
    assert "Recordings cannot be transcribed here" in text(page)
    asked = opened(sound="file")
    assert "Recordings cannot be transcribed here" in text(asked) and not asked.get("file_uploader")  # none is taken


@pytest.mark.parametrize(
    ("name", "value"), [("sound_head", "9.9"), ("said", "-1"), ("recording", "x"), ("task", "sing")]
)
def test_a_wrong_link_falls_back_and_says_so(name: str, value: str) -> None:
    assert name in text(opened(**{"recording": "keys", name: value}))


def test_a_text_model_does_not_listen() -> None:
    model = load("tiny-translator")
    with pytest.raises(Exception, match="reads text, not sound"):
        next(transcription.transcribe(model, np.zeros((80, 3000), np.float32)))
