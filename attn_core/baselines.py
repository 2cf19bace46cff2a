"""What of a picture is the head's own? The same head with random weights, and with the words shuffled.

A pattern that survives shuffled words is about positions; one that survives random weights is about nothing that was
learnt. Sources: Zhang & Bowman 2018 (random weights as a control); Hewitt & Liang 2019 (control tasks).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attn_core.heads import Floats

if TYPE_CHECKING:
    from attn_core.capture import Model
    from attn_core.traces import Trace


def random_weights(model: Model, seed: int = 0) -> Model:
    """The same architecture and tokenizer, with the weights that training would have started from."""
    import torch

    import attn_core as ac

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(model.hf)(copy.deepcopy(model.hf.config)).eval()
    return ac.wrap(fresh, model.tokenizer, name=f"{model.name}, random weights")


def shuffled(ids: Sequence[int], special: Sequence[bool], seed: int) -> list[int]:
    """The same tokens in another order; special tokens keep their places."""
    places = [i for i, is_special in enumerate(special) if not is_special]
    order = np.random.default_rng(seed).permutation(places)
    mixed = list(ids)
    for to, source in zip(places, order, strict=True):
        mixed[to] = ids[source]
    return mixed


def shuffled_pattern(
    trace: Trace,
    run: Callable[[list[int]], Trace],
    layer: int,
    head: int | None,
    *,
    n: int = 8,
    seed: int = 0,
) -> Floats:
    """The head's mean pattern over `n` shuffles of the sentence's tokens, [query, key]; rows sum to 1.

    What is left after the words have been averaged away is position. `run(ids)` gives the trace of other tokens;
    `head=None` averages over heads too. For self-attention only: a translator's two sentences are not shuffled.
    """
    tokens = trace.tokens
    total = np.zeros((len(tokens), len(tokens)))
    for i in range(n):
        mixed = run(shuffled(tokens.ids, tokens.special, seed + i))
        total += mixed.patterns(layer).mean(axis=0) if head is None else mixed.pattern(layer, head)
    return total / n
