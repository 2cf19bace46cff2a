"""Numbers as JavaScript says them while a pointer moves: the same words as text/numbers.py has for them."""

from __future__ import annotations

import json

import numpy as np
from canvas_recorder import Recorder

from attn_core.figures import scripts
from attn_core.text import decoding, numbers


def test_both_languages_say_numbers_in_the_same_words(recorder: Recorder) -> None:
    rng = np.random.default_rng(0)
    known = [0, 1e-6, 0.0001, 0.00042, 0.0053, 0.0099, 0.0534, 0.0949, 0.125, 0.1934, 0.375, 0.9949, 0.9951, 0.9999]
    halves = [k / 64 for k in range(-300, 300)]  # exact halves are where the languages' own rounding differs
    drawn_ = np.concatenate([rng.random(500) ** 8, rng.normal(size=500) * 30, rng.normal(size=200) * 3000])
    cells = [float(number) for number in np.float32(drawn_)]
    asked = [*known, 0.99996, 1, -1e-7, 12345.5, *halves, *cells]
    say = "given.map((x) => [percent(x), significant(x), significant(x, 2), inCell(x), points(x)])"
    said = recorder.run(f"{scripts.asset('canvas/numbers.js')}; return {say};", asked)
    wanted = [
        [
            numbers.percent(x),
            numbers.significant(x),
            numbers.significant(x, 2),
            numbers.in_cell(x),
            numbers.points(x),
        ]
        for x in asked
    ]
    assert json.dumps(said) == json.dumps(wanted)


def test_both_languages_read_blanks_aloud_in_the_same_words(recorder: Recorder) -> None:
    labels = ["fox", "⏎", "⏎⏎", "␠a", "⇥", "⏎ (3)", "a  b"]
    script = f"{scripts.NAMES}{scripts.asset('canvas/spoken.js')}"
    said = recorder.run(f"{script}; return given.map(spoken);", labels)
    assert said == [*map(decoding.aloud, labels[:-1]), "a  b"]  # what has no sign stays as it is
