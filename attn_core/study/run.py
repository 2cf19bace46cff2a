"""Read many sentences with a model, and count what every head does in them.

    result = ac.run_study(model, texts)
    result.frame()                                    # stream, layer, head, measure, n, mean, low, high

Traces are read batch by batch and let go, so the memory does not grow with the number of sentences.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.capture.batches import trace_many
from attn_core.capture.model import Model, model_of
from attn_core.errors import Cancelled, EmptyText
from attn_core.heads.collection import iter_rows
from attn_core.heads.quantities import Quantity, quantities
from attn_core.heads.samples import text_and_target
from attn_core.options import check_several, check_whole
from attn_core.study.batches import Batch, Shard, batches, fingerprint, hashes, in_range, shard_of
from attn_core.study.bootstrap import REPLICATES, weights
from attn_core.study.measures import MEASURES, named
from attn_core.study.painted_rules import PaintedRule, RuleReader
from attn_core.study.result import About, StudyResult, open_study
from attn_core.study.sums import Layout, Sums, rows_at_ends
from attn_core.study.texts import Sentence, Text
from attn_core.study.word_sets import Matching
from attn_core.traces.saved.contents import weights_hash
from attn_core.whole_files import check_place

if TYPE_CHECKING:
    from attn_core.traces.trace import Trace

SAVE_EVERY = 20.0  # seconds
Progress = Callable[[int, int], None]  # (rows done, rows in all)
Run = Callable[[Model, Sequence[Any]], Iterable["Trace"]]


@dataclass(frozen=True)
class Plan:
    """What is measured of which sentences: equal plans give equal numbers."""

    measures: tuple[str, ...] = tuple(MEASURES)
    rules: tuple[PaintedRule, ...] = ()
    seed: int = 0
    replicates: int = REPLICATES
    shard: Shard = Shard(0, 1)

    @property
    def names(self) -> tuple[str, ...]:
        return named(self.measures, self.rules)


def run_study(
    model: Model | str | Path,
    texts: Iterable[Text | Sentence],
    *,
    measures: Sequence[str] | None = None,
    rules: Sequence[PaintedRule | str] = (),
    groups: Sequence[str] | None = None,
    labels: Sequence[Sequence[str]] | None = None,
    shard: tuple[int, int] = (0, 1),
    seed: int = 0,
    replicates: int = REPLICATES,
    path: str | Path | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    """For every head and every measure the mean over 2 to 10,000 sentences, with an interval, as a `StudyResult`.

    `texts` are sentences, or (source, target) pairs for a translator, which translates a sentence alone itself.
    `measures` are names of `study.measures.MEASURES`, by default all: those of `ac.classify_heads`, counted in these
    sentences, and a head's share of ΔE. `rules` are one's own, see `study.painted_rules`. `groups` names each
    sentence's group, for `StudyResult.compare`; `labels` gives each a label a word, for rules that ask for them.

    `shard` (number, of how many) reads one part of the rows alone; `study.merge` adds them. With `path` the study is
    kept in a Parquet file while it is read, and goes on from there when it is run again. `progress(done, rows)` is
    told after every batch; where it raises `errors.Cancelled`, what is done is kept and comes back, not `complete`.

    Raises ValueError for too few or too many sentences, unknown measures, and a file that holds another study,
    EmptyText where no row holds a word, and HeadlightError where the model reads no such text, or a rule's regular
    expression takes too long.
    """
    for name, given, of in (
        ("texts", texts, "sentences"),
        ("rules", rules, "rules"),
        ("groups", groups, "names"),
        ("labels", labels, "lists of labels"),
        ("shard", shard, "numbers"),
    ):
        if given is not None:
            check_several(name, given, of)
    check_whole("seed", seed, least=0)
    check_whole("replicates", replicates, least=1)
    if path is not None:
        check_place(Path(path))
    if len(shard) != 2:
        raise ValueError(f"shard must be (number, of how many), got {shard!r}")
    model = model_of(model)
    sentences = as_sentences(texts, groups, labels)
    read_rules = tuple(PaintedRule.parse(rule) if isinstance(rule, str) else rule for rule in rules)
    measured = tuple(MEASURES if measures is None else measures)
    plan = Plan(measured, read_rules, seed, replicates, shard_of(*shard))
    file = None if path is None else Path(path)
    begun = open_study(file) if file is not None and file.exists() else None
    return _kept(iter_study(model, sentences, plan, begun), begun, file, progress, plan.shard.rows(len(sentences)))


def _kept(
    results: Iterator[StudyResult], begun: StudyResult | None, file: Path | None, progress: Progress | None, rows: range
) -> StudyResult:
    """The last of the results, which is saved now and then, and however the reading ends."""
    result, saved = begun, time.monotonic()
    try:
        for result in results:
            if file is not None and time.monotonic() - saved > SAVE_EVERY:
                result.save(file)
                saved = time.monotonic()
            if progress is not None:
                progress(result.reached, len(rows))
    except Cancelled:
        pass
    finally:
        if file is not None and result is not None:
            result.save(file)
    assert result is not None  # progress is told of results alone
    return result


def as_sentences(
    texts: Iterable[Text | Sentence],
    groups: Sequence[str] | None = None,
    labels: Sequence[Sequence[str]] | None = None,
) -> list[Sentence]:
    """Texts with what stands beside each; ValueError where there are more or fewer groups or labels than texts."""
    own = [text if isinstance(text, Sentence) else Sentence(text) for text in texts]
    for what, given in (("groups", groups), ("labels", labels)):
        if given is not None and len(given) != len(own):
            raise ValueError(f"{len(own)} sentences and {len(given)} {what}: give each one")
    if groups is not None:
        own = [one._replace(group=str(group)) for one, group in zip(own, groups, strict=True)]
    if labels is not None:
        own = [one._replace(labels=tuple(each)) for one, each in zip(own, labels, strict=True)]
    return own


def iter_study(
    model: Model, sentences: Sequence[Sentence], plan: Plan, begun: StudyResult | None = None, run: Run | None = None
) -> Iterator[StudyResult]:
    """The result after every batch, the last one complete; it goes on from `begun`, a result of the same study.

    `run` gives the traces of a batch, for a server whose passes take turns. Raises what `run_study` raises.
    """
    in_range(sentences, plan.shard)
    reader = _Reader(model, sentences, plan, run or read_batch)
    if begun is not None:
        reader.check(begun)
    result, done = begun, 0 if begun is None else begun.n_batches
    each = iter(batches(model, sentences, plan.shard))
    batch = next(each, None)
    number = 0
    while batch is not None:
        following = next(each, None)
        number += 1
        if number > done:
            result = reader.after(result, batch, number, is_last=following is None)
            if result is not None:
                yield result
        batch = following
    if result is None:
        raise EmptyText("None of these rows holds a sentence.")


def belongs(found: StudyResult, model: Model, sentences: Sequence[Sentence], plan: Plan) -> bool:
    """Whether a result is one of this study, whole or its beginning: of these sentences, model, measures and rules.

    It may have been read in shards, where all of them are in it.
    """
    own = _Reader(model, sentences, plan, read_batch).about(found.about.layout)
    is_whole = found.complete and len(found.shards) == found.about.n_shards
    return own == found.about or (is_whole and own == replace(found.about, n_shards=own.n_shards))


def read_batch(model: Model, texts: Sequence[Text]) -> Iterator[Trace]:
    """The traces of some sentences, which share a pass where they can; a translator's own translation is read."""
    if model.kind != "encoder-decoder":
        yield from trace_many(model, texts, batch=len(texts), keep="small")
        return
    for text in texts:
        source, options = text_and_target(model, text)
        yield from trace_many(model, [(source, options["target"])], keep="small")


class _Reader:
    """Reads one batch after another, and adds what it counts."""

    def __init__(self, model: Model, sentences: Sequence[Sentence], plan: Plan, run: Run) -> None:
        self.model, self.sentences, self.plan, self.run = model, sentences, plan, run
        self.measured = quantities(plan.measures)
        self.matching = Matching()
        self.input = fingerprint(sentences)
        self.names = plan.names
        self.skipped = 0  # rows before the first sentence

    @cached_property
    def weights(self) -> str:
        return weights_hash(self.model.hf)

    def check(self, begun: StudyResult) -> None:
        """Raise ValueError where a result is not a beginning of this study."""
        if begun.about != self.about(begun.about.layout) or begun.shards != (self.plan.shard.number,):
            raise ValueError(
                "this file holds another study: other sentences, measures, model or shard; give another path"
            )

    def about(self, layout: Layout) -> About:
        plan = self.plan
        rules = tuple(map(str, plan.rules))
        layout = replace(layout, measures=self.names)
        n_rows, n_shards = len(self.sentences), plan.shard.of
        model = self.model.name, self.weights
        return About(*model, self.input, n_rows, n_shards, layout, rules, plan.seed, plan.replicates)

    def after(self, result: StudyResult | None, batch: Batch, number: int, *, is_last: bool) -> StudyResult | None:
        """The result with one more batch; None while there was no sentence yet."""
        found = _Found()
        for row, trace in zip(batch.rows, self._traces(batch), strict=True):
            self._read(found, row, trace)
            del trace
        if result is None and found.layout is None:
            self.skipped += batch.unread
            return None
        if result is None:
            assert found.layout is not None
            result = StudyResult(self.about(found.layout), (self.plan.shard.number,), {}, {}, hashes([]))
        sums = self._added(result.sums, found, batch)
        known = {**result.texts, **{row: self.sentences[row].text for row in batch.rows}}
        return replace(
            result,
            sums=sums,
            texts={row: known[row] for row in rows_at_ends(sums.values())},
            hashes=np.concatenate([result.hashes, hashes([self.sentences[row].text for row in batch.rows])]),
            n_batches=number,
            reached=batch.reached,
            unread=result.unread + batch.unread + self._take_skipped(),
            cut=result.cut + found.cut,
            complete=is_last,
        )

    def _take_skipped(self) -> int:
        skipped, self.skipped = self.skipped, 0
        return skipped

    def _traces(self, batch: Batch) -> Iterable[Trace]:
        return self.run(self.model, [self.sentences[row].text for row in batch.rows]) if batch.rows else ()

    def _read(self, found: _Found, row: int, trace: Trace) -> None:
        streams = [trace.stream(name) for name in trace.streams]
        if found.layout is None:
            found.layout = Layout(tuple((own.name, own.n_layers, own.n_heads) for own in streams), self.names)
        found.cut += any(own.tokens.is_cut or own.key_tokens.is_cut for own in streams)
        found.lines.append(found.layout.line(iter_rows([streams], self._wanted(row))))

    def _wanted(self, row: int) -> list[Quantity]:
        labels = self.sentences[row].labels
        return [*self.measured, *(RuleReader(rule, labels, self.matching).quantity() for rule in self.plan.rules)]

    def _added(self, sums: Mapping[str, Sums], found: _Found, batch: Batch) -> dict[str, Sums]:
        """What was counted before, and in this batch, by group."""
        added = dict(sums)
        groups = [self.sentences[row].group for row in batch.rows]
        for group in sorted(set(groups)):
            here = [i for i, own in enumerate(groups) if own == group]
            rows = np.array([batch.rows[i] for i in here], dtype=np.int64)
            values = np.array([found.lines[i] for i in here])
            own = Sums.of(values, rows, weights(self.plan.seed, rows.tolist(), self.plan.replicates))
            added[group] = added[group] + own if group in added else own
        return added


class _Found:
    """What one batch gave: a line of numbers a sentence, and what numbers there are."""

    def __init__(self) -> None:
        self.layout: Layout | None = None
        self.lines: list[np.ndarray] = []
        self.cut = 0
