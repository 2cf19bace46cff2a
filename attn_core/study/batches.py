"""Which sentences a study reads, in which shard and in which batches: fixed by the input alone, wherever it is read.

A shard is a run of rows of the whole input; its batches are sentences of similar length out of some hundred rows that
follow each other, so what was read of a study that was stopped is its beginning, and not its short sentences.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_core.capture.batches import of_similar_length
from attn_core.errors import EmptyText
from attn_core.options import check_whole
from attn_core.study.sums import Ints
from attn_core.study.texts import Sentence, Text

if TYPE_CHECKING:
    from attn_core.capture.model import Model

WINDOW = 256  # rows among which sentences of similar length come together
BATCH = 32  # sentences of a pass at most
BATCH_TOKENS = 2_048  # of a pass at most, so that long sentences do not fill the memory
FEWEST, MOST = 2, 10_000  # sentences of a study on one machine


class Shard(NamedTuple):
    """One of the parts of an input, counted from 0: the third of eight is (2, 8)."""

    number: int
    of: int

    @property
    def is_whole(self) -> bool:
        return self.of == 1

    def rows(self, n: int) -> range:
        """The rows of an input of n that are in it."""
        return range(n * self.number // self.of, n * (self.number + 1) // self.of)


def shard_of(number: int, of: int) -> Shard:
    """A shard; ValueError where there is no such one.

    >>> [list(shard_of(k, 3).rows(5)) for k in range(3)]
    [[0], [1, 2], [3, 4]]
    """
    check_whole("a shard's number", number)
    check_whole("the number of shards", of)
    if of < 1 or not 0 <= number < of:
        raise ValueError(f"of {of} shards there is none with number {number}: they count from 0")
    return Shard(number, of)


@dataclass(frozen=True)
class Batch:
    """Sentences that are read together: `rows` of the input; and what of the input was passed over on the way to them.

    `unread` counts rows without a sentence, `reached` how many rows of the shard are done once this batch is.
    """

    rows: tuple[int, ...]
    unread: int
    reached: int


def batches(model: Model, sentences: Sequence[Sentence], shard: Shard) -> Iterator[Batch]:
    """The batches of a shard, in order; rows without a word are passed over."""
    rows, reached = shard.rows(len(sentences)), 0
    for start in range(rows.start, rows.stop, WINDOW):
        window = range(start, min(start + WINDOW, rows.stop))
        lengths = [_length(model, sentences[row].text) for row in window]
        order = sorted((i for i, n in enumerate(lengths) if n), key=lambda i: lengths[i])
        unread = len(window) - len(order)
        groups = list(of_similar_length(order, lengths, BATCH, BATCH_TOKENS)) or [[]]
        for group in groups:
            reached += len(group) + unread
            yield Batch(tuple(window[i] for i in group), unread, reached)
            unread = 0


def _length(model: Model, text: Text) -> int:
    """How many tokens a text has; 0 where there is none. HeadlightError where the model reads no such text."""
    try:
        if isinstance(text, str) or model.kind != "encoder-decoder":
            return len(model.read_sentence(text).ids)
        return len(model.read(text[0]).ids) + len(model.read(text[1], target=True).ids)
    except EmptyText:
        return 0


def fingerprint(sentences: Sequence[Sentence]) -> str:
    """What says which input it is: equal for equal sentences, groups and labels in the same order."""
    digest = hashlib.blake2b(digest_size=16)
    for own in sentences:
        digest.update(json.dumps(own, ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()


def hashes(texts: Sequence[Text]) -> Ints:
    """A number a text, equal for equal ones, which tells duplicates across shards: [text]."""
    digests = [hashlib.blake2b(json.dumps(text).encode(), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)


def in_range(sentences: Sequence[Sentence], shard: Shard) -> None:
    """Raise ValueError where there are too few sentences, or more than one machine is given."""
    n, own = len(sentences), len(shard.rows(len(sentences)))
    if n < FEWEST:
        raise ValueError(f"a study reads at least {FEWEST} sentences, got {n}")
    if own > MOST:
        raise ValueError(f"a study reads at most {MOST:,} sentences, got {own:,}: read it in shards")
