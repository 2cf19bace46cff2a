"""A recording and what a speech model wrote of it: when each word was said, and where each looked. No Streamlit.

sound = spectrogram(model, samples)                       # what the encoder reads, computed once
written = listen(model, sound, turn, told)                # a few seconds
heard = look_across(model, samples, sound, written, run)  # one pass; `Heard` keeps only what is drawn
by_head = HeardByHead(heard, "mean", None)                # … by one head, or the mean of the alignment heads
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from attn_core.prediction.transcription import MOST, alignment_heads, opening, transcribe
from attn_core.sound.spectrogram import HOP, log_mel
from attn_core.sound.word_times import POSITIONS_A_SECOND, token_starts
from attn_core.text.decoding import visible
from attn_core.text.numbers import percent, unbroken
from ui import words
from ui.drawing import markup

if TYPE_CHECKING:
    from attn_core import Model
    from attn_core.prediction.writing import Turn
    from attn_core.sound.decoding import Samples
    from attn_core.traces.parity import Parity
    from attn_core.traces.stream import StreamTrace
    from attn_core.traces.trace import Trace

WORDS = words.beside(__file__)
MEAN = "mean"  # of the alignment heads
Floats = NDArray[np.floating[Any]]


class SaidWord(NamedTuple):
    """A word, its tokens from `first` up to `end` (excluded), and when it was said, in seconds."""

    label: str
    first: int
    end: int
    begins: float
    ends: float


@dataclass(frozen=True, eq=False)
class Heard:
    """What is kept of a recording that was listened to: no trace, which would take 100 MB.

    `cross` is the cross-attention [layer, head, token, position], cut to the recording; a token's row is the one that
    produced it. `ended` is False where the transcript was cut.
    """

    samples: Samples
    tokens: list[str]
    words: list[SaidWord]
    cross: NDArray[np.float32]
    alignment: list[tuple[int, int]]
    parity: Parity
    ended: bool

    @property
    def n_bytes(self) -> int:
        return self.samples.nbytes + self.cross.nbytes + 200 * len(self.tokens)

    @property
    def seconds(self) -> float:
        return len(self.samples) / HOP / 100

    @property
    def text(self) -> str:
        return "".join(self.tokens).strip()


def listen(model: Model, sound: Floats, turn: Turn, told: Callable[[list[int]], None]) -> list[int]:
    """The tokens that the model writes of a spectrogram; `told` hears them as they come. Each waits its `turn`."""
    written: list[int] = []
    for token in transcribe(model, sound, turn=turn):
        written.append(token)
        told(written)
    return written


def look_across(
    model: Model, samples: Samples, sound: Floats, written: Sequence[int], run: Callable[..., Trace]
) -> Heard:
    """Read all that was written in one pass, and keep what the cross heads did; `run(audio=…, target=…)` traces.

    Whisper tiny's trace of half a minute takes 107 MB meanwhile, for all that `check` compares.
    """
    begin = opening(model)
    end = model.hf.config.eos_token_id
    trace = run(audio=sound, target=[*begin, *written, end])
    n_positions = model.hf.config.max_source_positions
    cross, cut = trace.stream("cross"), max(1, min(len(samples) // HOP // 2, n_positions))
    weights = np.stack(
        [cross.patterns(layer)[..., :cut] for layer in range(cross.n_layers)]
    )  # [layer, head, row, position]
    heads = alignment_heads(model)
    starts = token_starts(np.stack([weights[head] for head in heads]), len(begin) - 1) if written else np.zeros(1)
    kept = weights[:, :, len(begin) - 1 : len(begin) - 1 + len(written)]
    return Heard(
        samples,
        [model.tokenizer.decode([token]) for token in written],
        _words(trace.stream("decoder"), len(begin), len(written), starts),
        np.ascontiguousarray(kept),
        heads,
        trace.check(),
        len(written) < min(MOST, model.limit - len(begin) - 1),
    )


def spectrogram(model: Model, samples: Samples) -> Floats:
    """What the model's encoder reads of a recording, [band, frame]; silence fills it up to the encoder's length."""
    return log_mel(samples, model.hf.config.num_mel_bins, model.hf.config.max_source_positions / POSITIONS_A_SECOND)


def _words(decoder: StreamTrace, first: int, count: int, starts: Floats) -> list[SaidWord]:
    """Tokens put together into words, each from where its first begins to where the next word does."""
    tokens = decoder.tokens
    belongs = tokens.words[first : first + count]
    begins = [i for i in range(count) if i == 0 or belongs[i] is None or belongs[i] != belongs[i - 1]]
    return [
        SaidWord(
            visible("".join(tokens.labels[first + i] for i in range(at, to)).strip()),
            at,
            to,
            float(starts[at]),
            float(starts[to]),
        )
        for at, to in zip(begins, [*begins[1:], count], strict=True)
    ]


@dataclass(frozen=True)
class HeardByHead:
    """What was heard, as one head ("3.1") or the mean of the alignment heads ("mean") saw it, and the chosen word."""

    heard: Heard
    by: str
    asked: int | None

    @cached_property
    def weights(self) -> Floats:
        """[token, position]; what is missing to 1 fell behind the recording's end."""
        heads = self.heard.alignment if self.by == MEAN else [head_of(self.by)]
        mean: Floats = np.mean([self.heard.cross[head] for head in heads], axis=0)
        return mean

    @property
    def who(self) -> str:
        """How a sentence calls it."""
        return WORDS.text("sound.who", "mean" if self.by == MEAN else "one", head=self.by, n=len(self.heard.alignment))

    @cached_property
    def inside(self) -> list[float]:
        """For every word, the share of its rows' weight that lies where it was said."""
        return [self._inside(word) for word in self.heard.words]

    def _inside(self, word: SaidWord) -> float:
        begin, end = (round(at * POSITIONS_A_SECOND) for at in (word.begins, word.ends))
        return float(self.weights[word.first : word.end, begin : max(end, begin + 1)].sum(axis=1).mean())

    @property
    def word(self) -> int:
        """The chosen word or, of those with four letters and more, the one that is seen most clearly."""
        if self.asked is not None and self.asked < len(self.heard.words):
            return self.asked
        long = [i for i, word in enumerate(self.heard.words) if len(word.label) > 3] or range(len(self.heard.words))
        return max(long, key=lambda i: self.inside[i], default=0)

    def lead(self) -> Markup:
        """The headline: one word, when it was said, and how much of the weight lies there."""
        if not self.heard.words:
            return WORDS.html("sound.nothing")
        word, share = self.heard.words[self.word], self.inside[self.word]
        return WORDS.html(
            "sound.lead",
            word=markup.query(word.label),
            begins=f"{word.begins:.2f}",
            ends=f"{word.ends:.2f}",
            who=self.who,
            share=unbroken(percent(share)),
        )

    def table(self) -> pd.DataFrame:
        """Every word: when it was said, and where its rows look."""
        peaks = [
            float(self.weights[word.first : word.end].mean(axis=0).argmax()) / POSITIONS_A_SECOND
            for word in self.heard.words
        ]
        return pd.DataFrame(
            {
                "word": [word.label for word in self.heard.words],
                "begins (s)": [word.begins for word in self.heard.words],
                "ends (s)": [word.ends for word in self.heard.words],
                "looks most at (s)": peaks,
                "weight inside": [100 * share for share in self.inside],
            }
        )

    def scaled(self) -> Floats:
        """The weights, each row relative to its largest: a picture of where, not of how much."""
        most = self.weights.max(axis=1, keepdims=True)
        relative: Floats = np.divide(self.weights, most, out=np.zeros_like(self.weights), where=most > 0)
        return relative


def head_of(name: str) -> tuple[int, int]:
    """ "3.1" → (3, 1)."""
    layer, head = name.split(".")
    return int(layer), int(head)


def envelope(samples: Samples, bins: int) -> Floats:
    """The lowest and highest sample of each of so many equal parts, [2, bin]."""
    edges = np.linspace(0, len(samples), bins + 1).astype(int)[:-1]
    return np.stack([np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)])


def head_names(n_layers: int, n_heads: int) -> Sequence[str]:
    return [f"{layer}.{head}" for layer in range(n_layers) for head in range(n_heads)]
