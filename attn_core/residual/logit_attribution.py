"""Who made a word likely: the logit of a next word, split into what every head, MLP and bias adds to it.

A logit is a dot product of the last residual stream, after the final norm, with the word's row of the unembedding. The
stream is a sum of parts, so the logit is one too, as soon as the norm is held at the scale it really had: frozen. That
is exact as a sum; it is an explanation only as far as one accepts the frozen scale, and a page has to say so.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; nostalgebraist 2020, "the logit lens".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from attn_core.errors import HeadlightError
from attn_core.residual.decomposition import StreamContributions, stream_contributions
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.residual.nearest_tokens import NearestTokens, both_ends
from attn_core.tolerances import SMALLEST
from attn_core.traces.block import BlockKind
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace

Array = NDArray[np.floating]
WORDS_AT_ONCE = 4096  # rows of the unembedding that are read as float64 at a time


def direct_logits(parts: Array, norm: FrozenNorm, word: Array, bias: float = 0.0) -> tuple[Array, float]:
    """What every part of the last residual stream adds to one word's logit: [part, d_model] → ([part], constant).

    `word` [d_model] is the word's row of the unembedding (or the difference of two rows). All parts plus the constant
    (the norm's shift and the unembedding's bias) are the logit itself, as long as the parts are everything that was
    added.
    """
    word = np.asarray(word, dtype=np.float64)
    return norm.part(parts) @ word, float(norm.shift @ word) + bias


@dataclass(frozen=True, eq=False)
class LogitAttribution:
    """One word's logit at one token, in parts: `heads` [layer, head], `bias`, `mlp` and `patches` [layer], two numbers.

    `embedding` is what E of layer 0 adds. `constant` holds what belongs to no part: the final norm's shift and the
    unembedding's bias. `logit` is the model's own; for a difference of two words all fields are differences.
    """

    heads: Array
    bias: Array
    mlp: Array
    embedding: float
    constant: float
    logit: float
    patches: Array

    @property
    def total(self) -> float:
        """The sum of all parts, which is the logit."""
        parts = self.heads, self.bias, self.mlp, self.patches
        return float(sum(part.sum() for part in parts)) + self.embedding + self.constant

    @property
    def error(self) -> float:
        """How far the parts are from the model's own logit: difference ÷ the sum of their sizes."""
        sizes = sum(float(np.abs(part).sum()) for part in (self.heads, self.bias, self.mlp, self.patches))
        return abs(self.total - self.logit) / max(sizes + abs(self.embedding) + abs(self.constant), SMALLEST)

    def __sub__(self, other: LogitAttribution) -> LogitAttribution:
        """What speaks for one word and against another."""
        return LogitAttribution(
            self.heads - other.heads,
            self.bias - other.bias,
            self.mlp - other.mlp,
            self.embedding - other.embedding,
            self.constant - other.constant,
            self.logit - other.logit,
            self.patches - other.patches,
        )


def direct_logit_attribution(
    trace: Trace, token: int, word: int, *, added: StreamContributions | None = None
) -> LogitAttribution:
    """Split the logit of `word` (its id) as the next one after `token`; `added` saves computing the
    contributions again.

    For causal models and decoders whose blocks keep the stream a plain sum. Raises HeadlightError for the others, and
    for models that predict no next word.
    """
    stream = trace.stream("decoder" if trace.kind == "encoder-decoder" else None)
    if stream.block(0) == BlockKind.POST_NORM:
        raise HeadlightError(
            "In this model a LayerNorm follows every sum and rescales all that came before, so a logit cannot be "
            "split into what each head adds. Choose a direction instead."
        )
    added = _entering(stream, added or stream_contributions(stream, token))
    row, bias = _reading(stream, token, word)
    last = stream.embedding(stream.n_layers)[token]
    norm = FrozenNorm.of(stream.final_norm, last)
    parts, constant = direct_logits(added.parts(), norm, row, bias)
    n_layers, n_heads = added.heads.shape[:2]
    heads, rest = parts[1 : 1 + n_layers * n_heads].reshape(n_layers, n_heads), parts[1 + n_layers * n_heads :]
    biases, mlp, _, patches = rest.reshape(4, n_layers)  # [4·layer] → [layer] each
    logit = float(stream.logits(token)[word])
    return LogitAttribution(heads, biases, mlp, float(parts[0]), constant, logit, patches)


def nearest_words(stream: StreamTrace, token: int, vectors: Array, count: int) -> tuple[NearestTokens, NearestTokens]:
    """The words of the model's own vocabulary that parts of one token point to, and away from: [part, d_model].

    With an unembedding, scores are what each part adds to the words' logits under the frozen final norm. With an input
    embedding, which no model reads words off, they are cosines: words that mean to point the same way.
    """
    words = stream.vocabulary
    if words.kind == "unembedding" and stream.block(0) != BlockKind.POST_NORM:
        norm = FrozenNorm.of(stream.final_norm, stream.embedding(stream.n_layers)[token])
        return both_ends(words.matrix, norm.part(vectors), count, measure="dot")
    return both_ends(words.matrix, vectors, count)


def reading_above_mean(stream: StreamTrace, token: int, word: int) -> tuple[Array, float]:
    """How far a word's logit is above the mean of all words' is read off the final embedding x: row · x + bias.

    The softmax ignores what all logits share, so this says what a logit alone does not.
    """
    row, bias = _reading(stream, token, word)
    matrix, final = stream.vocabulary.matrix, stream.final_embedding()[token].astype(np.float64)
    biases = stream.read_words(np.zeros((1, len(final)), np.float32))[0].astype(np.float64)  # [word]
    logits, total = stream.logits(token).astype(np.float64), np.zeros(len(final))
    for start in range(0, len(logits), WORDS_AT_ONCE):
        words = slice(start, start + WORDS_AT_ONCE)
        rows = matrix[words].double().cpu().numpy()  # [word, d_model]
        plain = rows @ final
        small = np.abs(plain) <= SMALLEST
        total += np.where(small, 1.0, (logits[words] - biases[words]) / np.where(small, 1.0, plain)) @ rows
    return row - total / len(logits), bias - float(biases.mean())


def _entering(stream: StreamTrace, added: StreamContributions) -> StreamContributions:
    """The parts as they enter the stream: a norm between (norm-after) is held at what it did, like the last one."""
    if not stream.block(0).changes_sum:
        return added
    heads, bias = np.empty(added.heads.shape), np.empty(added.bias.shape)
    for layer in range(len(heads)):
        output = added.heads[layer].sum(axis=0, dtype=np.float64) + added.bias[layer]
        norm = FrozenNorm.of(partial(stream.block_norm, layer, "attention"), output)
        heads[layer], bias[layer] = norm.part(added.heads[layer]), norm.whole(added.bias[layer])
    return replace(added, heads=heads, bias=bias, norms=np.zeros_like(added.norms))


def _reading(stream: StreamTrace, token: int, word: int) -> tuple[Array, float]:
    """How the logit is read off the final embedding x: (row, bias), logit = row · x + bias.

    A factor (T5) or a soft cap (Gemma 2) of the logits is held at what it did here, as the norm is.
    """
    row = stream.vocabulary.matrix[word].float().cpu().numpy().astype(np.float64)
    final = stream.final_embedding()[token]
    bias = float(stream.read_words(np.zeros((1, len(row)), np.float32))[0, word])
    plain = float(row @ final)
    factor = (float(stream.logits(token)[word]) - bias) / plain if abs(plain) > SMALLEST else 1.0
    return row * factor, bias
