"""What a study found: for every head and measure the mean over sentences, its interval, and the sentences behind it."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import false_discovery_control, ttest_ind_from_stats

from attn_core.errors import check_index
from attn_core.study import files
from attn_core.study.bootstrap import FEWEST, interval, replicate_means
from attn_core.study.sums import NOBODY, Ints, Layout, Sums
from attn_core.study.texts import Text

if TYPE_CHECKING:
    import pandas as pd

_COUNTED = ("n_batches", "reached", "unread", "cut", "complete")
FRAME = ("stream", "layer", "head", "measure", "n", "mean", "low", "high")


@dataclass(frozen=True)
class About:
    """Which study it is: what two shards must have in common to be added."""

    model: str
    weights: str  # their hash, as `trace.save` writes it: another training, or another number type, is another study
    input: str  # what `batches.fingerprint` says of all sentences
    n_rows: int
    n_shards: int
    layout: Layout
    rules: tuple[str, ...]
    seed: int
    replicates: int


@dataclass(frozen=True, eq=False, repr=False)
class StudyResult:
    """A study, or the part of it that was read: `frame()` is the table, `save` keeps it, `study.merge` adds shards.

    `shards` are the numbers of those that are in it. `n` sentences were read, `unread` rows hold none, `cut` were
    longer than the model reads, and `duplicates` say what another row says, too. `complete` is False for a study that
    was stopped: `ac.run_study` goes on from its file.
    """

    about: About
    shards: tuple[int, ...]
    sums: Mapping[str, Sums]  # by group, "" where there are none
    texts: Mapping[int, Text]  # of the rows at either end of some number
    hashes: Ints  # of every sentence that was read
    n_batches: int = 0
    reached: int = 0  # rows that are done
    unread: int = 0
    cut: int = 0
    complete: bool = False

    def __repr__(self) -> str:
        heads = sum(layers * heads for _, layers, heads in self.about.layout.streams)
        much = f"{heads} heads × {len(self.about.layout.measures)} measures"
        return f"<Study of {self.about.model}: {self.n:,} sentences, {much}{'' if self.complete else ', stopped'}>"

    @property
    def n(self) -> int:
        return len(self.hashes)

    @property
    def duplicates(self) -> int:
        return self.n - len(np.unique(self.hashes))

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(sorted(self.sums))

    @property
    def n_bytes(self) -> int:
        return sum(own.n_bytes for own in self.sums.values()) + self.hashes.nbytes + 200 * len(self.texts)

    def of(self, group: str | None = None) -> Sums:
        """What was counted in a group, or in all sentences. KeyError for a group that is not there."""
        return reduce(add, (self.sums[name] for name in self.groups)) if group is None else self.sums[group]

    def frame(self, group: str | None = None) -> pd.DataFrame:
        """A row a number: stream, layer, head, measure, n, mean, low, high; of all sentences, or of one group.

        `n` sentences have the number: a rule says nothing about a sentence without a cell of it. `low` and `high` are
        the 95 % interval of the mean over sentences like these, by a bootstrap; NaN below 20 sentences, where such an
        interval would be too narrow: `values` are then all there is. `attrs["empty_replicates"]` counts the
        replicates that drew none of a number's sentences and were left out, of numbers with an interval.
        """
        sums = self.of(group)
        table = self.about.layout.index()
        table["n"], table["mean"] = sums.n, sums.mean
        enough = sums.n >= FEWEST
        low, high = interval(replicate_means(sums.weighted, sums.drawn))
        table["low"], table["high"] = np.where(enough, low, math.nan), np.where(enough, high, math.nan)
        table.attrs = {"empty_replicates": int((sums.drawn[:, enough] == 0).sum())}
        return table[list(FRAME)]

    def values(
        self, layer: int, head: int, measure: str, stream: str = "self", group: str | None = None
    ) -> pd.DataFrame:
        """The sentences where a head does it most and least: row, text, value, the largest value first.

        Ten at either end; below 20 sentences that is every one. Raises IndexError or ValueError for what is not there.
        """
        import pandas as pd

        sums, at = self.of(group), self._at(layer, head, measure, stream)
        ends = [(sums.most, 1), (sums.least, -1)]
        found = {
            int(row): sign * float(value)
            for own, sign in ends
            for row, value in zip(own.rows[:, at], own.values[:, at], strict=True)
            if row != NOBODY
        }
        order = sorted(found, key=lambda row: (-found[row], row))
        texts = [self.texts[row] for row in order]
        return pd.DataFrame({"row": order, "text": texts, "value": [found[row] for row in order]})

    def _at(self, layer: int, head: int, measure: str, stream: str) -> int:
        layout = self.about.layout
        sizes = {name: (layers, heads) for name, layers, heads in layout.streams}
        if stream not in sizes:
            raise ValueError(f"say which stream: {', '.join(sizes)}")
        if measure not in layout.measures:
            raise ValueError(f"this study has measures {', '.join(layout.measures)}, and not {measure}")
        for axis, index, size in zip(("layer", "head"), (layer, head), sizes[stream], strict=True):
            check_index(axis, index, size, "this study")
        return layout.at(stream, layer, head, measure)

    def compare(self, first: str, second: str) -> pd.DataFrame:
        """Two groups of sentences: for every number both means, their difference with its interval, p and q.

        Columns stream, layer, head, measure, n_first, n_second, mean_first, mean_second, difference (first − second),
        low, high, p, q. `p` is Welch's t-test for two means with unequal spread (Welch 1947); `q` corrects it for the
        number of heads, within a measure of a stream (Benjamini & Hochberg 1995): of heads with q below 0.05, one in
        twenty is expected to be there by chance. The interval is missing where either group has fewer than 20
        sentences. KeyError for a group that is not there.
        """
        a, b = self.of(first), self.of(second)
        table = self.about.layout.index()
        table["n_first"], table["n_second"] = a.n, b.n
        table["mean_first"], table["mean_second"] = a.mean, b.mean
        table["difference"] = a.mean - b.mean
        enough = (a.n >= FEWEST) & (b.n >= FEWEST)
        low, high = interval(replicate_means(a.weighted, a.drawn) - replicate_means(b.weighted, b.drawn))
        table["low"], table["high"] = np.where(enough, low, math.nan), np.where(enough, high, math.nan)
        table["p"] = _welch(a, b)
        table["q"] = table.groupby(["stream", "measure"], sort=False)["p"].transform(_corrected)
        return table

    def save(self, path: str | Path) -> Path:
        """Write it to a Parquet file, which `study.open_study` and `study.merge` read."""
        head = {
            "about": asdict(self.about),
            "shards": self.shards,
            "texts": sorted(self.texts.items()),
            "hashes": base64.b64encode(self.hashes.astype("<i8").tobytes()).decode(),
            **{name: getattr(self, name) for name in _COUNTED},
        }
        return files.write(Path(path), head, self.about.layout, self.sums)

    def without_texts(self) -> StudyResult:
        """The same without any sentence of the input, to hand on where those are private."""
        return replace(self, texts=dict.fromkeys(self.texts, ""))


def open_study(path: str | Path) -> StudyResult:
    """A result that `StudyResult.save` wrote. Raises HeadlightError for a file that is none."""
    head, sums = files.read(Path(path))
    said, layout = head["about"], head["about"]["layout"]
    streams = tuple((name, layers, heads) for name, layers, heads in layout["streams"])
    about = About(**{**said, "layout": Layout(streams, tuple(layout["measures"])), "rules": tuple(said["rules"])})
    return StudyResult(
        about,
        tuple(head["shards"]),
        sums,
        {row: text if isinstance(text, str) else (text[0], text[1]) for row, text in head["texts"]},
        np.frombuffer(base64.b64decode(head["hashes"]), dtype="<i8").astype(np.int64),
        **{name: head[name] for name in _COUNTED},
    )


def _welch(a: Sums, b: Sums) -> np.ndarray:
    """p of every number; NaN where a group has fewer than two sentences, or neither has any spread."""
    known = (a.n > 1) & (b.n > 1) & (a.deviation + b.deviation > 0)
    found = np.full(len(a.n), math.nan)
    one, two = ((own.mean[known], own.deviation[known], own.n[known]) for own in (a, b))
    found[known] = ttest_ind_from_stats(*one, *two, equal_var=False).pvalue
    return found


def _corrected(p: Any) -> np.ndarray:
    """p-values of the heads of one measure, corrected by Benjamini and Hochberg; NaN stays NaN."""
    values = np.asarray(p, dtype=float)
    found = np.full(values.shape, math.nan)
    known = ~np.isnan(values)
    if known.any():
        found[known] = false_discovery_control(values[known], method="bh")
    return found
