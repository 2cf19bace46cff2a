"""What the positions of an image or of a sound are called, where a model reads no words: "patch 3,4", "0.02 s".

A patch is named by its row and column, counted from 0 at the top left; a moment of sound by when it begins.
Sources: Dosovitskiy et al. 2021 (patches), Baevski et al. 2020 (a convolution makes one position of 320 samples).
"""

from __future__ import annotations

import math
from typing import Any

from attn_core.text.decoding import Name
from attn_core.text.tokens import Tokens

SAMPLES_PER_SECOND = 16_000  # that models of raw sound are made for
MOST_BEFORE = 16  # positions that stand before an image's patches: a class, registers


def of_pixels(config: Any, shape: tuple[int, ...], n_positions: int) -> Tokens:
    """The positions of an image, `shape` [..., height, width], row after row; what stands before them is special."""
    height, width = shape[-2:]
    patch = getattr(config, "patch_size", None)
    tall, wide = patch if isinstance(patch, list | tuple) else (patch, patch)
    said = f"{height} × {width} pixels"
    if not tall or not wide:
        return _named(said, [], [f"position {i}" for i in range(n_positions)])
    rows, columns = height // tall, width // wide
    n_before = n_positions - rows * columns
    if not 0 <= n_before <= MOST_BEFORE:
        return _named(said, [], [f"position {i}" for i in range(n_positions)])
    before = ["[CLS]", *(f"[register {i}]" for i in range(1, MOST_BEFORE))][:n_before]
    return _named(said, before, [f"patch {row},{column}" for row in range(rows) for column in range(columns)])


def of_samples(config: Any, shape: tuple[int, ...], n_positions: int) -> Tokens:
    """The positions of a sound, `shape` [..., sample], named by when they begin."""
    strides = getattr(config, "conv_stride", None)
    if not strides or len(shape) != 2:
        return _named("sound", [], [f"position {i}" for i in range(n_positions)])
    seconds = math.prod(strides) / SAMPLES_PER_SECOND  # of one position
    said = f"{shape[-1] / SAMPLES_PER_SECOND:.2f} s of sound"
    return _named(said, [], [f"{i * seconds:.2f} s" for i in range(n_positions)])


def of_frames(n_positions: int, n_frames: int) -> Tokens:
    """The positions of a spectrogram, named by when they begin; a frame of it is 10 ms."""
    return _named("", [], [f"{i * n_frames / n_positions / 100:.2f} s" for i in range(n_positions)])


def _named(text: str, before: list[str], labels: list[str]) -> Tokens:
    places, n_before = list(range(len(before) + len(labels))), len(before)
    words = [None if i < n_before else i - n_before for i in places]
    special = [i < n_before for i in places]
    every: list[str] = [Name(name) for name in (*before, *labels)]
    return Tokens(text, places, every, special, words, list(every))


NAMES = {"pixel_values": of_pixels, "input_values": of_samples}
