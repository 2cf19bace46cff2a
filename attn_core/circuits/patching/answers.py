"""What is measured at the end of a pass: one number d, by which two sentences differ and of which patches move a part.

    language models   the logit of A's word minus the logit of B's, after the last token
    encoders          cos(vector, A's) − cos(vector, B's), the vector being what the last layer says of one position
    translators       the log-probability of a target that both passes read, without its end sign

Source: Wang et al. 2023 (logit difference); Heimersheim & Nanda 2024, section 3, on what each of them hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy.special import log_softmax

from attn_core.circuits.patching.pairing import Pairs
from attn_core.errors import HeadlightError, check_index
from attn_core.prediction.next_token import name_of, predicts
from attn_core.residual.geometry import cosine
from attn_core.text.decoding import visible
from attn_core.text.unknown_words import is_unknown
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace

if TYPE_CHECKING:
    from attn_core.capture.model import Model

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Word = str | int
LIKELY = 0.001  # what a word's probability is at least, in one of two sentences, to be an answer by itself


class Answer(Protocol):
    """How d is read off what the last layer says."""

    @property
    def says(self) -> str:
        """What d is, in words."""

    def of(self, final: Floats, side: int) -> Floats:
        """d of passes over sentence A (`side` 0) or B (1): [row, query, d_model] → float64 [row]."""


@dataclass(frozen=True, eq=False)
class LogitDifference:
    """logit(A's word) − logit(B's word) after one position of either sentence."""

    stream: StreamTrace
    words: tuple[int, int]
    positions: tuple[int, int]  # of A, of B

    @property
    def names(self) -> tuple[str, str]:
        """The two words as a person reads them."""
        return name_of(self.stream, self.words[0]), name_of(self.stream, self.words[1])

    @property
    def says(self) -> str:
        first, second = (visible(name) for name in self.names)
        return f"logit of “{first}” minus logit of “{second}”"

    def of(self, final: Floats, side: int) -> Floats:
        logits = self.stream.read_words(final[:, self.positions[side]]).astype(np.float64)  # [row, word]
        difference: Floats = logits[:, self.words[0]] - logits[:, self.words[1]]
        return difference


@dataclass(frozen=True, eq=False)
class NearerTo:
    """cos(vector, A's) − cos(vector, B's) of what the last layer says of one position."""

    vectors: tuple[Floats, Floats]  # [d_model] each, of A and of B
    positions: tuple[int, int]

    @property
    def says(self) -> str:
        return "cosine with A’s vector minus cosine with B’s"

    def of(self, final: Floats, side: int) -> Floats:
        own = final[:, self.positions[side]].astype(np.float64)  # [row, d_model]
        first, second = (cosine(own, vector.astype(np.float64)[None]) for vector in self.vectors)
        difference: Floats = first - second
        return difference


@dataclass(frozen=True, eq=False)
class TargetProbability:
    """log P(target | source), each word of the target given those before it, its end sign left out."""

    stream: StreamTrace

    @property
    def says(self) -> str:
        return "log-probability of the target"

    def of(self, final: Floats, side: int) -> Floats:
        ids = self.stream.tokens.ids
        chances = log_softmax(self.stream.read_words(final[:, :-1]).astype(np.float64), axis=-1)  # [row, query, word]
        total: Floats = chances[:, np.arange(len(ids) - 1), ids[1:]].sum(axis=1)
        return total


def answer_of(
    model: Model, a: Trace, b: Trace, answer: Sequence[Word] | None = None, position: int | None = None
) -> Answer:
    """What is measured: by two words (A's, then B's) or, of an encoder, at a position of B.

    Without words, a language model's own likeliest next words are taken. Raises ValueError or HeadlightError, each with
    a sentence, where this measures nothing.
    """
    stream = "decoder" if b.kind == "encoder-decoder" else "self"
    own, other = b.stream(stream), a.stream(stream)
    if not predicts(own):
        if answer is not None:
            raise ValueError(
                f"{model.name} predicts no next word: name the position whose vector is compared, not words"
            )
        return _nearer_to(model, other, own, position)
    if b.kind == "encoder-decoder" and answer is None:
        if len(own.tokens) < 2:
            raise HeadlightError("The target has no word yet, so it has no probability: give at least one.")
        return TargetProbability(own)
    places = _places(other, own, position)
    words = likeliest_words(other, own, places) if answer is None else _ids(model, own, answer)
    return LogitDifference(own, words, places)


def likeliest_words(a: StreamTrace, b: StreamTrace, positions: tuple[int, int]) -> tuple[int, int]:
    """The likeliest next words of A and of B; where they are the same, those whose logits move most between the two."""
    of_a, of_b = (stream.logits(at).astype(np.float64) for stream, at in zip((a, b), positions, strict=True))
    best = int(of_a.argmax()), int(of_b.argmax())
    if best[0] != best[1]:
        return best
    likely = log_softmax(np.stack([of_a, of_b]), axis=1).max(axis=0) > np.log(LIKELY)  # no word that nobody would say
    moved = np.where(likely, of_a - of_b, np.nan)
    found = int(np.nanargmax(moved)), int(np.nanargmin(moved))
    if found[0] == found[1]:
        raise HeadlightError(
            "Both sentences go on with the same word and hardly any other: name two words that differ."
        )
    return found


def _places(a: StreamTrace, b: StreamTrace, position: int | None) -> tuple[int, int]:
    if position is None:
        return len(a.tokens) - 1, len(b.tokens) - 1
    check_index("position", position, len(b.tokens), "sentence B")
    return Pairs.of(a.tokens, b.tokens).partner(position), position


def _nearer_to(model: Model, a: StreamTrace, b: StreamTrace, position: int | None) -> NearerTo:
    if position is None:
        raise ValueError(f"{model.name} predicts no next word: name a position=, whose vector is compared")
    places = _places(a, b, position)
    return NearerTo((a.final_embedding()[places[0]], b.final_embedding()[places[1]]), places)


def _ids(model: Model, b: StreamTrace, answer: Sequence[Word]) -> tuple[int, int]:
    if isinstance(answer, str) or len(answer) != 2:
        raise ValueError(f"answer must be two words or ids, A's and B's, got {answer!r}")
    first, second = (word_id(model, b, word) for word in answer)
    if first == second:
        raise HeadlightError("Both answers are the same word, so nothing tells them apart: name two.")
    return first, second


def word_id(model: Model, stream: StreamTrace, word: Word) -> int:
    """The one token that a word is where it would follow the sentence; an id as it is.

    Raises HeadlightError for a word that this model does not know or writes with several tokens.
    """
    if not isinstance(word, str):
        return model.read([word], target=stream.name == "decoder").ids[0]
    said = word.strip()
    if not said:
        raise HeadlightError("An answer is one word: type it, for example Mary.")
    if stream.name == "decoder":
        read, before = model.read(said, target=True, beside=stream.tokens), 0
    else:  # as it is read behind the sentence's last word
        last = (stream.tokens.text.split() or ["a"])[-1]
        read, before = model.read(f"{last} {said}", beside=stream.tokens), len(model.read(last).ids)
    found = [at for at in range(before, len(read)) if not read.special[at]]
    ids = [read.ids[at] for at in found]
    if len(ids) != 1:
        raise HeadlightError(f"“{visible(said)}” is {len(ids)} tokens to this model; an answer is one of its tokens.")
    if is_unknown(read.labels[found[0]]) and ids[0] not in stream.tokens.ids:
        raise HeadlightError(
            f"“{visible(said)}” is a word that this model has not met; an answer is one that it knows."
        )
    return ids[0]
