"""What explains a score: its parts by layer, the pair that carries it, and what a writer took from which word."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from attn_core.capture.model import Model
from attn_core.capture.patched_batches import patched_calls
from attn_core.capture.patches import all_patches
from attn_core.circuits.patching.activation import batches
from attn_core.circuits.projections import attention_inputs
from attn_core.circuits.score_parts import carried_to_score, compared_score, n_words, score_maps
from attn_core.circuits.writers.additions import Floats
from attn_core.circuits.writers.inputs import without_input
from attn_core.errors import HeadlightError
from attn_core.places import Place
from attn_core.tolerances import CANCELLED
from attn_core.traces.block import BlockKind
from attn_core.traces.parts import ScoreParts, Writer
from attn_core.traces.trace import Trace

INPUT, OWN = "input", "own bias"  # the groups of what comes before layer 0, and of what the scoring head itself adds
ENOUGH = 0.5  # of the score: what a pair must be to explain it, and an opposing one to spoil that


@dataclass(frozen=True)
class Pair:
    """One part of a score: who wrote the query, who wrote the key (None for a position bias), and how much it is."""

    query: str
    key: str | None
    part: float


@dataclass(frozen=True, eq=False)
class GroupedParts:
    """A score's matrix with writers added up by layer: `matrix` [query group, key group] sums to what it summed to."""

    query_names: tuple[str, ...]
    key_names: tuple[str, ...]
    matrix: Floats
    other: tuple[Pair, ...]

    def largest(self, count: int) -> list[Pair]:
        """The largest pairs, whatever their sign, a position bias among them; those that are rounding are left out."""
        ordered = sorted(self._pairs(), key=lambda pair: -abs(pair.part))
        return [pair for pair in ordered[:count] if abs(pair.part) > CANCELLED * abs(ordered[0].part)]

    def _pairs(self) -> Iterator[Pair]:
        yield from self.other
        for (i, j), part in np.ndenumerate(self.matrix):
            yield Pair(self.query_names[i], self.key_names[j], float(part))


def group_of(writer: Writer) -> str:
    """The group that a writer belongs to: "input", "layer 0", … or "own bias"; a virtual token is one by itself."""
    if writer.kind == "own":
        return OWN
    if writer.kind == "learnt":
        return str(writer)
    return INPUT if writer.layer is None else f"layer {writer.layer}"


def grouped(parts: ScoreParts, opened: Collection[str] = ()) -> GroupedParts:
    """Add writers up by layer; of the groups that are `opened` each writer stays alone.

    Before layer 0 there is no layer to add up by, so there every writer stays alone.
    """
    if all(writer.layer is None for writer in (*parts.query_writers, *parts.key_writers)):
        return alone(parts)
    rows, query_names = _groups(parts.query_writers, opened)
    columns, key_names = _groups(parts.key_writers, opened)
    matrix = np.zeros((len(query_names), len(key_names)))
    np.add.at(matrix, np.ix_(rows, columns), parts.matrix)
    return GroupedParts(query_names, key_names, matrix, _other(parts))


def alone(parts: ScoreParts) -> GroupedParts:
    """The same with no writers added up."""
    names = tuple(str(writer) for writer in parts.query_writers), tuple(str(writer) for writer in parts.key_writers)
    return GroupedParts(*names, parts.matrix, _other(parts))


def single_pair(parts: ScoreParts) -> Pair | None:
    """The one pair that explains a score: at least half of it, and no opposing pair half as large; None elsewhere."""
    sign = np.sign(parts.score)
    ordered = sorted(alone(parts)._pairs(), key=lambda pair: -sign * pair.part)
    best, worst = ordered[0], ordered[-1]
    if sign == 0 or sign * best.part < ENOUGH * abs(parts.score):
        return None
    return None if -sign * worst.part >= ENOUGH * abs(best.part) else best


def sources_of_writer(trace: Trace, parts: ScoreParts, side: str, writer: Writer) -> Floats:
    """What a head that wrote the query or the key adds to a score, split by the word that it took that from: [source].

    On the query's side it sums to the writer's row of the matrix.
    """
    token = parts.query if side == "query" else parts.key
    own = trace.stream(parts.stream)
    if side == "key" and token >= n_words(own):
        raise HeadlightError(f"“{own.key_tokens.labels[token]}” was learnt: no head wrote it.")
    pieces = trace.stream(writer.stream).delta_e_by_source(writer.layer or 0, writer.head or 0, token)
    return carried_to_score(trace, parts, side, writer, pieces.astype(np.float64))


def when_taken_out(parts: ScoreParts, writer: Writer) -> float:
    """What the frozen split says the score would be without a writer, in the query's token and in all keys."""
    row = parts.matrix[[name == writer for name in parts.query_writers]]  # [0 or 1, key writer]
    column = parts.matrix[:, [name == writer for name in parts.key_writers]]
    both = row[:, [name == writer for name in parts.key_writers]]
    return float(parts.score - row.sum() - column.sum() + both.sum())


def scores_without(
    model: Model,
    trace: Trace,
    parts: ScoreParts,
    writers: Sequence[Writer],
    *,
    progress: Callable[[int], None] | None = None,
) -> list[float]:
    """The score that was split, in passes with nothing where one of the writers wrote, one writer each.

    Several share a pass, up to the layer that scores; `progress` is told how many are done.
    """
    own, place = trace.stream(parts.stream), (parts.layer, parts.head, parts.query, parts.key, parts.against)
    rows = [taking_out(trace, parts, writer)["patch"] for writer in writers]
    found: list[float] = []
    for start, size in batches(trace, len(rows), None):
        calls = patched_calls(model, trace, rows[start : start + size], parts.stream, parts.layer)
        found += [compared_score(own, *place, call=call) for call in calls]
        if progress is not None:
            progress(len(found))
    return found


def taking_out(trace: Trace, parts: ScoreParts, writer: Writer) -> dict[str, Any]:
    """The options of `attn_core.trace` with which a pass has nothing where a writer wrote, at all tokens.

    What is changed in the trace's own pass stays so: it is among the options. A constant vector (a bias, the shift of
    a norm) is subtracted where it enters the stream, or the head's own query or key. Where a patch stands, its writer
    is what was put there, so zero takes its place, and not what the model had: with that, others would write again.
    Between two sentences "embedding" is of both, as one row and one column of the parts.
    """
    put = _without(trace, parts, writer)
    return {"patch": _kept_changes(trace, put) | put}


Put = dict[Place, Any]  # as `attn_core.trace(…, patch=)` takes it


def _kept_changes(trace: Trace, put: Put) -> Put:
    """What is changed in a pass, but for the tensors where something else is put now."""
    changed = {place.tensor for place in put}
    return {
        patch.place: patch.rule or patch.array
        for patch in all_patches(trace.changes)
        if patch.place.tensor not in changed
    }


def _without(trace: Trace, parts: ScoreParts, writer: Writer) -> Put:
    """What stands where a writer wrote, without it."""
    if writer.kind == "patch":
        return _without_patch(trace, parts, writer)
    if writer.kind == "own":
        return _without_own(trace, parts, writer)
    if writer.kind in ("head", "mlp"):
        return {Place(writer.kind, writer.stream, writer.layer or 0, writer.head): "zero"}
    if writer.layer is None:
        streams = {each.stream for each in (*parts.query_writers, *parts.key_writers) if each == writer}
        return {Place("residual", name, 0): without_input(trace.stream(name), writer) for name in streams}
    return _without_constant(trace, writer, writer.layer)


def _without_constant(trace: Trace, writer: Writer, layer: int) -> Put:
    """The place where a block's bias or shift enters the stream, with what stands there without it."""
    stream = trace.stream(writer.stream)
    block, nothing = stream.block(layer), np.zeros(stream.d_model, np.float32)
    if "final norm" in writer:
        place, stands, gone = "memory", stream.final_embedding(), stream.final_norm(nothing)
    elif writer.is_of_mlp:
        place, stands = "residual", stream.embedding(layer + 1)
        gone = stream.block_calls()[-1].block_norm(layer, "mlp", nothing)
    elif writer.kind == "shift" and block is BlockKind.POST_NORM:
        place, stands = "after_attention", stream.after_attention(layer)
        gone = stream.block_norm(layer, "attention", nothing)
    else:
        place, stands, gone = "attention", stream.attention_added(layer), stream.output_bias(layer)
        if writer.kind == "shift":
            gone = stream.block_norm(layer, "attention", nothing)
        elif block.changes_sum:
            output = stream.attention_output(layer)
            gone = stream.block_norm(layer, "attention", output) - stream.block_norm(layer, "attention", output - gone)
    above = {"residual": layer + 1, "memory": 0}.get(place, layer)
    put = trace.stream("cross")._put(0, "memory") if place == "memory" else stream._put(above, place)
    left = stands - gone
    if put is not None:  # what stands there is another writer's
        left = np.where(put.any(axis=1, keepdims=True), stands, left)
    return {Place(place, stream.name, above): left}


def _without_patch(trace: Trace, parts: ScoreParts, writer: Writer) -> Put:
    """Zero at every place that was patched where this writer's vectors are read."""
    kind = writer.partition(" patch")[0].removeprefix(f"{writer.stream} ").replace(" ", "_")
    if kind in ("query", "key"):
        tensors = [Place(kind, parts.stream, parts.layer, parts.head)]
    else:
        layer = writer.layer or 0
        tensors = [Place(kind, writer.stream, 0 if kind == "memory" else layer)]
        if writer.stream == "cross":  # the same tensor as what the decoder's own attention left
            tensors.append(Place("after_attention", "decoder", layer))
        if layer == trace.n_layers_of(writer.stream):  # and where no norm follows the last layer, what is read of it
            tensors.append(Place("memory", writer.stream, 0))
    return {patch.place: "zero" for patch in trace.changes.patches if patch.place.tensor in tensors}


def _without_own(trace: Trace, parts: ScoreParts, writer: Writer) -> Put:
    """The scoring head's query or key without its own bias or shift; a norm on q and k is computed anew."""
    own, layer, head = trace.stream(parts.stream), parts.layer, parts.head
    role = writer.partition(" ")[0]
    side = int(role == "key")
    x = attention_inputs(own, layer)[side]  # [token, d_model]
    maps, everywhere = score_maps(trace, own, layer, head), np.arange(len(x))
    head_map = (maps.key if side else maps.query)(everywhere)
    stands = (own.key if side else own.query)(layer, head)[: len(x)].astype(np.float64)
    if head_map.inner is None or writer == f"{role} norm shift":  # nothing comes after it that is not linear
        left = stands - dict(head_map.constants(len(stands)))[writer]
    else:
        projection = maps.projections[side]
        if writer == f"{role} bias":
            projection = replace(projection, bias=None)
        elif head_map.before is not None:
            x = x.cpu().double() - torch.as_tensor(head_map.before.shift)
        left = head_map.turned(projection.heads(x)) + (0.0 if head_map.put is None else head_map.put)
    return {Place(role, own.name, layer, head): left.astype(np.float32)}


def effects(parts: ScoreParts) -> list[tuple[Writer, float]]:
    """Every writer with what the frozen split says that it adds to a score by query and key, the largest first.

    Virtual tokens are left out: they cannot be taken out of a pass.
    """
    writers = dict.fromkeys([*parts.query_writers, *parts.key_writers])
    found = [(writer, parts.score - when_taken_out(parts, writer)) for writer in writers if writer.kind != "learnt"]
    return sorted(found, key=lambda each: -abs(each[1]))


def _other(parts: ScoreParts) -> tuple[Pair, ...]:
    return tuple(Pair(name, None, value) for name, value in parts.other.items())


def _groups(writers: Sequence[Writer], opened: Collection[str]) -> tuple[list[int], tuple[str, ...]]:
    """For each writer the place of its group, and the groups' names in the order of the stream."""
    said = [str(writer) if group_of(writer) in opened else group_of(writer) for writer in writers]
    names = tuple(dict.fromkeys(said))
    return [names.index(name) for name in said], names
