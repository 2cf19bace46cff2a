"""What kind of head is each: a table of all heads of a model, with every measure and every rule, and the kind.

    table = classify_heads(model)
    table[["layer", "head", "kind", "sink", "previous"]]

What the columns mean is in `measures.MEASURES` and `rules.KINDS`; what heads are judged on is in `samples`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.capture.model import Model, model_of
from attn_core.capture.run import trace as run_trace
from attn_core.heads.measures import MEASURES, Measure, Reading, by_name
from attn_core.heads.rules import KINDS, RuleContext, RuleScore, kind_of, score_rule
from attn_core.heads.samples import LENGTH, SEEDS, texts_for, traces_of
from attn_core.heads.sink import Bools, Floats, sink_of

if TYPE_CHECKING:
    import pandas as pd

    from attn_core.traces.stream import StreamTrace
    from attn_core.traces.trace import Trace

# Every number of the table as a measure: those of `MEASURES`, and the share of weight that follows each rule.
COLUMNS: Mapping[str, Measure] = by_name(
    *MEASURES.values(),
    *(Measure(kind.name, kind.title, kind.meaning, "share", kind.source) for kind in KINDS.values()),
)


def passes(model: Model, texts: Sequence[Any] | None = None, seeds: Sequence[int] = SEEDS) -> int:
    """How many forward passes it takes to classify the heads of a model."""
    return len(texts_for(model.name) if texts is None else texts) + len(seeds)


def classify_heads(
    model: Model | str | Path,
    *,
    stream: str | None = None,
    texts: Sequence[str | tuple[str, str]] | None = None,
    seeds: Sequence[int] = SEEDS,
    run: Callable[..., Trace] = run_trace,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """All heads of a stream, one row each: layer, head, every measure, the share of every rule, and the kind.

    For each of `rules.KINDS` the columns are the share of the weight outside the sink that follows its rule, `<kind>
    chance` (even attention) and `<kind> lift` (see `RuleScore`); `kind` is a name in `KINDS` or `NO_PATTERN`. NaN where
    a number means nothing: a decoder cannot look ahead, and between two languages there is no "token before".

    `texts` are sentences, or (source, target) pairs; a sentence without a target is one that an encoder-decoder
    translates itself. `run` stands in for `attn_core.trace`. `table.attrs` says "seeds", "samples", "sentences" and
    "length". Raises ValueError for an encoder-decoder without `stream`.
    """
    model = model_of(model)
    texts = texts_for(model.name) if texts is None else texts
    sums = _Sums()
    for i, trace in enumerate(traces_of(model, texts, seeds, run)):
        sums.add(trace.stream(stream), "sentences" if i < len(texts) else "repeats")
        if progress is not None:
            progress((i + 1) / (len(texts) + len(seeds)))
    table = sums.table()
    table.attrs = {"seeds": list(seeds), "samples": len(seeds), "sentences": len(texts), "length": LENGTH}
    return table


class _Sums:
    """Scores and means of the sentences so far, by (layer, name); each entry holds one array [head] a sentence."""

    def __init__(self) -> None:
        self.scores: dict[tuple[int, str], list[RuleScore]] = defaultdict(list)
        self.means: dict[tuple[int, str], list[Floats]] = defaultdict(list)
        self.pointed_to: dict[str, set[str]] = defaultdict(set)  # by kind: the tokens that its rule points to

    def add(self, stream: StreamTrace, judged_on: str) -> None:
        """Count one stream of one sentence; measures are taken of "sentences" alone."""
        queries, keys = stream.tokens, stream.key_tokens
        asks = ~np.array(queries.special, dtype=bool)  # [query]
        sink, special = sink_of(stream), np.array(keys.special, dtype=bool)  # [key]
        context = RuleContext(keys.ids, keys.labels, (len(queries), len(keys)), stream.name != "cross")
        for layer in range(stream.n_layers):
            pattern = stream.patterns(layer)  # [head, query, key]
            may_look = stream.may_look(layer) & asks[:, None]
            self._score(layer, judged_on, context, pattern, may_look, sink)
            if judged_on == "sentences":
                positions = np.flatnonzero(asks) if context.same_sequence else None
                self._measure(layer, Reading(pattern[:, asks], sink, special, positions))

    def _score(
        self, layer: int, judged_on: str, context: RuleContext, pattern: Floats, may_look: Bools, sink: Bools
    ) -> None:
        for kind in KINDS.values():
            cells = kind.cells_in(context) if kind.judged_on == judged_on else None
            if cells is not None:
                self.scores[layer, kind.name].append(score_rule(pattern, cells, may_look, sink))
                self.pointed_to[kind.name] |= {context.labels[int(key)] for key in np.flatnonzero(cells.any(axis=0))}

    def _measure(self, layer: int, reading: Reading) -> None:
        for measure in MEASURES.values():
            values = None if measure.of is None else measure.of(reading)
            if values is not None:
                self.means[layer, measure.name].append(_mean(values))  # [head, query] → [head]

    def table(self) -> pd.DataFrame:
        import pandas as pd

        layers = sorted({layer for layer, _ in self.means})
        return pd.concat([pd.DataFrame(self._layer(layer)) for layer in layers], ignore_index=True)

    def _layer(self, layer: int) -> dict[str, Any]:
        n_heads = len(next(values[0] for (at, _), values in self.means.items() if at == layer))
        columns: dict[str, Any] = {"layer": [layer] * n_heads, "head": range(n_heads)}
        for name in MEASURES:
            columns[name] = _mean(np.array(self.means.get((layer, name), [[np.nan] * n_heads])).T)
        for name in KINDS:
            share, chance, lift = self._rule(layer, name, n_heads)
            columns |= {name: share, f"{name} chance": chance, f"{name} lift": lift}
        lifts = [{name: float(columns[f"{name} lift"][head]) for name in KINDS} for head in range(n_heads)]
        return columns | {"kind": [kind_of(own) for own in lifts]}

    def _rule(self, layer: int, name: str, n_heads: int) -> tuple[Floats, Floats, Floats]:
        """(share, chance, lift) of one rule, [head] each."""
        kind, scores = KINDS[name], self.scores.get((layer, name), [])
        if not scores or len(self.pointed_to[name]) < kind.distinct_keys:
            nothing = np.full(n_heads, np.nan)
            return nothing, nothing, nothing
        total = sum(scores[1:], scores[0])
        # A head with random weights may like one token; so each sentence, with tokens of its own, counts the same.
        lift = _mean(np.array([score.lift for score in scores]).T) if kind.distinct_keys > 1 else total.lift
        return total.share, total.chance, lift


def _mean(values: Floats) -> Floats:
    """The mean over the last axis of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    total, count = np.where(there, values, 0).sum(axis=-1), there.sum(axis=-1)
    result: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return result
