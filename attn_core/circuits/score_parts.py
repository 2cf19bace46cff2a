"""A score of a head, split exactly into who wrote what into the query × who wrote what into the key.

    s_ij = Σ_a Σ_b (R_i W_Q N_i c_i^a) · (R_j W_K N_j c_j^b) · scale

x_i = Σ_a c_i^a is the residual stream as the sum of its writers, N_i the norm before attention frozen at its real
scale, R the rotation. The two biases are a row and a column of their own, a position bias is no product of the two. All
parts are float64, because they are often a hundred times larger than the score that they sum to.

Sources: Elhage et al. 2021 (the QK circuit); Kamath et al. 2025 (attention attribution).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attn_core.blocks import row_slices
from attn_core.circuits.head_maps import HeadMap, ScoreMaps
from attn_core.circuits.projections import double
from attn_core.circuits.writers.additions import (
    Floats,
    Places,
    ResidualWriters,
    refuse_half_precision,
)
from attn_core.circuits.writers.blocks import entering, leaving
from attn_core.errors import DoesNotAddUp, HeadlightError, check_index
from attn_core.traces import parity
from attn_core.traces.call import Call
from attn_core.traces.parts import Against, ScoreParts, Writer
from attn_core.traces.stream import StreamTrace
from attn_core.traces.trace import Trace

Parts = tuple[list[Writer], Floats]  # writers, and [writer, d_head]: what each is of a query or of keys


def score_parts(
    trace: Trace, layer: int, head: int, query: int, key: int, against: Against = None, *, stream: str | None = None
) -> ScoreParts:
    """Split one score; `against` another key, or the "mean" of all that the query may see, splits the difference.

    Raises IndexError and ValueError for what is not there, HeadlightError where the mask hides a key or the model's
    wiring could not be found, and DoesNotAddUp where the parts miss the score by more than `parity.TOLERANCE`.
    """
    own = trace.stream(stream)
    refuse_half_precision(own)
    held = own.module()  # so that a model that was unloaded is loaded once here, not for every writer
    keys, weights = _compared(own, layer, head, query, key, against)
    words = keys < n_words(own)
    counted = (keys[words], weights[words]) if words.any() else (np.array([0]), np.zeros(1))
    maps = score_maps(trace, own, layer, head)
    (query_names, queries), (key_names, answers) = _writers_of_both(trace, maps, query, *counted)
    learnt_names, learnt = _learnt_keys(own, layer, head, keys[~words], weights[~words])
    call, scale = own._layer(layer).call, own.scaling(layer)
    matrix: Floats = queries @ np.concatenate([answers, learnt]).T * scale  # [query writer, key writer]
    key_names += learnt_names
    plain, capped, largest = _scores(own, layer, head, query)
    bias = call.rows(slice(query, query + 1)).position_bias(head)  # [1, 1, key]
    other = {} if bias is None else {"position bias": float(double(bias[0, 0])[keys] @ weights)}
    other |= _learnt_score(own, layer, head, keys, weights)
    score = float(plain[keys] @ weights)
    names = (tuple(query_names), tuple(key_names))
    parts = ScoreParts(
        layer, head, query, key, against, own.name, *names, matrix, other, score, float(capped[keys] @ weights), largest
    )
    if not parts.residue <= parity.TOLERANCE:
        raise DoesNotAddUp(
            f"The parts of this score miss it by {parts.residue:.1e} of its head's largest, so they are not given."
        )
    del held
    return parts


def carried_to_score(trace: Trace, parts: ScoreParts, side: str, writer: Writer, pieces: Floats) -> Floats:
    """What pieces [piece, d_model] of what a writer added to the query's or the key's token add to a score: [piece].

    `side` is "query" or "key". Linear: pieces that sum to what the writer added sum to what it adds to the score, which
    on the query's side is its row of the matrix; on the key's side, what it wrote into the compared keys is left out.
    """
    own, layer, head = trace.stream(parts.stream), parts.layer, parts.head
    keys, weights = _compared(own, layer, head, parts.query, parts.key, parts.against)
    scale = own.scaling(layer)
    is_word = parts.key < n_words(own)
    if side == "key" and not is_word:
        raise HeadlightError(f"“{own.key_tokens.labels[parts.key]}” was learnt: no writer wrote it.")
    asking, answering = np.array([parts.query]), np.array([parts.key if is_word else 0])
    maps = score_maps(trace, own, layer, head)
    if side == "query":
        written, head_map = entering(trace, own.name, layer, asking), maps.query(asking)
        answer = weights @ own.key(layer, head)[keys].astype(np.float64)  # [d_head]
    else:
        written, head_map = memory_writers(trace, own, layer, answering), maps.key(answering)
        answer = own.query(layer, head)[parts.query].astype(np.float64) * float(weights[keys == parts.key].sum())
    found: Floats = head_map.part(written.carried(writer, pieces)) @ answer * scale
    return found


def compared_score(
    stream: StreamTrace,
    layer: int,
    head: int,
    query: int,
    key: int,
    against: Against = None,
    *,
    call: Call | None = None,
) -> float:
    """The score that `score_parts` splits, without splitting it: before any soft cap, against the same.

    Of a changed pass the layer's `call` is enough: the same words see each other in it.
    """
    keys, weights = _compared(stream, layer, head, query, key, against)
    asked = (stream._layer(layer).call if call is None else call).rows(slice(query, query + 1))
    return float(_exact_scores(asked, head)[0][0][keys] @ weights)


def n_words(stream: StreamTrace) -> int:
    """How many keys are words, written by somebody; those that were learnt come after them."""
    return len(stream.key_tokens if stream.name == "cross" else stream.tokens)


def _learnt_keys(
    stream: StreamTrace, layer: int, head: int, keys: Places, weights: NDArray[np.float64]
) -> tuple[list[Writer], Floats]:
    """Virtual tokens' keys, each as a writer of its own: (writers, [writer, d_head]); that of "no word" is 0."""
    names = [Writer(stream.key_tokens.labels[key], "learnt") for key in keys]
    vectors = stream.key(layer, head)[keys].astype(np.float64) * weights[:, None]  # [key, d_head]
    written = np.flatnonzero(vectors.any(axis=1))
    return [names[i] for i in written], vectors[written]


def _learnt_score(
    stream: StreamTrace, layer: int, head: int, keys: Places, weights: NDArray[np.float64]
) -> dict[str, float]:
    """What the score of "no word" counts for, where it is among the keys: no query and no key makes it."""
    score, last = stream.learnt_score(layer, head), len(stream.key_tokens) - 1
    return {} if score is None or last not in keys else {"no word": score * float(weights[keys == last].sum())}


def score_maps(trace: Trace, own: StreamTrace, layer: int, head: int) -> ScoreMaps:
    """The maps of a head's query and key, at whatever tokens."""
    return ScoreMaps.of(own, layer, head, (own._around("embedding", layer), memory_before_norm(trace, own, layer)))


def _writers_of_both(
    trace: Trace, maps: ScoreMaps, query: int, keys: Places, weights: NDArray[np.float64]
) -> tuple[Parts, Parts]:
    """Every writer's part of the query, and of the keys, summed over them by `weights`.

    A block of keys at a time: what each writer added to each of them is as large as the stream, in float64. The query
    goes along with the first, where it is of the same stream, and no patch ends other writers in it than in the keys.
    """
    own, layer, asking = maps.stream, maps.layer, np.array([query])
    side = _Side(maps.query(asking), slice(0, 1), np.ones(1))
    asked: Parts | None = None
    if own.name == "cross" or trace.changes.patches:
        (asked,) = _projected(entering(trace, own.name, layer, asking), side)
    total: dict[Writer, Floats] = {}
    for rows in row_slices(len(keys), 16 * own.d_model):
        places = keys[rows]
        if asked is None:
            both = entering(trace, own.name, layer, np.concatenate([asking, places]))
            asked, answers = _projected(both, side, _Side(maps.key(places), slice(1, None), weights[rows]))
        else:
            written = memory_writers(trace, own, layer, places)
            (answers,) = _projected(written, _Side(maps.key(places), slice(None), weights[rows]))
        for writer, part in zip(*answers, strict=True):
            total[writer] = total[writer] + part if writer in total else part
    assert asked is not None
    return asked, ([*total], np.stack([*total.values()]))


def memory_writers(trace: Trace, stream: StreamTrace, layer: int, keys: Places) -> ResidualWriters:
    """Who wrote what the keys and values of a call are made from."""
    if stream.name == "cross":
        return leaving(trace.stream("encoder"), keys, stream)
    return entering(trace, stream.name, layer, keys)


def memory_before_norm(trace: Trace, stream: StreamTrace, layer: int) -> Tensor:
    """The stream that keys and values are made from, before any norm of this layer: [key, d_model], the trace's own."""
    return trace.stream("encoder")._last() if stream.name == "cross" else stream._around("embedding", layer)


def _compared(
    stream: StreamTrace, layer: int, head: int, query: int, key: int, against: Against
) -> tuple[Places, NDArray[np.float64]]:
    """The keys whose scores are taken, and what each counts for: the key itself 1, the others −1 in all."""
    stream._layer(layer, head, query)  # which checks them
    may_look = stream.may_look(layer, slice(query, query + 1))[0]  # [key]
    check_index("key", key, len(may_look))
    if not may_look[key]:
        raise HeadlightError(f"Query {query} may not look at key {key}, so there is no score to split.")
    if against is None:
        return np.array([key]), np.ones(1)
    if against == "mean":
        keys = np.flatnonzero(may_look)
        return keys, np.where(keys == key, 1.0, 0.0) - 1 / len(keys)
    if isinstance(against, str | bool) or against == key:
        raise ValueError(f'against must be None, "mean" or another key, got {against!r}')
    check_index("key", against, len(may_look))
    if not may_look[against]:
        raise HeadlightError(f"Query {query} may not look at key {against}, so there is no score to compare with.")
    return np.array([key, against]), np.array([1.0, -1.0])


class _Side(NamedTuple):
    """The map of a head's query or keys, which of the writers' tokens it is of, and what each of these counts for."""

    map: HeadMap
    tokens: slice
    weights: NDArray[np.float64]


def _projected(written: ResidualWriters, *sides: _Side) -> list[Parts]:
    """Every writer's part of each side, summed over its tokens by their weights."""
    found: list[list[tuple[Writer, Floats]]] = [[] for _ in sides]
    if not all(side.map.ends for side in sides):
        for writer, vectors in written:
            for parts, side in zip(found, sides, strict=True):
                if not side.map.ends:
                    parts.append((writer, side.weights @ side.map.part(vectors[side.tokens])))
    for parts, side in zip(found, sides, strict=True):
        parts += [(writer, side.weights @ vectors) for writer, vectors in side.map.constants(len(side.weights))]
    return [([writer for writer, _ in parts], np.stack([part for _, part in parts])) for parts in found]


def _scores(stream: StreamTrace, layer: int, head: int, query: int) -> tuple[Floats, Floats, float]:
    """(one row of scores before any cap, the same as the softmax gets it, the head's largest finite |score|).

    In float64 from the model's own queries and keys, a block of rows at a time; hidden cells are finite here, and keys
    behind the last that the row may see are left out.
    """
    call, cap = stream._call(layer, head, query), stream.soft_cap(layer)
    largest = 0.0
    for _, block in call.row_blocks(2):  # of float64
        scores = _exact_scores(block, head)[0]
        may_look = block.mask.may_look(block.n_query, block.n_key).numpy()
        largest = max(largest, float(np.abs(scores, where=may_look, out=np.zeros_like(scores)).max()))
    scores, shift = _exact_scores(call.rows(slice(query, query + 1)), head)
    capped = scores if cap is None else cap * np.tanh((scores - shift) / cap) + shift
    return scores[0], capped[0], largest


def _exact_scores(call: Call, head: int) -> tuple[Floats, Floats]:
    """(scores before any cap, what a relative position adds to them), [query, key] each."""
    asked, answers, _ = (double(part[0]) for part in call.heads(head))
    products: Floats = asked @ answers.T * call.scaling  # [query, key]
    if call.sink is not None:
        products[:, -1] = float(call.sink[head])
    bias = call.position_bias(head)
    shift: Floats = np.zeros(1) if bias is None else double(bias[0])
    return products + shift, shift
