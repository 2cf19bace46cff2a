"""What of a picture is the head's own? The same head with random weights, and with the words shuffled.

A pattern that survives shuffled words is about positions; one that survives random weights is about nothing that was
learnt. Sources: Zhang & Bowman 2018 (random weights as a control); Hewitt & Liang 2019 (control tasks).
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from attn_core.capture.model import Model
from attn_core.capture.wrapping import wrap
from attn_core.heads.sink import Floats

if TYPE_CHECKING:
    from attn_core.traces.reader import TraceReader

_DICE = threading.Lock()  # torch has one source of chance for all threads, and a seed means the same weights each time


def random_weights(model: Model, seed: int = 0) -> Model:
    """The same architecture and tokenizer, with the weights that training would have started from."""

    with _DICE, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(model.hf)(copy.deepcopy(model.hf.config)).eval()
    again = None if model.reload is None else partial(_random_again, model.reload, seed)
    return wrap(fresh, model.tokenizer, name=f"{model.name}, random weights", limit=model.limit, reload=again)


def _random_again(reload: Callable[[], Model], seed: int) -> Model:
    return random_weights(reload(), seed)


def shuffled(ids: Sequence[int], special: Sequence[bool], seed: int, second: int | None = None) -> list[int]:
    """The same tokens in another order; special tokens keep their places, and words of a pair, whose second sentence
    begins at `second`, their sentence."""
    places = [i for i, is_special in enumerate(special) if not is_special]
    chosen, reordered = np.random.default_rng(seed), list(ids)
    for own in ([i for i in places if second is None or i < second], [i for i in places if second and i >= second]):
        for to, source in zip(own, chosen.permutation(own), strict=True):
            reordered[to] = ids[source]
    return reordered


def mean_patterns(streams: Iterable[TraceReader]) -> list[Floats]:
    """The mean patterns of one stream of several traces of one length: [head, query, key] a layer; rows sum to 1.

    Over traces of shuffled words, words average out: what is left is position.
    """
    total: list[Floats] = []
    for n, stream in enumerate(streams, start=1):
        layers = [stream.patterns(layer) for layer in range(stream.n_layers)]
        total = [mean + (own - mean) / n for mean, own in zip(total or layers, layers, strict=True)]
    return total
