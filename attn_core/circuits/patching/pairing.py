"""Which position of one sentence takes which of another, and what one sentence gives to be put into the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attn_core.capture.patches import own_rows
from attn_core.errors import HeadlightError
from attn_core.heads import alignment
from attn_core.places import Place
from attn_core.text.decoding import visible
from attn_core.text.tokens import Tokens
from attn_core.traces.trace import Trace

BY_PLACE = ("query", "key", "pattern")  # these say where in the sentence something stands, so they fit there alone
OVER_KEYS = ("key", "value")  # their rows are the words that are looked at


@dataclass(frozen=True)
class Pairs:
    """Positions that belong together, (donor, base) each, and the base's positions that have no partner.

    Equal runs of tokens meet and a token that was replaced is paired with its replacement, as on the page Compare.
    """

    donor: Tokens
    base: Tokens
    positions: tuple[tuple[int, int], ...]
    alone: tuple[int, ...]

    @classmethod
    def of(cls, donor: Tokens, base: Tokens) -> Pairs:
        """Pair two sentences by what their tokens are called."""
        places = list(zip(*alignment.align(donor.labels, base.labels), strict=True))
        both = tuple((i, j) for i, j in places if i is not None and j is not None)
        return cls(donor, base, both, tuple(j for i, j in places if i is None and j is not None))

    @property
    def one_to_one(self) -> bool:
        """Whether every position has a partner at the same place."""
        n = len(self.base)
        return len(self.donor) == n and self.positions == tuple((i, i) for i in range(n))

    def partner(self, position: int) -> int:
        """The donor's position for one of the base's; raises HeadlightError where there is none."""
        found = {base: donor for donor, base in self.positions}
        if position not in found:
            word = visible(self.base.labels[position])
            raise HeadlightError(
                f"“{word}” ({position}) has no partner in the other sentence, so nothing can be put there."
            )
        return found[position]

    def left_out(self) -> str:
        """A sentence about the positions without a partner; "" where all have one."""
        if not self.alone:
            return ""
        words = ", ".join(f"“{visible(self.base.labels[j])}” ({j})" for j in self.alone)
        if len(self.alone) == 1:
            return f"{words} has no partner in the other sentence and stayed as it was."
        return f"{words} have no partner in the other sentence and stayed as they were."


def pairs_for(kind: str, donor: Trace, base: Trace, stream: str) -> Pairs:
    """The pairs of what a place's rows are; raises HeadlightError where such a tensor can't move between them."""
    axis = 1 if kind in OVER_KEYS else 0
    pairs = Pairs.of(donor.tokens_of(stream)[axis], base.tokens_of(stream)[axis])
    if kind in BY_PLACE and not pairs.one_to_one:
        raise HeadlightError(
            f"A {kind} says where something stands, so it is put into a sentence of as many tokens only; "
            f"these have {len(pairs.donor)} and {len(pairs.base)}, and not all of them in pairs at the same places."
        )
    if kind == "pattern" and not Pairs.of(donor.tokens_of(stream)[1], base.tokens_of(stream)[1]).one_to_one:
        raise HeadlightError(
            "A pattern is put between sentences of as many tokens only: its rows must go on to sum to 1."
        )
    if not pairs.positions:
        raise HeadlightError("No token of one sentence has a partner in the other, so nothing can be put anywhere.")
    return pairs


def taken(donor: Trace, place: Place, pairs: Pairs) -> dict[Place, Any]:
    """What `attn_core.trace(…, patch=)` is given to put the donor's tensor at a place of the base.

    At all positions that have a partner, or at the place's own; the others keep what the model computes there.
    """
    rows = own_rows(donor, place)
    if place.position is not None:
        return {place: rows[pairs.partner(place.position)]}
    if pairs.one_to_one:
        return {place: np.asarray(rows)}
    return {place._replace(position=base): rows[own] for own, base in pairs.positions}
