"""The way back from a trace to the model it came from, without keeping that model's weights alive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Never

from torch import Tensor, nn

from attn_core.errors import NoModel
from attn_core.traces.changes import model_in_python


@dataclass(frozen=True)
class Vocabulary:
    """The words a model can read or write, as vectors: `matrix` [word, d_model] is the model's own, not a copy.

    `kind` says whose rows they are: "unembedding" (what the model predicts with) or "input embedding".
    """

    matrix: Tensor
    kind: str
    word: Callable[[int], str]


def _nobody_can(_: str) -> None:
    """Nothing to look at: nobody holds the weights who could change them."""


class Source(NamedTuple):
    """What a trace may ask of its model; one that was unloaded is loaded again."""

    module: Callable[[], nn.Module]
    vocabulary: Callable[[], Vocabulary]
    logits: Callable[[Tensor], Tensor]
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

        return Source(lambda: self, nothing, nothing, wrapped=self._wrapped)
