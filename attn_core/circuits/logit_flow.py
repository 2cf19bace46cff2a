"""From the next word's logit down: which words of the sentence made a next word likely.

At the top it is direct logit attribution, split by source: what attention of each layer brought from each token is read
off by the word's row of the unembedding, the final norm frozen. What it brought from a token is then shared out among
the input words as the flow behind that token is. So the numbers have a sign, and they add up to the logit:

    logit_top(stream, token, word).down(flow(stream)).words
    logit − mean of all logits  =  Σ input words  +  biases and shifts of norms  +  MLPs

What the MLPs write is read off directly and stays apart, because no such measure sees inside them.

Sources: Elhage et al. 2021 (direct logit attribution); Ferrando et al. 2023 (ALTI-Logit).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attn_core.circuits.flow import Flow, carried_down
from attn_core.circuits.writers.additions import Floats
from attn_core.circuits.writers.layer_parts import LayerParts
from attn_core.errors import DoesNotAddUp, HeadlightError, check_index
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.residual.logit_attribution import reading_above_mean
from attn_core.tolerances import SMALLEST
from attn_core.traces import parity
from attn_core.traces.block import BlockKind
from attn_core.traces.stream import StreamTrace


@dataclass(frozen=True, eq=False)
class LogitTop:
    """One word's logit after one token, above the mean of all words: what brought it there straight.

    `brought` [layer, token] is what attention of a layer brought from a token as that enters the layer, `own` what E of
    layer 0 adds, `constant` the output biases, the shifts of norms and the bias of the unembedding.
    """

    token: int
    word: int
    logit: float
    brought: Floats
    own: float
    mlp: float
    constant: float

    def down(self, found: Flow) -> LogitFlow:
        """Share out what was brought from each token among the input words, by a flow of the same stream."""
        rows = [np.zeros(self.brought.shape[1] + 1)]
        for edges, brought in zip(found.edges[::-1], self.brought[::-1], strict=True):
            rows.insert(0, carried_down(rows[0][None], edges)[0] + np.append(brought, 0.0))
        rows[0][self.token] += self.own
        return LogitFlow(self, np.stack(rows))  # [layer + 1, token + 1]


@dataclass(frozen=True, eq=False)
class LogitFlow:
    """A logit followed down: `reach` [layer + 1, token + 1] is what every token holds of it as it enters a layer.

    The last column holds biases and shifts; row 0 are the input words. `words` sum to the logit.
    """

    top: LogitTop
    reach: Floats

    @property
    def words(self) -> Floats:
        """What every input word adds, then biases and shifts, then the MLPs: [token + 2], which sum to the logit."""
        return np.concatenate([self.reach[0, :-1], [self.reach[0, -1] + self.top.constant, self.top.mlp]])


def logit_top(stream: StreamTrace, token: int, word: int) -> LogitTop:
    """What brought the logit of `word` (its id) as the next one after `token`.

    Raises IndexError for a token that is not there, HeadlightError for a model that predicts no next word or in which
    a LayerNorm follows every sum, and DoesNotAddUp where the parts miss the logit.
    """
    check_index("token", token, len(stream.tokens))
    if any(stream.block(layer) is BlockKind.POST_NORM for layer in range(stream.n_layers)):
        raise HeadlightError(
            "In this model a LayerNorm follows every sum and rescales all that came before, so a logit cannot be "
            "followed down from its top."
        )
    logits = stream.logits(token).astype(np.float64)
    row, constant = reading_above_mean(stream, token, word)
    norm = FrozenNorm.of(stream.final_norm, stream.embedding(stream.n_layers)[token])
    constant += float(norm.shift @ row)
    brought = np.empty((stream.n_layers, len(stream.tokens)))  # [layer, token]
    for layer in range(stream.n_layers):
        to_token = LayerParts.of(stream, layer).to(slice(token, token + 1))
        for keys, parts in to_token.from_words():  # [key, 1, d_model]
            brought[layer, keys] = norm.part(parts[:, 0]) @ row
        constant += float(norm.part(to_token.constant[0]) @ row)
    mlp = sum(float(norm.part(stream.mlp_added(layer)[token]) @ row) for layer in range(stream.n_layers))
    own = float(norm.part(stream.embedding(0)[token]) @ row)
    top = LogitTop(token, word, float(logits[word] - logits.mean()), brought, own, mlp, constant)
    missed = abs(float(brought.sum()) + own + mlp + constant - top.logit)
    sizes = float(np.abs(brought).sum()) + abs(own) + abs(mlp) + abs(constant)
    if not missed <= 10 * parity.TOLERANCE * max(sizes, SMALLEST):
        raise DoesNotAddUp(f"The parts of this logit miss it by {missed:.1e}, so they are not given.")
    return top
