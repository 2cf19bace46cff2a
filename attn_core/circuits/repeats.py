"""What a head does on random tokens said three times, and which heads look where it looks.

Prefix matching is the weight on what followed the same token elsewhere; copying is where the word that a head looks at
most comes among all words, by what the head's ΔE adds to them. Sources: Elhage et al. 2021; Olsson et al. 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from attn_core.circuits.vocabulary_circuits import WordTables
from attn_core.circuits.writers.additions import Floats
from attn_core.heads.cells import induction_cells
from attn_core.heads.compare import jensen_shannon
from attn_core.traces.stream import StreamTrace

ROWS = 32  # of ΔE that are read off as words at a time


@dataclass
class Repeats:
    """Sums over several traces of one stream, for one head."""

    layer: int
    head: int
    matched: list[float] = field(default_factory=list)  # a query: its weight on the induction cells
    by_chance: list[float] = field(default_factory=list)
    ranks: list[float] = field(default_factory=list)  # a query: the share of words that are raised less than its key
    distances: list[Floats] = field(default_factory=list)  # a trace: [layer, head]

    def add(self, stream: StreamTrace, tables: WordTables, repeated: bool) -> None:
        """Count one trace; prefix matching and copying are of those that repeat."""
        pattern = stream.pattern(self.layer, self.head).astype(np.float64)
        asks = ~np.array(stream.tokens.special, dtype=bool)
        every = [stream.patterns(layer)[:, asks] for layer in range(stream.n_layers)]  # [layer][head, query, key]
        self.distances.append(np.stack([jensen_shannon(heads, pattern[asks]).mean(axis=-1) for heads in every]))
        if repeated:
            self._match(stream, pattern)
            if tables.unembedding is not None:
                self._copy(stream, tables, pattern)

    def _match(self, stream: StreamTrace, pattern: Floats) -> None:
        if stream.name == "cross":
            return
        may_look = stream.may_look(self.layer)
        cells = (
            induction_cells(stream.key_tokens.ids)[: len(may_look)]
            & may_look
            & ~np.array(stream.key_tokens.special, dtype=bool)
        )
        queries = cells.any(axis=1) & ~np.array(stream.tokens.special, dtype=bool)
        self.matched += (pattern * cells).sum(axis=1)[queries].tolist()
        self.by_chance += (cells.sum(axis=1) / may_look.sum(axis=1))[queries].tolist()

    def _copy(self, stream: StreamTrace, tables: WordTables, pattern: Floats) -> None:
        ordinary = ~np.array(stream.key_tokens.special, dtype=bool)
        queries = np.flatnonzero(~np.array(stream.tokens.special, dtype=bool) & (pattern[:, ordinary].sum(axis=1) > 0))
        keys = np.where(ordinary, pattern, -1.0).argmax(axis=1)[queries]
        words = np.array(stream.key_tokens.ids)[keys]
        delta = stream.delta_e(self.layer, self.head)[queries].astype(np.float64)
        self.ranks += ranks(tables, delta, words).tolist()

    @property
    def prefix_matching(self) -> float:
        """The mean weight on what followed the same token elsewhere, 0 to 1; NaN between two sentences."""
        return _mean(self.matched)

    @property
    def prefix_chance(self) -> float:
        """What even attention would put there."""
        return _mean(self.by_chance)

    @property
    def copying(self) -> float:
        """How many of all words are raised less than the one that is looked at, 0 to 1; half of them by chance."""
        return _mean(self.ranks)

    @property
    def distance(self) -> Floats:
        """How far each head of the stream looks from where this one looks, the mean over traces: [layer, head]."""
        result: Floats = np.mean(self.distances, axis=0)
        return result


def ranks(tables: WordTables, written: Floats, words: np.ndarray) -> Floats:
    """The share of all other words whose logit each row [n, d_model] raises less than that of `words` [n]."""
    found = []
    for start in range(0, len(written), ROWS):
        rows = slice(start, start + ROWS)
        raised = tables.read_off(written[rows])  # [word, row]
        own = raised[words[rows], np.arange(raised.shape[1])]
        found.append((raised < own).sum(axis=0) / (len(raised) - 1))
    return np.concatenate(found) if found else np.zeros(0)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
