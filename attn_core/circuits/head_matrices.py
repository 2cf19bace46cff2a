"""One head's matrices as they meet the direct path: norms in front folded in, centred where what follows centres.

QK = W_Q R W_Kᵀ says which words look at which, OV = W_V W_O what is moved; both are [d_model, d_model] of low rank and
kept as their two factors. Source: Elhage et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from attn_core.circuits.direct_path import DirectPaths, gain
from attn_core.circuits.projections import HeadProjection, query_and_key_projections
from attn_core.circuits.writers.additions import Floats, run_module
from attn_core.rotary import Rotation, apply_rotary

OFFSETS = 65  # 0 to 64 tokens between query and key


@dataclass(frozen=True, eq=False)
class HeadMatrices:
    """`w_q`, `w_k`, `w_v` [d_model, d_head] and `w_o` [d_head, d_model] are the model's own, a norm of queries or keys
    folded in; `query`, `key`, `value` and `output` the same with the norms before and after attention folded in, too,
    and without the mean that is written where those that read it take the mean away.
    `rotation` turns by 0 to 64 tokens' distance."""

    stream: str
    layer: int
    head: int
    w_q: Floats
    w_k: Floats
    w_v: Floats
    w_o: Floats
    query: Floats
    key: Floats
    value: Floats
    output: Floats
    rotation: Rotation | None  # None where nothing is turned
    normed: bool = False  # whether a norm follows W_Q or W_K


def head_matrices(paths: DirectPaths, stream: str, layer: int, head: int) -> HeadMatrices:
    """A head's matrices; raises HeadlightError where they could not be found."""
    call = paths.trace.stream(stream)
    (asking, answering), rotation = query_and_key_projections(call, layer, head)
    asked, answered = paths.reading(stream, layer, "query"), paths.reading(stream, layer, "key")
    w_q, w_k = _weight(asking), _weight(answering)
    w_v, w_o = call.w_v(layer, head).astype(np.float64), call.w_o(layer, head).astype(np.float64)
    output = paths.after_head(stream, layer).carry(w_o)
    if asked.centres:
        output = output - output.mean(axis=1, keepdims=True)
    return HeadMatrices(
        stream,
        layer,
        head,
        *(w_q, w_k, w_v, w_o),
        *(asked.fold(w_q), answered.fold(w_k), answered.fold(w_v), output),
        None if rotation is None else _by_distance(rotation),
        asking.module is not None or answering.module is not None,
    )


def _weight(projection: HeadProjection) -> Floats:
    """W of a head's queries or keys, the gain of a norm behind it folded in: [d_model, d_head]."""
    if projection.module is None:
        return projection.weight[:, projection.columns]
    norm = gain(partial(run_module, projection.module), projection.weight.shape[1])
    return norm.part(projection.weight)[:, projection.columns]


def _by_distance(rotation: Rotation) -> Rotation:
    """The turn from one token to the next, taken 0 to 64 times: row n is what n tokens of distance turn."""
    angles = rotation.angles.double()
    turns = torch.arange(OFFSETS, dtype=torch.float64)[:, None] * (angles[1] - angles[0])  # [offset, pair]
    return Rotation(turns.cos(), turns.sin(), rotation.first, rotation.second)


def turned(rows: Floats, rotation: Rotation | None, *, back: bool = False) -> Floats:
    """Rows [row, d_head] turned by every distance: [offset, row, d_head], one offset where nothing is turned."""
    if rotation is None:
        return rows[None]
    sin = -rotation.sin if back else rotation.sin
    by_row = Rotation(rotation.cos, sin, rotation.first, rotation.second)
    every = torch.from_numpy(np.ascontiguousarray(rows))[:, None].expand(-1, len(sin), -1)  # [row, offset, d_head]
    result: Floats = apply_rotary(every, by_row).transpose(0, 1).numpy()
    return result


def triangle(matrix: Floats) -> Floats:
    """R of QR: a tall matrix [d_model, d_head] without what a Frobenius norm does not see, [d_head, d_head]."""
    small: Floats = np.linalg.qr(matrix).R
    return small
