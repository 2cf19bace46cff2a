"""One word in several sentences: in which layer its vectors separate, and which heads separate them.

An *occurrence* is the pieces of one word in one sentence; where a word has several pieces their vectors are averaged.
Two occurrences begin with the same token embedding and differ, if at all, by their position. What is compared layer by
layer is their residual stream. What a head did to separate them is the distance between the ΔE it adds to the one and
the ΔE it adds to the other. A pair of one sense is the baseline: what position and wording alone explain.

Source of the idea: Ethayarajh 2019, "How Contextual are Contextualized Word Representations?"; Wiedemann et al. 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attn_core.residual import geometry
from attn_core.residual.input_parts import input_parts
from attn_core.text.tokens import Tokens
from attn_core.text.unknown_words import as_typed
from attn_core.text.whole_words import units

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace

Array = NDArray[np.floating]


def find_word(tokens: Tokens, word: str) -> list[list[int]]:
    """Every place where `word` stands, as the positions of its pieces; upper and lower case count as equal.

    A word of several parts ("ice cream") is found as a run of words. Special tokens are never part of a word, and the
    mark of a word that a model has not met is none of its letters.
    """
    wanted = word.casefold().split()
    places = units(tokens.words)
    said = [as_typed(label.casefold()) for label in tokens.word_labels]
    names = [None if tokens.special[own[0]] else said[i] for i, own in enumerate(places)]
    size = len(wanted)
    starts = [i for i in range(len(names) - size + 1) if size and names[i : i + size] == wanted]
    return [[position for own in places[i : i + size] for position in own] for i in starts]


@dataclass(frozen=True, eq=False)
class Occurrence:
    """What happened to one word in one sentence.

    `route` [layer + 1, d_model] is its residual stream from E of layer 0 to the end of the last block, `heads`
    [layer, head, d_model] what every head added on the way, `mlp` [layer, d_model] what the MLPs added.
    """

    route: Array
    heads: Array
    mlp: Array

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.route.nbytes + self.heads.nbytes + self.mlp.nbytes


def read(trace: Trace, pieces: Sequence[int]) -> Occurrence:
    """Read one occurrence from a trace with one stream; several pieces are averaged."""
    own = list(pieces)
    layers = range(trace.n_layers)
    heads = [np.mean([trace.heads_delta_e(layer, piece) for piece in own], axis=0) for layer in layers]
    return Occurrence(
        route=np.stack([trace.embedding(layer)[own].mean(axis=0) for layer in range(trace.n_layers + 1)]),
        heads=np.stack(heads),  # [layer, head, d_model]
        mlp=np.stack([trace.mlp_added(layer)[own].mean(axis=0) for layer in layers]),  # [layer, d_model]
    )


def looks(trace: Trace, layer: int, head: int, pieces: Sequence[int]) -> Array:
    """Where a head looks from a word, [key]: sums to 1, the mean over the word's pieces."""
    result: Array = np.mean([trace.pattern_row(layer, head, piece) for piece in pieces], axis=0)
    return result


def pairs(n: int) -> list[tuple[int, int]]:
    """Every pair of n occurrences, in order.

    >>> pairs(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return list(combinations(range(n), 2))


def cosines_by_layer(routes: Sequence[Array]) -> Array:
    """How alike the occurrences of every pair are at every layer: routes [layer + 1, d_model] → [pair, layer + 1]."""
    return np.stack([geometry.cosine(routes[a], routes[b]) for a, b in pairs(len(routes))])


@dataclass(frozen=True, eq=False)
class Separation:
    """How far apart each part of every layer pushes two occurrences: lengths of differences of what they are given.

    `heads` [layer, head]: ‖ΔE_a − ΔE_b‖. `attention` [layer]: the same for all heads of the layer together, before any
    norm (the output bias is the same for both and drops out). `mlp` [layer]: for the MLP.
    """

    heads: Array
    attention: Array
    mlp: Array

    def above_baseline(self, baseline: Separation) -> Separation:
        """What is left after what a baseline pair shows too; never below 0."""
        return Separation(
            np.clip(self.heads - baseline.heads, 0, None),
            np.clip(self.attention - baseline.attention, 0, None),
            np.clip(self.mlp - baseline.mlp, 0, None),
        )

    def strongest(self, count: int) -> list[tuple[int, int]]:
        """The (layer, head) that separate the two most, largest first."""
        order = np.argsort(-self.heads, axis=None, kind="stable")[:count]
        return [(int(i) // self.heads.shape[1], int(i) % self.heads.shape[1]) for i in order]


def separation(a: Occurrence, b: Occurrence) -> Separation:
    """Who tells two occurrences apart, for every layer and head."""
    difference = a.heads - b.heads  # [layer, head, d_model]
    return Separation(geometry.norm(difference), geometry.norm(difference.sum(axis=1)), geometry.norm(a.mlp - b.mlp))


def mean_separation(separations: Sequence[Separation]) -> Separation:
    """The average of several pairs, for example of pairs of one sense: what position and wording alone explain."""
    return Separation(
        np.mean([each.heads for each in separations], axis=0),
        np.mean([each.attention for each in separations], axis=0),
        np.mean([each.mlp for each in separations], axis=0),
    )


@dataclass(frozen=True, eq=False)
class InputEmbedding:
    """A word before the first layer: its token embedding, its position's vector or None, and E.

    E is their sum after whatever the model does to it. The first two are [width]: less than d_model in some families.
    """

    token: Array
    position: Array | None
    embedding: Array


def input_embedding(model: Any, trace: Trace, pieces: Sequence[int]) -> InputEmbedding:
    """Read the parts of a word's E from the model's own tables; `model` is the library's object."""
    own = list(pieces)
    embedding = trace.embedding(0)
    parts = input_parts(model, trace.tokens.ids, torch.as_tensor(embedding), trace.tokens.types)
    if parts is None:
        rows = model.get_input_embeddings().weight.detach()[[trace.tokens.ids[i] for i in own]]
        return InputEmbedding(_mean(rows), None, embedding[own].mean(axis=0))
    position = None if parts.position is None else _mean(parts.position[own])
    return InputEmbedding(_mean(parts.token[own]), position, embedding[own].mean(axis=0))


def _mean(rows: Tensor) -> Array:
    return rows.float().mean(dim=0).cpu().numpy()


@dataclass(frozen=True)
class InputSimilarity:
    """How alike two occurrences are before the first layer, as cosines.

    `token` is 1 for the same token. `position` is None where a model adds no vector for it. `embedding` is that of E.
    """

    token: float
    position: float | None
    embedding: float


def input_similarity(a: InputEmbedding, b: InputEmbedding) -> InputSimilarity:
    """The cosines of two words' token embeddings, of their positions, and of their E."""
    position = None
    if a.position is not None and b.position is not None:
        position = float(geometry.cosine(a.position, b.position))
    return InputSimilarity(
        float(geometry.cosine(a.token, b.token)), position, float(geometry.cosine(a.embedding, b.embedding))
    )
