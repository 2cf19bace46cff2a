"""Whisper tiny.en out of its package says what the original runtime says of the shipped recordings.

`whisper_reference.json` was recorded once with ctranslate2 4.8.5 in float32, given our spectrograms: `encode` (every
50th position, every 16th number), `generate` (tokens, and the logits of those that were written), and `align`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import attn_core as ac
from attn_core.models import conversion
from attn_core.models.catalogue import CATALOGUE
from attn_core.models.packages import fetched_folder
from attn_core.prediction import transcription
from attn_core.settings import assets_folder
from attn_core.sound import decoding, spectrogram, word_times

pytestmark = pytest.mark.models
REFERENCE = json.loads(Path(__file__).with_name("whisper_reference.json").read_text())


@pytest.fixture(scope="module")
def whisper(fetched: Callable[[str], None]) -> Any:
    fetched("whisper-tiny.en")
    return ac.load("whisper-tiny.en")


def test_it_is_the_model_that_was_measured(whisper: Any) -> None:
    entry = CATALOGUE["whisper-tiny.en"]
    assert whisper.n_parameters == entry.parameters == 37_760_256 and whisper.n_bytes == entry.memory == 151_041_024
    assert conversion.weights_of(fetched_folder(entry)) == entry.weights == "16-bit weights"
    heads = [(1, 0), (2, 0), (2, 5), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4)]
    assert transcription.alignment_heads(whisper) == heads
    assert transcription.opening(whisper) == whisper.tokenizer.convert_tokens_to_ids(
        ["<|startoftranscript|>", "<|notimestamps|>"]
    )


@pytest.mark.parametrize("name", REFERENCE)
def test_it_says_what_the_original_runtime_says(whisper: Any, name: str) -> None:
    expected = REFERENCE[name]
    samples = decoding.read_sound((assets_folder() / "data" / "speech" / f"{name}.flac").read_bytes())
    mel = spectrogram.log_mel(samples)
    written = list(transcription.transcribe(whisper, mel))
    assert written == expected["ids"]
    end = whisper.tokenizer.eos_token_id
    trace = ac.trace(whisper, audio=mel, target=[*transcription.opening(whisper), *written, end])
    assert trace.check().ok
    if "encoder" in expected:
        with torch.inference_mode():
            states = whisper.hf.get_encoder()(torch.tensor(mel)[None]).last_hidden_state[0, ::50, ::16].numpy()
        assert np.abs(states - np.array(expected["encoder"])).max() < 3e-5  # of up to 2.5
    theirs = np.array(expected["logits"], dtype=float)  # NaN: what the runtime never writes first
    ours = np.stack([trace.logits(1 + i) for i in range(len(written) + 1)])[:, [*written, end]]
    assert np.nanmax(np.abs(ours - theirs)) < 2e-3 and np.isfinite(theirs).sum() > 0.9 * theirs.size
    cut = len(samples) // spectrogram.HOP // 2
    heads = transcription.alignment_heads(whisper)
    weights = np.stack([trace.stream("cross").pattern(*head)[:, :cut] for head in heads])
    starts = np.rint(word_times.token_starts(weights) * word_times.POSITIONS_A_SECOND).astype(int)
    assert starts.tolist() == expected["starts"]
