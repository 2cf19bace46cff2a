"""What a model with a head of its own says: labels of a text, labels of its words, or where an answer starts and ends.

    found = trace.label_probabilities()
    found.best()                          # [("POSITIVE", 0.98), ("NEGATIVE", 0.02)]
    best_span(found, may_answer)          # the likeliest answer of a model that answers questions

The head runs over the last states that the trace holds, so a trace of a changed pass says what the change does to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attn_core.errors import HeadlightError
from attn_core.text.decoding import visible

if TYPE_CHECKING:
    from attn_core.traces.source import LabelProbabilities
    from attn_core.traces.stream import StreamTrace

Floats = NDArray[np.float64]
LONGEST_ANSWER = 15  # tokens; the library's own question-answering pipeline allows as many


class Answer(NamedTuple):
    """A stretch of the text, first and last token, and the product of both probabilities."""

    start: int
    end: int
    probability: float


def has_labels(stream: StreamTrace) -> bool:
    """Whether the model has a head that names labels, or an answer's ends, and that can be read."""
    try:
        return stream.own_head.task != "word"
    except HeadlightError:
        return False


def has_probabilities(stream: StreamTrace) -> bool:
    """Whether that head gives probabilities: all do but those that give numbers (a regression)."""
    return has_labels(stream) and stream.own_head.law != "number"


def chances_at(stream: StreamTrace, query: int) -> tuple[list[str], Floats]:
    """What a head says where a token is looked at, as names and probabilities: [label] of the text, or of that token.

    A model that answers questions says both ends of its answer, wherever one looks: first all tokens as its start,
    then all as its end, so that the probabilities sum to 2.
    """
    found = stream.label_probabilities()
    if found.task == "span":
        names = [
            f"{end}: {visible(label)} ({i})" for end in found.labels for i, label in enumerate(stream.tokens.labels)
        ]
        return names, found.probabilities.T.ravel()  # [token, 2] → [2·token]
    return list(found.labels), found.probabilities if found.task == "text" else found.probabilities[query]


def bits_between(before: StreamTrace, after: StreamTrace, query: int) -> float:
    """How far these probabilities moved: KL(before ‖ after) in bits; labels that are likely each alone are summed."""
    from scipy.special import rel_entr  # no first picture waits for scipy

    (_, p), (_, q) = (chances_at(stream, query) for stream in (before, after))
    bits = rel_entr(p, q).sum()
    if before.own_head.law == "sigmoid":
        bits += rel_entr(1 - p, 1 - q).sum()
    return float(max(0.0, bits / np.log(2)))


def best_span(found: LabelProbabilities, may_answer: NDArray[np.bool_], longest: int = LONGEST_ANSWER) -> Answer:
    """The likeliest stretch of at most `longest` tokens that ends where it starts or later.

    `may_answer` [token] says where an answer may lie: a question's own words and special tokens are none.
    Raises HeadlightError where it may lie nowhere, or where the model answers no questions.
    """
    if found.task != "span":
        raise HeadlightError("This model answers no questions, so it has no start and end.")
    if not np.any(may_answer):
        raise HeadlightError("There is no word here that could be an answer.")
    start, end = np.where(np.asarray(may_answer)[:, None], found.probabilities, 0).T  # [token] each
    both = np.outer(start, end)
    both = np.triu(both) - np.triu(both, longest)  # it ends where it starts or later, and is short enough
    first, last = np.unravel_index(both.argmax(), both.shape)
    return Answer(int(first), int(last), float(both[first, last]))
