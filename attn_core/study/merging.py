"""Shards of one study put together: sorted by their numbers before they are added, so that no order changes a byte."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np

from attn_core.study.result import StudyResult, open_study
from attn_core.study.sums import rows_at_ends


def merge(parts: Iterable[str | Path | StudyResult]) -> StudyResult:
    """The sum of shards, given as files or results, in whatever order: the same numbers to the last byte.

    One machine that reads the same shards and merges them gives these bytes, too (with one thread); another partition
    of the same input agrees within 1e-6. Raises ValueError where two are of different studies, a shard is there twice,
    or one was stopped before its end, and HeadlightError for a file that is no study.
    """
    read = [part if isinstance(part, StudyResult) else open_study(part) for part in parts]
    if not read:
        raise ValueError("there is nothing to merge")
    first, *others = sorted(read, key=lambda own: own.shards)
    shards = [number for own in (first, *others) for number in own.shards]
    for own in (first, *others):
        if own.about != first.about:
            raise ValueError(f"shards of different studies: {_difference(own, first)} differ")
        if not own.complete:
            raise ValueError(
                f"shard {own.shards[0]} was stopped before its end: run it again, it goes on from its file"
            )
    if len(set(shards)) < len(shards):
        raise ValueError(f"a shard is there twice: {shards}")
    return reduce(_added, others, first)


def _added(one: StudyResult, two: StudyResult) -> StudyResult:
    sums = {
        group: one.sums[group] + two.sums[group] if group in one.sums and group in two.sums else own
        for group, own in {**one.sums, **two.sums}.items()
    }
    total = {name: getattr(one, name) + getattr(two, name) for name in ("n_batches", "reached", "unread", "cut")}
    known = {**one.texts, **two.texts}
    texts = {row: known[row] for row in rows_at_ends(sums.values())}
    hashes = np.concatenate([one.hashes, two.hashes])
    return replace(one, shards=one.shards + two.shards, sums=sums, texts=texts, hashes=hashes, **total)


def _difference(one: StudyResult, two: StudyResult) -> str:
    names = [name for name in vars(one.about) if getattr(one.about, name) != getattr(two.about, name)]
    return ", ".join(names)
