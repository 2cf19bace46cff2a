"""The way back from a trace to the model it came from, without keeping that model's weights alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn


@dataclass(frozen=True)
class Vocabulary:
    """The words a model can read or write, as vectors: `matrix` [word, d_model] is the model's own, not a copy.

    `kind` says whose rows they are: "unembedding" (what the model predicts with) or "input embedding".
    """

    matrix: Tensor
    kind: str
    word: Callable[[int], str]


class Source(NamedTuple):
    """What a trace may ask of its model; each raises HeadlightError once that model has been unloaded."""

    module: Callable[[], nn.Module]
    vocabulary: Callable[[], Vocabulary]
    logits: Callable[[Tensor], Tensor]
