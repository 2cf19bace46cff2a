"""What kind of head is each: a table of all heads of a model, with every measure and every rule, and the kind.

    table = classify_heads(model)
    table[["layer", "head", "kind", "sink", "previous"]]

What the columns mean is in `measures.MEASURES` and `rules.KINDS`; what heads are judged on is in `samples`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.blocks import row_slices
from attn_core.capture.model import Model, model_of
from attn_core.capture.run import trace as run_trace
from attn_core.heads.collection import Rows, iter_rows
from attn_core.heads.measures import MEASURES, Measure, by_name
from attn_core.heads.quantities import Quantity, StreamReading, mean_of_what_is_there, part_of_rule, quantities
from attn_core.heads.rules import KINDS, RuleScore, kind_of
from attn_core.heads.samples import LENGTH, SEEDS, texts_for, traces_of
from attn_core.heads.sink import Floats
from attn_core.options import check_several, check_whole

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
    if texts is not None:
        check_several("texts", texts, "sentences")
    check_several("seeds", seeds, "whole numbers")
    for seed in seeds:
        check_whole("a seed", seed, least=0)
    model = model_of(model)
    texts = texts_for(model.name) if texts is None else texts
    streams = (trace.stream(stream) for trace in traces_of(model, texts, seeds, run))
    noting = _Noting(streams, len(texts))
    told = _telling(iter(noting), len(texts) + len(seeds), progress or (lambda share: None))
    rows = chain(
        iter_rows(islice(told, len(texts)), [*quantities(MEASURES), *_judged_on("sentences")]),
        iter_rows(told, _judged_on("repeats")),
    )
    table = _Table(rows, noting.pointed_to).frame()
    table.attrs = {"seeds": list(seeds), "samples": len(seeds), "sentences": len(texts), "length": LENGTH}
    return table


def _telling(
    streams: Iterator[StreamTrace], n: int, progress: Callable[[float], None]
) -> Iterator[tuple[StreamTrace, ...]]:
    """Yields each sentence's stream, and reports what share of the sentences has been read."""
    for number, stream in enumerate(streams, 1):
        yield (stream,)
        progress(number / n)


class _Noting:
    """Yields streams, and notes which tokens the rules point to in them."""

    def __init__(self, streams: Iterable[StreamTrace], n_texts: int) -> None:
        self.streams, self.n_texts = streams, n_texts
        self.pointed_to: dict[str, set[str]] = defaultdict(set)  # by kind

    def __iter__(self) -> Iterator[StreamTrace]:
        for number, stream in enumerate(self.streams):
            own = StreamReading(stream)
            for kind in KINDS.values():
                judged = (kind.judged_on == "sentences") == (number < self.n_texts)
                cells = kind.cells_in(own.context) if judged else None
                if cells is None:
                    continue
                for rows in row_slices(*own.context.shape):
                    keys = np.flatnonzero(cells(rows).any(axis=0))  # [row, key] → [key]
                    self.pointed_to[kind.name] |= {own.context.labels[int(key)] for key in keys}
            yield stream


def _judged_on(samples: str) -> list[Quantity]:
    return [part for kind in KINDS.values() if kind.judged_on == samples for part in _parts(kind.name)]


def _parts(kind: str) -> list[Quantity]:
    """The fields of a rule's score, which add up over sentences."""
    return [Quantity(f"{kind} {part}", partial(part_of_rule, kind, part)) for part in RuleScore.__dataclass_fields__]


class _Table:
    """The table of kinds, out of the rows of a collection: one array [head] by (layer, measure), one a sentence."""

    def __init__(self, rows: Iterable[Rows], pointed_to: Mapping[str, set[str]]) -> None:
        self.pointed_to = pointed_to
        self.values: dict[tuple[int, str], list[Floats]] = defaultdict(list)
        for own in rows:
            self.values[own.layer, own.measure].append(own.values)

    def frame(self) -> pd.DataFrame:
        import pandas as pd

        layers = sorted({layer for layer, _ in self.values})
        return pd.concat([pd.DataFrame(self._layer(layer)) for layer in layers], ignore_index=True)

    def _layer(self, layer: int) -> dict[str, Any]:
        n_heads = len(next(values[0] for (at, _), values in self.values.items() if at == layer))
        columns: dict[str, Any] = {"layer": [layer] * n_heads, "head": range(n_heads)}
        for name in MEASURES:
            values = self.values.get((layer, name), [np.full(n_heads, np.nan)])
            columns[name] = mean_of_what_is_there(np.array(values).T)
        for name in KINDS:
            share, chance, lift = self._rule(layer, name, n_heads)
            columns |= {name: share, f"{name} chance": chance, f"{name} lift": lift}
        lifts = [{name: float(columns[f"{name} lift"][head]) for name in KINDS} for head in range(n_heads)]
        return columns | {"kind": [kind_of(own) for own in lifts]}

    def _rule(self, layer: int, name: str, n_heads: int) -> tuple[Floats, Floats, Floats]:
        """(share, chance, lift) of one rule, [head] each."""
        kind, parts = KINDS[name], [self.values.get((layer, own.name), []) for own in _parts(name)]
        scores = [RuleScore(*each) for each in zip(*parts, strict=True)]
        if not scores or len(self.pointed_to[name]) < kind.distinct_keys:
            nothing = np.full(n_heads, np.nan)
            return nothing, nothing, nothing
        total = sum(scores[1:], scores[0])
        # A head with random weights may like one token; so each sentence, with tokens of its own, counts the same.
        lifts = np.array([score.lift for score in scores]).T
        lift = mean_of_what_is_there(lifts) if kind.distinct_keys > 1 else total.lift
        return total.share, total.chance, lift
