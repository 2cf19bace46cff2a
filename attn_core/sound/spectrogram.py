"""Whisper's log-mel spectrogram: how loud each band of pitch is, every 10 ms.

Source: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", section 2.2; the bands are
Slaney's (Auditory Toolbox, 1998), evenly spaced up to 1 kHz and by ratios above.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_core.sound.decoding import LONGEST, RATE

WINDOW, HOP = 400, 160  # samples: 25 ms, every 10 ms
FAINTEST = 1e-10  # power that is told from nothing
Floats = NDArray[np.floating[Any]]


def log_mel(samples: Floats, n_bands: int = 80, seconds: float = LONGEST) -> NDArray[np.float32]:
    """Samples [sample] at 16 kHz → [band, frame], silence added up to `seconds`; about −1 (quiet) to 1.5 (loud)."""
    padded = np.zeros(round(seconds * RATE))
    padded[: len(samples)] = samples[: len(padded)]
    around = np.pad(padded, WINDOW // 2, mode="reflect")  # a frame is centred on its time
    frames = np.lib.stride_tricks.sliding_window_view(around, WINDOW)[::HOP][:-1]  # [frame, sample]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2  # [frame, frequency]
    logarithm = np.log10(np.maximum(bands(n_bands) @ power.T, FAINTEST))  # [band, frame]
    floored = np.maximum(logarithm, logarithm.max() - 8)
    scaled: NDArray[np.float32] = ((floored + 4) / 4).astype(np.float32)
    return scaled


@cache
def bands(n_bands: int) -> Floats:
    """How much each frequency counts in each band, [band, frequency]: triangles of equal area, on the mel scale."""
    edges = _hertz(np.linspace(0, _mel(RATE / 2), n_bands + 2))  # where a band begins, peaks and ends
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    frequency = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    triangle = np.maximum(0, np.minimum((frequency - low) / (peak - low), (high - frequency) / (high - peak)))
    weights: Floats = triangle * 2 / (high - low)
    return weights


def _mel(hertz: float) -> float:
    """15 mels a kilohertz up to 1 kHz, then 27 for each factor of 6.4.

    >>> _mel(1000.0), round(_mel(6400.0), 6)
    (15.0, 42.0)
    """
    return 3 * hertz / 200 if hertz < 1000 else float(15 + 27 * np.log(hertz / 1000) / np.log(6.4))


def _hertz(mels: Floats) -> Floats:
    hertz: Floats = np.where(mels < 15, 200 * mels / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    return hertz
