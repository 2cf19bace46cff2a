"""A recording as samples: WAV, FLAC, OGG or MP3, bounded before it is decoded, mixed to one channel at 16 kHz.

    samples = read_sound(path.read_bytes())          # float32 [sample], at most 30 s

libsndfile, in the package soundfile, decodes; what it is given has at most `MOST_BYTES`, and no more than 30 s are
ever asked of it, whatever a file says of itself.
"""

from __future__ import annotations

import io
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attn_core.errors import HeadlightError

if TYPE_CHECKING:
    from soundfile import SoundFile

Samples = NDArray[np.float32]
RATE = 16_000  # samples a second, what Whisper reads
LONGEST = 30  # seconds
SHORTEST = 0.1
MOST_BYTES = 16_000_000
FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3")
_RATES = range(4_000, 192_001)
_CHANNELS = 8
QUIET = 1e-4  # the loudest sample of a recording in which there is nothing to hear: −80 dB


class NoSound(HeadlightError):
    """A file or recording that cannot be listened to; the sentence says why, and what would help."""


def read_sound(data: bytes) -> Samples:
    """The samples of a file, [sample] at 16 kHz, from −1 to 1. Raises NoSound with a sentence for the reader."""
    import soundfile

    if len(data) > MOST_BYTES:
        raise NoSound(f"This file has {len(data) / 1e6:.1f} MB; at most {MOST_BYTES / 1e6:.0f} MB are taken.")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check(file)
            samples, rate = _one_channel(file), file.samplerate
    except soundfile.LibsndfileError:
        raise NoSound("This is no recording that can be opened: give a WAV, FLAC, OGG or MP3 file.") from None
    if len(samples) > LONGEST * rate:  # a file that says too little of itself
        raise _too_long()
    return prepared(samples, rate)


def _one_channel(file: SoundFile) -> Samples:
    """The mean of the channels, a second at a time: eight of them, whole, would take 180 MB."""
    most = int(LONGEST * file.samplerate) + 1
    parts = file.blocks(blocksize=file.samplerate, frames=most, dtype="float32", always_2d=True)
    means: list[Samples] = [part.mean(axis=1) for part in parts]
    return np.concatenate(means) if means else np.zeros(0, np.float32)


def _check(file: SoundFile) -> None:
    """Look at what a file says of itself, before any of it is decoded."""
    if file.format not in FORMATS:
        raise NoSound(f"This is a {file.format} file: give a WAV, FLAC, OGG or MP3 file.")
    if file.samplerate not in _RATES or file.channels > _CHANNELS:
        raise NoSound(
            f"This recording has {file.channels} channels of {file.samplerate:,} samples a second; up to {_CHANNELS} "
            f"of {_RATES.start:,} to {_RATES.stop - 1:,} can be read."
        )
    if file.frames > LONGEST * file.samplerate:
        raise _too_long(file.frames / file.samplerate)


def prepared(samples: NDArray[Any], rate: int) -> Samples:
    """One channel [sample] at any rate → 16 kHz, checked: finite, neither too short nor silent."""
    from scipy.signal import resample_poly

    samples = np.nan_to_num(np.asarray(samples, np.float32), posinf=0.0, neginf=0.0)
    if len(samples) < SHORTEST * rate:
        raise NoSound(f"This recording is shorter than {SHORTEST} s: nothing can be heard in it.")
    if not float(np.abs(samples).max()) > QUIET:
        raise NoSound("This recording is silent: check that the microphone is on, and speak a little nearer to it.")
    common = gcd(RATE, rate)
    if rate != RATE:
        samples = resample_poly(samples, RATE // common, rate // common)
    clipped: Samples = np.clip(samples, -1, 1).astype(np.float32)
    return clipped


def _too_long(seconds: float | None = None) -> NoSound:
    said = "more than that" if seconds is None else f"{seconds:.0f} s"
    return NoSound(f"At most {LONGEST} s are listened to, and this recording has {said}: cut it, or record a part.")
