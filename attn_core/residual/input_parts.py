"""Where E comes from: the vector of a word, the vector of its place, and what a model does to their sum.

Families differ: some add a vector for each position (BERT, GPT-2), some for each segment too (BERT), some scale the
word's vector first (Marian), some normalise or project the sum (BERT, ELECTRA), and rotary models add nothing. No table
of names says which: the model's own tables are tried, and only what gives the model's own E, number by number, is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from attn_core.attention import embed
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


@dataclass(frozen=True, eq=False)
class _Reading:
    """One way in which a model may make E: rows that are added, a factor, and modules that follow."""

    position: Tensor | None  # [place, width], the first row for the first token
    segment: Tensor | None  # [segment, width]
    factor: float
    modules: tuple[tuple[str, nn.Module], ...]

    def parts(self, token: Tensor, types: Sequence[int], places: Sequence[int]) -> InputParts | None:
        """E's parts for these vectors of words [token, width], the segment and the place of each; None where there are
        fewer places in the table, or fewer segments."""
        if self.position is not None and len(self.position) <= max(places):
            return None
        if self.segment is not None and len(self.segment) <= max(types):
            return None
        position = None if self.position is None else self.position[list(places)]
        segment = None if self.segment is None else self.segment[list(types)]  # [token, width]
        summed = embed(token, position, segment, factor=self.factor)
        steps, result = [], summed
        for kind, module in self.modules:
            result = module(result)
            steps.append((kind, result))
        return InputParts(token, self.factor, position, segment, summed, tuple(steps))


# How a model was read before: a page asks again and again, and the search may take hundreds of tries. An encoder and a
# decoder of one model are read in turn, each by its own reading.
_known: WeakKeyDictionary[nn.Module, list[_Reading]] = WeakKeyDictionary()


def input_parts(
    model: nn.Module, ids: Sequence[int], embedding: Tensor, types: Sequence[int] | None = None
) -> InputParts | None:
    """Take E [token, d_model], the stream that entered the first layer, apart; None where no reading fits it.

    `types` are the tokens' segments (`Tokens.types`), by default the first for all. `model` is the library's model,
    which has `get_input_embeddings`; its modules are only read, never changed.
    """
    found = input_parts_and_modules(model, ids, embedding, types)
    return None if found is None else found[0]


@torch.inference_mode()
def input_parts_and_modules(
    model: nn.Module,
    ids: Sequence[int],
    embedding: Tensor,
    types: Sequence[int] | None = None,
    places: Sequence[int] | None = None,
) -> tuple[InputParts, tuple[nn.Module, ...]] | None:
    """The parts of E, and the model's own modules that made `steps` of their sum; for who keeps neither.

    `places` are where the tokens stand in the sentence, by default one after the other from its start.
    """
    table = model.get_input_embeddings().weight.detach()  # type: ignore[operator]
    token = table[torch.tensor(list(ids))]
    known = _known.setdefault(model, [])
    for reading in chain([*known], _readings(model, table, embedding.shape[1])):
        parts = reading.parts(token, types or [0] * len(token), range(len(token)) if places is None else places)
        if parts is not None and parity.same(parts.embedding.float().cpu(), embedding):
            if reading not in known:
                known.append(reading)
            return parts, tuple(module for _, module in reading.modules)
    return None


def _readings(model: nn.Module, table: Tensor, d_model: int) -> Iterator[_Reading]:
    """Every way that is tried, plain ones first; `table` holds the vectors of words, [word, width]."""
    width = table.shape[1]
    tables = [m.weight.detach() for m in model.modules() if isinstance(m, nn.Embedding)]
    others = [t for t in tables if t.shape[1] == width and t.data_ptr() != table.data_ptr()]
    positions = [None, *(t[first:] for t in others for first in _FIRST_ROWS)]
    segments = [None, *others]
    chains = list(_chains(model, width, d_model))
    for position, segment, factor in product(positions, segments, (1.0, math.sqrt(width))):
        yield from (_Reading(position, segment, factor, modules) for modules in chains)


def _chains(model: nn.Module, width: int, d_model: int) -> Iterator[tuple[tuple[str, nn.Module], ...]]:
    """What may happen to the sum: nothing, a norm, a projection, or a norm and then a projection."""
    norms = [((type(m).__name__, m),) for m in model.modules() if _is_norm(m, width)]
    if width == d_model:
        yield from ((), *norms)
        return
    linears = [m for m in model.modules() if isinstance(m, nn.Linear) and m.weight.shape == (d_model, width)]
    for linear in linears:
        yield (("projection", linear),)
        yield from ((*norm, ("projection", linear)) for norm in norms)


def _is_norm(module: nn.Module, width: int) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.shape == (width,) and not list(module.children())
