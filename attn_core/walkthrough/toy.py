"""A head small enough to work out by hand: five words, vectors of six numbers, queries and keys of two.

Nothing in here was learnt. The numbers were chosen so that the noun asks for adjectives and the adjectives answer,
and so that every product can be checked on paper. It is a *toy*, and whatever shows it says so.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from attn_core import masks
from attn_core.attention import AttentionWeights, embed
from attn_core.walkthrough.head import HeadInputs

WORDS = ("a", "fluffy", "blue", "creature", "roamed")
MEANINGS = ("noun", "adjective", "fluffy", "blue", "moves", "place")  # what each of the six numbers stands for
SHUFFLED = (4, 3, 0, 1, 2)  # where each word stands when places are shuffled: "blue creature roamed fluffy a"


@dataclass(frozen=True, eq=False)
class Toy:
    """The six tables of the toy: two of vectors [word, 6], three matrices [6, 2] and one [2, 6]."""

    tokens: Tensor  # [word, d_model]: what each word means
    places: Tensor  # [word, d_model]: where each word stands
    w_q: Tensor  # [d_model, d_head]
    w_k: Tensor  # [d_model, d_head]
    w_v: Tensor  # [d_model, d_head]
    w_o: Tensor  # [d_head, d_model]

    @property
    def embedding(self) -> Tensor:
        """E, the sum of meaning and place, [word, d_model]."""
        return embed(self.tokens, self.places)

    def inputs(self, order: Tensor | None = None) -> HeadInputs:
        """The toy as the inputs of one head, in which a word sees itself and the words before it.

        With an `order`, word i stands at place `order[i]`: it takes that place's vector and sees what is before it.
        """
        shuffled = None if order is not None else lambda: self.inputs(torch.tensor(SHUFFLED))
        order = torch.arange(len(self.tokens)) if order is None else order
        return HeadInputs(
            x=embed(self.tokens, self.places[order]),
            w_o=self.w_o,
            weights=AttentionWeights(self.w_q, self.w_k, self.w_v, self.w_o),
            may_look=masks.causal(len(order), len(order))[order][:, order],
            shuffled=shuffled,
        )

    def with_table(self, name: str, numbers: Tensor) -> Toy:
        """The toy with one table replaced; refuses another shape and numbers that are not finite."""
        table = getattr(self, name)
        if numbers.shape != table.shape:
            raise ValueError(f"{name} is {list(table.shape)}, not {list(numbers.shape)}")
        if not bool(torch.isfinite(numbers).all()):
            raise ValueError(f"{name} may only hold finite numbers")
        return replace(self, **{name: numbers.to(table.dtype)})

    @classmethod
    def tables(cls) -> tuple[str, ...]:
        """The names of the six tables, in the order of the stages that use them."""
        return tuple(each.name for each in fields(cls))


def toy() -> Toy:
    """The toy as it was made.

    A noun's query is (4, 1): four parts "are you an adjective?", one part "are you near?". An adjective's key says
    yes, and a key's second number is half its place. W_V keeps what is fluffy and what is blue; W_O puts it back.

    >>> from attn_core.walkthrough.head import run_stages
    >>> run_stages(toy().inputs()).raw_scores[3].tolist()
    [0.5, 9.0, 9.5, 2.0, 2.5]
    """
    return Toy(
        tokens=torch.tensor(
            [  # noun, adjective, fluffy, blue, moves, place
                [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # a
                [0.0, 1.0, 1.0, 0.0, 0.0, 0.0],  # fluffy
                [0.0, 1.0, 0.0, 1.0, 0.0, 0.0],  # blue
                [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # creature
                [0.0, 0.0, 0.0, 0.0, 1.0, 0.0],  # roamed
            ]
        ),
        places=torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, place] for place in (1.0, 2.0, 3.0, 4.0, 5.0)]),
        w_q=torch.tensor([[4.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]),
        w_k=torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.5]]),
        w_v=torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]),
        w_o=torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]]),
    )
