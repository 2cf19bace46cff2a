"""The way back from a trace to the model it came from, without keeping that model's weights alive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Never

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from torch import Tensor, nn

from attn_core.errors import NoModel
from attn_core.text.tokens import Tokens
from attn_core.traces.changes import model_in_python


@dataclass(frozen=True)
class Vocabulary:
    """The words a model can read or write, as vectors: `matrix` [word, d_model] is the model's own, not a copy.

    `kind` says whose rows they are: "unembedding" (what the model predicts with) or "input embedding".
    """

    matrix: Tensor
    kind: str
    words: Callable[[Sequence[int]], list[str]]  # how they are read, each by itself

    def word(self, i: int) -> str:
        """How one word is read; for several, `words` asks the tokenizer once."""
        return self.words([i])[0]


@dataclass(frozen=True)
class OwnHead:
    """What a model's own head says of its last states.

    `task` is "text" (labels of the whole), "token" (labels of every token), "span" (where an answer starts and ends) or
    "word" (the word that belongs at a token). `law` says how logits are read: "softmax" (over labels, of a span over
    tokens), "sigmoid" (each label alone) or "number" (as they are). `modules` are those that it is made of.
    """

    task: str
    labels: tuple[str, ...]
    law: str
    modules: tuple[str, ...]


class LabelProbabilities(NamedTuple):
    """What a head says: `task` is "text", "token" or "span", see `OwnHead`; `probabilities` and `logits` are alike.

    Of a text [label]; of tokens [token, label], and each row sums to 1; of a span [token, 2], start and end, and each
    column sums to 1. By the `law` "sigmoid" each label is likely by itself, by "number" they are no probabilities but
    what the head gives (a regression).
    """

    task: str
    labels: tuple[str, ...]
    law: str
    probabilities: NDArray[np.float64]
    logits: NDArray[np.float64]

    def best(self, position: int | None = None) -> list[tuple[str, float]]:
        """All labels with their probabilities, the likeliest first; of a head that says one of every token, there."""
        if (position is None) != (self.task == "text"):
            raise ValueError("give a position to a head that says something of every token, and to no other")
        row = self.probabilities if position is None else self.probabilities[position]
        order = np.argsort(-row, kind="stable")
        return [(self.labels[i], float(row[i])) for i in order]

    @classmethod
    def of(cls, says: OwnHead, logits: NDArray[np.float64]) -> LabelProbabilities:
        """What a head says by its logits, [label] or [token, label]."""
        if says.law == "number":
            return cls(says.task, says.labels, says.law, logits, logits)
        of_span = says.task == "span"
        chances = expit(logits) if says.law == "sigmoid" else softmax(logits, axis=0 if of_span else -1)
        return cls(says.task, says.labels, says.law, chances, logits)


class LabelReading(NamedTuple):
    """One logit of a head as a sum over the last states: Σ rows · states + constant; `rows` [token, d_model].

    `logit` is the model's own, which the sum is as far as what the head does besides is held at what it did.
    """

    rows: np.ndarray
    constant: float
    logit: float


class HeadReader(NamedTuple):
    """A model's own head, and the two ways to ask it, of last states [token, d_model] and their tokens.

    `logits` gives [label] or [token, label]; of a head of words, [word] of the one state that it is given. `reading`
    takes the place of one logit there.
    """

    says: OwnHead
    logits: Callable[[Tensor, Tokens], Tensor]
    reading: Callable[[Tensor, Tokens, tuple[int, ...]], LabelReading]


def _nobody_can(_: str) -> None:
    """Nothing to look at: nobody holds the weights who could change them."""


class Source(NamedTuple):
    """What a trace may ask of its model; one that was unloaded is loaded again."""

    module: Callable[[], nn.Module]
    vocabulary: Callable[[], Vocabulary]
    logits: Callable[[Tensor], Tensor]
    word: Callable[[int], str]  # what a person reads for a token id
    own_head: Callable[[], HeadReader]  # raises HeadlightError for a model without one that can be read
    own_pass: float | None = None  # see `Parity`, here and below
    own_weights: float | None = None
    wrapped: bool = False  # a model of somebody's own, which no name loads
    require_unchanged: Callable[[str], None] = _nobody_can  # raises HeadlightError for a module that was changed since


class _KeptOutput(nn.Module):
    """A kept W_O and b_O, which also maps as a linear module does where the model had more than one weight there."""

    weight: Tensor
    bias: Tensor | None

    def forward(self, rows: Tensor) -> Tensor:
        return nn.functional.linear(rows, self.weight, self.bias)


class KeptOutputs(nn.Module):
    """What stands in for the model of a trace that was opened without it: W_O and b_O, where the file holds them.

    Asked for anything else it raises NoModel, which says how to open the trace with its model.
    """

    def __init__(self, name: str, outputs: Mapping[str, tuple[Tensor, Tensor | None]], wrapped: bool = False) -> None:
        super().__init__()
        self._model_name, self._outputs, self._wrapped = name, dict(outputs), wrapped

    def get_submodule(self, target: str) -> nn.Module:
        """The output projection of this name."""
        if target not in self._outputs:
            raise self.missing()
        weight, bias = self._outputs[target]
        module = _KeptOutput()
        module.register_parameter("weight", nn.Parameter(weight, requires_grad=False))
        module.register_parameter("bias", None if bias is None else nn.Parameter(bias, requires_grad=False))
        return module

    def missing(self) -> NoModel:
        """The error that says what to do."""
        name, how = self._model_name, model_in_python(self._model_name, self._wrapped)
        return NoModel(f"This needs the weights of {name}: open it with ac.open_trace(path, model={how}).")

    def source(self) -> Source:
        """The way back of a trace that has no more than this."""

        def nothing(*_: object) -> Never:
            raise self.missing()

        return Source(lambda: self, nothing, nothing, nothing, nothing, wrapped=self._wrapped)
