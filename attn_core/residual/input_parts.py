"""Where E comes from: the vector of a word, the vector of its place, and what a model does to their sum.

Families differ: some add a vector for each position (BERT, GPT-2), some for each segment too (BERT), some scale the
word's vector first (Marian), some normalise or project the sum (BERT, ELECTRA), and rotary models add nothing. No table
of names says which: the model's own tables are tried, and only what gives the model's own E, number by number, is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from attn_core.traces import parity

_FIRST_ROWS = (0, 1, 2)  # position tables of some families begin after one or two rows that mean something else


@dataclass(frozen=True, eq=False)
class InputParts:
    """The parts of E, all [token, width]; `position` and `segment` are None where a model adds none.

    `summed` = factor · token + position + segment; each of `steps` is what a module made of the result before it, with
    that module's kind ("LayerNorm"). The last result is E.
    """

    token: Tensor
    factor: float
    position: Tensor | None
    segment: Tensor | None
    summed: Tensor
    steps: tuple[tuple[str, Tensor], ...]

    @property
    def embedding(self) -> Tensor:
        """E as these parts give it, [token, d_model]."""
        return self.steps[-1][1] if self.steps else self.summed


@torch.inference_mode()
def input_parts(model: nn.Module, ids: Sequence[int], embedding: Tensor) -> InputParts | None:
    """Take E [token, d_model], the stream that entered the first layer, apart; None where no reading fits it.

    `model` is the library's model, which has `get_input_embeddings`; its modules are only read, never changed.
    """
    table = model.get_input_embeddings().weight.detach()  # type: ignore[operator]
    token = table[torch.tensor(list(ids))]
    tables = [m.weight.detach() for m in model.modules() if isinstance(m, nn.Embedding)]
    others = [t for t in tables if t.shape[1] == token.shape[1] and t.data_ptr() != table.data_ptr()]
    positions = [None, *(t[a : a + len(token)] for t in others for a in _FIRST_ROWS if len(t) >= a + len(token))]
    segments = [None, *(t[:1].expand_as(token) for t in others)]
    for position, segment, factor in product(positions, segments, (1.0, math.sqrt(token.shape[1]))):
        summed = factor * token
        summed = summed if position is None else summed + position
        summed = summed if segment is None else summed + segment
        for steps in _steps(model, summed, embedding.shape[1]):
            parts = InputParts(token, factor, position, segment, summed, steps)
            if parity.same(parts.embedding, embedding):
                return parts
    return None


def _steps(model: nn.Module, summed: Tensor, d_model: int) -> Iterator[tuple[tuple[str, Tensor], ...]]:
    """What may happen to the sum: nothing, a norm, a projection, or a norm and then a projection."""
    if summed.shape[1] == d_model:
        yield ()
    normed = [(type(m).__name__, m(summed)) for m in model.modules() if _is_norm(m, summed.shape[1])]
    if summed.shape[1] == d_model:
        yield from ((step,) for step in normed)
        return
    linears = [m for m in model.modules() if isinstance(m, nn.Linear) and m.weight.shape == (d_model, summed.shape[1])]
    for linear in linears:
        yield (("projection", linear(summed)),)
        yield from ((step, ("projection", linear(step[1]))) for step in normed)


def _is_norm(module: nn.Module, width: int) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.shape == (width,) and not list(module.children())
