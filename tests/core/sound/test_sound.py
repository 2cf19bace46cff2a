"""Recordings become samples, samples a spectrogram, and words get their times; judged by the library and by hand."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
import soundfile
import transformers as tf

from attn_core.settings import assets_folder
from attn_core.sound import decoding, record_speech, spectrogram, word_times
from attn_core.sound.decoding import NoSound

TONE = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000).astype(np.float32)  # one second at 48 kHz


def encoded(samples: np.ndarray, rate: int = 48_000, form: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
def test_every_format_becomes_one_channel_at_16_khz(form: str) -> None:
    stereo = np.stack([TONE, 0.5 * TONE], axis=1) * 0.5
    samples = decoding.read_sound(encoded(stereo, form=form))
    wanted = 0.375 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert samples.dtype == np.float32 and abs(len(samples) - 16_000) < 1_300  # MP3 adds silence around it
    heard = np.abs(np.fft.rfft(samples, 16_000))
    assert int(heard.argmax()) == 440
    if form in ("WAV", "FLAC"):
        assert np.abs(samples[500:-500] - wanted[500:-500]).max() < 5e-3


def test_what_is_too_long_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    long = encoded(np.zeros(31 * 8_000, np.float32) + 0.1, 8_000)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("it was decoded"))
    with pytest.raises(NoSound, match="At most 30 s are listened to, and this recording has 31 s"):
        decoding.read_sound(long)


def test_a_file_that_hides_its_length_is_read_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    long = encoded(np.zeros(31 * 8_000, np.float32) + 0.1, 8_000)
    monkeypatch.setattr(decoding, "_check", lambda file: None)  # as if it had said less
    with pytest.raises(NoSound, match="more than that"):
        decoding.read_sound(long)


def test_many_channels_are_mixed_a_second_at_a_time() -> None:
    """Silence in eight channels is a small file, and all of it in memory at once would be large."""
    data = encoded(np.zeros((12 * 48_000, 8), np.float32) + 0.1, form="FLAC")
    tracemalloc.start()
    samples = decoding.read_sound(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(samples) == 12 * 16_000 and peak < 14_000_000 < 12 * 48_000 * 8 * 4


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "This is no recording that can be opened"),
        (b"<script>alert(1)</script>" * 50, "This is no recording that can be opened"),
        (bytes(decoding.MOST_BYTES + 1), "at most 16 MB are taken"),
        (encoded(0 * TONE), "This recording is silent"),
        (encoded(TONE[:400]), "shorter than 0.1 s"),
        (encoded(TONE, form="AIFF"), "This is a AIFF file"),
        (encoded(np.zeros((800, 9)) + 0.1), "9 channels"),
        (encoded(TONE, 400_000), "400,000 samples a second"),
    ],
)
def test_what_cannot_be_heard_is_one_sentence(data: bytes, said: str) -> None:
    with pytest.raises(NoSound, match=said) as raised:
        decoding.read_sound(data)
    assert str(raised.value).endswith(".") and "\n" not in str(raised.value)


def test_a_file_that_is_cut_is_heard_as_far_as_it_goes_or_refused() -> None:
    for form in ("WAV", "FLAC", "OGG", "MP3"):
        try:
            decoding.read_sound(encoded(TONE, form=form)[:3_000])
        except NoSound as error:
            assert str(error).endswith(".")


def test_numbers_that_are_none_are_silence() -> None:
    odd = TONE.copy()
    odd[100:200] = np.nan
    assert np.isfinite(decoding.prepared(odd, 48_000)).all()


def test_the_spectrogram_is_the_librarys() -> None:
    judge = tf.WhisperFeatureExtractor()
    samples = decoding.read_sound((assets_folder() / "data" / "speech" / "keys.flac").read_bytes())
    theirs = judge(samples, sampling_rate=16_000, return_tensors="np").input_features[0]
    ours = spectrogram.log_mel(samples)
    assert ours.shape == (80, 3000) and np.abs(ours - theirs).max() < 1e-4
    assert np.abs(spectrogram.bands(80) - judge.mel_filters.T).max() < 1e-9


def test_the_shipped_recordings_are_those_of_the_script() -> None:
    folder = assets_folder() / "data" / record_speech.FOLDER
    assert sorted(file.stem for file in folder.glob("*.flac")) == sorted(record_speech.SENTENCES)
    for name in record_speech.SENTENCES:
        info = soundfile.info(folder / f"{name}.flac")
        assert info.samplerate == 16_000 and info.channels == 1 and 3 < info.duration < 7


def test_the_cheapest_way_is_the_one_of_all_ways() -> None:
    """Every way through small random matrices, tried one by one."""
    rng = np.random.default_rng(0)

    def ways(rows: int, times: int) -> list[list[tuple[int, int]]]:
        if (rows, times) == (0, 0):
            return [[(0, 0)]]
        before = [(rows - 1, times), (rows, times - 1), (rows - 1, times - 1)]
        return [[*way, (rows, times)] for at in before if min(at) >= 0 for way in ways(*at)]

    for shape in ((3, 5), (4, 4), (5, 2), (1, 6)):
        cost = rng.normal(size=shape)
        best = min(ways(shape[0] - 1, shape[1] - 1), key=lambda way: sum(cost[cell] for cell in way))
        assert [tuple(step) for step in word_times.cheapest_way(cost)] == best


def test_words_begin_where_the_heads_look() -> None:
    rng = np.random.default_rng(1)
    weights = 0.002 * rng.random((2, 6, 100))  # one opening sign, four tokens, the end sign
    for row, (begin, end) in enumerate([(0, 20), (20, 45), (45, 60), (60, 100)]):
        weights[:, 1 + row - 0, begin:end] += 1.0
    starts = word_times.token_starts(weights)
    assert starts.shape == (4,)
    assert np.abs(starts - np.array([0, 20, 45, 60]) / 50).max() <= 0.04
