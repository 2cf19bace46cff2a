"""What explains a score: its parts by layer, the pair that carries it, and what a writer took from which word."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attn_core.circuits.score_parts import carried_to_score, whole_maps
from attn_core.circuits.writers.additions import Floats
from attn_core.circuits.writers.inputs import without_input
from attn_core.places import Place
from attn_core.tolerances import CANCELLED
from attn_core.traces.block import BlockKind
from attn_core.traces.parts import ScoreParts, Writer
from attn_core.traces.stream import StreamTrace
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
    """The group that a writer belongs to: "input", "layer 0", … or "own bias"."""
    if writer.kind == "own":
        return OWN
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
    pieces = trace.stream(writer.stream).delta_e_by_source(writer.layer or 0, writer.head or 0, token)
    return carried_to_score(trace, parts, side, writer, pieces.astype(np.float64))


def when_taken_out(parts: ScoreParts, writer: Writer) -> float:
    """What the frozen split says the score would be without a writer, in the query's token and in all keys."""
    row = parts.matrix[[name == writer for name in parts.query_writers]]  # [0 or 1, key writer]
    column = parts.matrix[:, [name == writer for name in parts.key_writers]]
    both = row[:, [name == writer for name in parts.key_writers]]
    return float(parts.score - row.sum() - column.sum() + both.sum())


def taking_out(trace: Trace, parts: ScoreParts, writer: Writer) -> dict[str, Any] | None:
    """The options of `attn_core.trace` with which a pass has nothing where a writer wrote, at all tokens.

    A constant vector (a bias, the shift of a norm) is subtracted where it enters the stream, or the head's own query or
    key. Between two sentences "embedding" is of both, as one row and one column of the parts. None where a pass has no
    place for it: for patches, and for the shift of a norm within a block or behind the last.
    """
    if writer.kind == "head":
        return {"without": [trace.stream(writer.stream).head_key(writer.layer or 0, writer.head or 0)]}
    if writer.kind == "mlp":
        return {"patch": {Place("mlp", writer.stream, writer.layer or 0): "zero"}}
    if writer.kind == "patch":
        return None
    if writer.kind == "own":
        left = _without_own(trace, parts, writer)
    elif writer.layer is None:
        streams = {each.stream for each in (*parts.query_writers, *parts.key_writers) if each == writer}
        left = {Place("residual", name, 0): without_input(trace.stream(name), writer) for name in streams}
    else:
        left = _without_constant(trace.stream(writer.stream), writer, writer.layer)
    patch = {place: rest for place, rest in left.items() if rest is not None}
    taken = {each.place.tensor for each in trace.changes.patches} & set(patch)  # something else stands there already
    return {"patch": patch} if len(patch) == len(left) > 0 and not taken else None


Left = dict[Place, "np.ndarray[Any, Any] | None"]  # what stands somewhere without a writer; None: it cannot be had


def _without_constant(stream: StreamTrace, writer: Writer, layer: int) -> Left:
    """The place where a block's bias or shift enters the stream, with what stands there without it."""
    block, bias = stream.block(layer), stream.output_bias(layer)
    if writer.kind == "bias" and block is not BlockKind.NORM_AFTER:
        return {Place("attention", stream.name, layer): stream.attention_added(layer) - bias}
    if writer.is_of_mlp and block is BlockKind.POST_NORM:
        shift = stream.block_norm(layer, "mlp", np.zeros_like(bias))
        return {Place("residual", stream.name, layer + 1): stream.embedding(layer + 1) - shift}
    return {}  # it enters between attention and the MLP of one block, or behind the last


def _without_own(trace: Trace, parts: ScoreParts, writer: Writer) -> Left:
    """The scoring head's query or key without its own bias or shift: no norm comes after it, but one on q and k."""
    own = trace.stream(parts.stream)
    role = writer.partition(" ")[0]
    head_map = whole_maps(trace, own, parts.layer, parts.head)[role == "key"]
    stands: np.ndarray[Any, Any] = (own.key if role == "key" else own.query)(parts.layer, parts.head)
    vectors = dict(head_map.constants(len(stands)))
    if head_map.inner is not None and writer != f"{role} norm shift":
        return {}
    return {Place(role, own.name, parts.layer, parts.head): (stands - vectors[writer]).astype(np.float32)}


def effects(parts: ScoreParts) -> list[tuple[Writer, float]]:
    """Every writer with what the frozen split says that it adds to a score by query and key, the largest first."""
    writers = dict.fromkeys([*parts.query_writers, *parts.key_writers])
    found = [(writer, parts.score - when_taken_out(parts, writer)) for writer in writers]
    return sorted(found, key=lambda each: -abs(each[1]))


def _other(parts: ScoreParts) -> tuple[Pair, ...]:
    return tuple(Pair(name, None, value) for name, value in parts.other.items())


def _groups(writers: Sequence[Writer], opened: Collection[str]) -> tuple[list[int], tuple[str, ...]]:
    """For each writer the place of its group, and the groups' names in the order of the stream."""
    said = [str(writer) if group_of(writer) in opened else group_of(writer) for writer in writers]
    names = tuple(dict.fromkeys(said))
    return [names.index(name) for name in said], names
